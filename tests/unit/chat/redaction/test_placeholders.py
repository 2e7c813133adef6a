"""Placeholders: reversible, consistent, never mistaken for what somebody typed, and restored however a text is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.redaction.detect import MOST_FINDS, Detector, TooManyValues
from chat.redaction.placeholders import MOST_VALUES, Placeholders, Reader
from chatapi.redaction import KINDS
from tests.support.pem import private_key

VALUES = [
    "jane@example.com",
    "o'brien@example.com",
    "+14155552671",
    "4111 1111 1111 1111",
    "203.0.113.7",
    "078-05-1120",
]
VALUES += [private_key('AB"C')]
FILLERS = [
    "",
    " ",
    "<",
    "<EMAIL",
    "<EMAIL_1>",
    "<EMAIL_22>",
    "<<",
    "\\",
    '"',
    "EMAIL_1>",
    "text ",
    "\n",
    "é",
    r"\u003cEMAIL_1\u003e",
]
texts = st.lists(st.sampled_from([*VALUES, *FILLERS]) | st.text(max_size=4), max_size=12).map(" ".join)


def made(*said: str) -> Placeholders:
    return Placeholders(Detector(KINDS), said)


@given(st.lists(texts, min_size=1, max_size=4))
def test_what_was_hidden_comes_back_to_the_letter(said: list[str]) -> None:
    placeholders = made(*said)
    hidden = [placeholders.hide(text) for text in said]
    assert [placeholders.restored(text) for text in hidden] == said
    # and no value is in what a provider gets
    for value in placeholders.values.values():
        assert all(value not in text for text in hidden)


@given(texts, st.data())
def test_however_it_is_cut_a_text_is_restored_as_in_one_piece(text: str, data: st.DataObject) -> None:
    placeholders = made(*VALUES)
    for value in VALUES:
        placeholders.hide(value)
    names = [*placeholders.values, *FILLERS]
    said = data.draw(st.lists(st.sampled_from(names) | st.text(alphabet='<>\\"EMAIL_u03ce1 ', max_size=6), max_size=12))
    whole = "".join(said) + text
    longest = max(map(len, placeholders.values))
    for quoted in (False, True):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
        reader, out = placeholders.reader(quoted=quoted), ""
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            out += reader.feed(whole[start:end])
            # then no more is kept back than could still become a placeholder
            assert len(reader._held) < longest + (10 if quoted else 0)
            assert not reader._held or any(name.startswith(reader._held) for name in reader._values)
        assert out + reader.end() == placeholders.restored(whole, quoted=quoted)


@given(st.dictionaries(st.text(max_size=5), st.sampled_from(VALUES) | st.text(max_size=8), max_size=5))
def test_json_stays_json_when_values_are_put_into_it(fields: dict[str, str]) -> None:
    placeholders = made(*VALUES)
    wanted = dict(fields)
    said = {name: placeholders.hide(value) if value in VALUES else value for name, value in fields.items()}
    restored = {name: value if said[name] == value else fields[name] for name, value in wanted.items()}
    for escaped in (json.dumps(said), json.dumps(said, ensure_ascii=False), _html_safe(json.dumps(said))):
        assert json.loads(placeholders.restored(escaped, quoted=True)) == restored


def _html_safe(text: str) -> str:
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def test_an_escaped_backslash_before_a_lookalike_is_no_escape() -> None:
    placeholders = made("jane@example.com")
    placeholders.hide("jane@example.com")
    said = json.dumps({"a": r"\u003cEMAIL_1\u003e"})  # the letters themselves: a backslash, u003c and so on
    assert placeholders.restored(said, quoted=True) == said


def test_the_same_value_has_the_same_placeholder_and_others_have_others() -> None:
    placeholders = made("a@x.de b@x.de", "b@x.de +14155552671")
    assert placeholders.hide("a@x.de b@x.de") == "<EMAIL_1> <EMAIL_2>"
    assert placeholders.hide("b@x.de +14155552671") == "<EMAIL_2> <PHONE_1>"
    assert placeholders.counts == {"email": 2, "phone": 1}


def test_what_is_typed_and_looks_like_a_placeholder_is_never_one() -> None:
    for typed, ours in (("<EMAIL_1>", "<EMAIL_2>"), ("<EMAIL_41_", "<EMAIL_42>"), ("<PHONE_7>", "<EMAIL_1>")):
        placeholders = made(f"{typed} is not jane@example.com")
        hidden = placeholders.hide(f"{typed} is not jane@example.com")
        assert hidden == f"{typed} is not {ours}"
        assert placeholders.restored(hidden) == f"{typed} is not jane@example.com"
    # nor where it is written with JSON's escapes
    assert made(r"\u003cEMAIL_1\u003e jane@example.com").hide("jane@example.com") == "<EMAIL_2>"


def test_what_one_text_tells_of_a_value_holds_in_all() -> None:
    placeholders = made("Is 5550100 yours?", "Yes, my phone: 5550100")
    assert placeholders.hide("Is 5550100 yours?") == "Is <PHONE_1> yours?"


def test_what_was_restored_is_sealed_whatever_it_stands_next_to() -> None:
    placeholders = made("my SSN 078-05-1120")
    placeholders.hide("my SSN 078-05-1120")
    assert placeholders.seal("9078-05-11203 and new@example.com") == "9<NATIONAL_ID_1>3 and <EMAIL_1>"


def test_what_was_put_into_json_that_broke_off_is_sealed() -> None:
    named = 'Zoë "Zo" Ray'
    placeholders = Placeholders(Detector((), [named]), [named])
    placeholders.hide(named)
    for cut in ('{"name": "<VALUE_1>", "a', '{"name": "\\u003cVALUE_1\\u003e'):
        said = placeholders.restored(cut, quoted=True)
        assert "Zoë" in said
        assert "Zo" not in placeholders.seal(said)


def test_a_text_that_can_be_no_placeholder_any_more_is_said_at_once() -> None:
    reader = Reader({"<EMAIL_1>": "jane@example.com"})
    assert reader.feed("a <") == "a "
    assert reader.feed("b") == "<b"
    assert reader.feed(" <EMAIL_") == " "
    assert reader.feed("2") == "<EMAIL_2"
    assert reader.feed("<EMAIL_1") == ""
    assert reader.feed(">!") == "jane@example.com!"
    assert reader.feed("end <EM") == "end "
    assert reader.end() == "<EM"
    # and without a value there is nothing to wait for
    assert Reader({}).feed("<EMAIL_") == "<EMAIL_"


def test_too_many_values_are_not_taken() -> None:
    text = " ".join(f"u{number}@x.de" for number in range(MOST_VALUES + 1))
    placeholders = made(text)
    with pytest.raises(TooManyValues):
        placeholders.hide(text)
    # nor the same value over and over, beyond what memory is there for
    with pytest.raises(TooManyValues):
        made("a@x.de " * (MOST_FINDS + 1))
