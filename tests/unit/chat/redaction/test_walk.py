"""Whatever JSON a value lies in, however it is written there, it is hidden, stays JSON, and comes back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chat.redaction.detect import Detector
from chat.redaction.placeholders import Placeholders
from chat.redaction.requests import Walk
from chat.redaction.storing import stored_form
from chatapi.redaction import KINDS

VALUES = ("jane@example.com", "jörg@exämple.de", "+14155552671", "DE89370400440532013000", "203.0.113.7")
CARD = 4111111111111111
text = st.sampled_from(VALUES) | st.sampled_from(VALUES).map("see {}, please".format) | st.text(max_size=6)
trees = st.recursive(
    text | st.just(CARD) | st.integers(-9, 9) | st.booleans() | st.none() | st.floats(-1, 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def hidden(told: str, *, as_text: bool) -> tuple[Placeholders, str]:
    """As a guard does it: everything is learnt first, then hidden."""
    seen: list[str] = []

    def gather(said: str) -> str:
        seen.append(said)
        return said

    def walked(walk: Walk) -> str:
        return walk.text(told) if as_text else walk.json(told)

    walked(Walk(gather, gather))
    placeholders = Placeholders(Detector(KINDS), seen)
    return placeholders, walked(Walk(placeholders.hide))


def escaped(told: str, every: int) -> str:
    """The same JSON with each `every`-th character of its strings written as an escape."""
    out, quoted, skip = [], False, 0
    for at, letter in enumerate(told):
        if letter == '"' and not skip:
            quoted = not quoted
        plain = quoted and not skip and letter not in '"\\' and ord(letter) < 0x10000 and at % every == 0
        out.append(f"\\u{ord(letter):04x}" if plain else letter)
        if skip:
            skip -= 1
        elif letter == "\\":
            skip = 5 if told[at + 1 : at + 2] == "u" else 1
    return "".join(out)


def leaves(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [*map(str, tree), *(leaf for inner in tree.values() for leaf in leaves(inner))]
    if isinstance(tree, list):
        return [leaf for inner in tree for leaf in leaves(inner)]
    return [str(tree)]


@given(tree=trees, every=st.integers(1, 5), ascii_only=st.booleans())
def test_json_is_hidden_however_it_is_escaped_and_comes_back(tree: Any, every: int, ascii_only: bool) -> None:
    told = escaped(json.dumps(tree, ensure_ascii=ascii_only), every)
    assert json.loads(told) == tree
    placeholders, said = hidden(told, as_text=False)
    # then it is JSON without a value in it
    for leaf in leaves(json.loads(said)):
        assert not any(value in leaf for value in (*VALUES, str(CARD)))
    # and with its values it is what it was, but that a number which was hidden is a string
    restored = json.loads(placeholders.restored(said, quoted=True))
    assert leaves(restored) == leaves(json.loads(told))


@given(tree=trees)
def test_json_in_a_text_is_hidden_as_well(tree: Any) -> None:
    for told in (json.dumps(tree), json.dumps(tree, ensure_ascii=False), json.dumps(json.dumps(tree))):
        _, said = hidden(told, as_text=True)
        try:
            seen = leaves(json.loads(said))
        except ValueError:
            seen = [said]  # a number in a text without escapes was hidden where it stood
        assert not any(value in leaf for leaf in [*seen, said] for value in (*VALUES, str(CARD)))


def test_a_number_is_stored_as_a_text_where_it_is_one_and_as_json_in_arguments() -> None:
    placeholders = Placeholders(Detector(KINDS), [])
    sealed = stored_form({"text": str(CARD), "arguments": str(CARD)}, Walk(placeholders.seal))
    assert sealed == {"text": "<CARD_1>", "arguments": '"<CARD_1>"'}


@given(tree=trees)
def test_what_is_stored_has_no_value_and_keeps_ids_and_labels(tree: Any) -> None:
    placeholders = Placeholders(Detector(KINDS), [])
    kept = {"id": VALUES[0], "metadata": {"a": VALUES[0]}, "content": tree, "arguments": json.dumps(tree)}
    sealed = stored_form(kept, Walk(placeholders.seal))
    assert (sealed["id"], sealed["metadata"]) == (kept["id"], kept["metadata"])
    assert not any(value in leaf for leaf in leaves(json.loads(sealed["arguments"])) for value in (*VALUES, str(CARD)))
