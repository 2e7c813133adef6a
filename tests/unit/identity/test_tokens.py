"""Sessions and portal links: what is signed for one purpose opens nothing else, and a link opens once."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.vault import project_pepper, subject_id
from privacy.identity.service import LinkRefused
from privacy.identity.tokens import FORM, LINK, SESSION, Session, derived
from tests.unit.identity.world import PEPPER, People
from tests.unit.privacy.world import PROJECT

PEOPLE = People()


def test_a_link_leads_to_its_subject_once() -> None:
    people = People()
    token, expires = people.identity.link(PROJECT, "alice")
    assert expires == people.world.clock.now() + 900
    session = people.identity.enter(token)
    assert session.subject == subject_id(project_pepper(PEPPER, PROJECT), "user", "alice")
    assert not session.owner
    with pytest.raises(LinkRefused):
        people.identity.enter(token)


def test_a_link_ends_after_fifteen_minutes() -> None:
    people = People()
    token, _ = people.identity.link(PROJECT, None)
    people.world.clock.advance(900)
    with pytest.raises(LinkRefused):
        people.identity.enter(token)


def test_a_link_is_no_session_and_a_session_no_link() -> None:
    token, _ = PEOPLE.identity.link(PROJECT, "alice")
    session = Session(PROJECT, "sub_" + "a" * 32, False, 2_000_000_000, "x" * 22)
    assert PEOPLE.identity.who(token) is None
    with pytest.raises(LinkRefused):
        PEOPLE.identity.enter(PEOPLE.identity.token(session))


def test_a_token_of_another_deployment_opens_nothing() -> None:
    token, _ = People(secret=b"z" * 86).identity.link(PROJECT, "alice")
    with pytest.raises(LinkRefused):
        PEOPLE.identity.enter(token)


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_changed_token_opens_nothing(place: int, flip: int) -> None:
    session = Session(PROJECT, "sub_" + "a" * 32, True, 2_000_000_000, "x" * 22)
    token = bytearray(PEOPLE.tokens.issue(SESSION, session).encode())
    token[place % len(token)] ^= flip
    assert PEOPLE.identity.who(token.decode("latin-1")) is None


@given(st.text(max_size=1100))
def test_any_text_at_all_opens_nothing(text: str) -> None:
    assert PEOPLE.identity.who(text) is None
    assert PEOPLE.identity.who(f"{text}.{text}") is None


def test_no_algorithm_can_be_chosen() -> None:
    body = base64.urlsafe_b64encode(json.dumps({"alg": "none", "aud": SESSION}).encode()).decode().rstrip("=")
    for token in (body + ".", body, "." + body, ".", body + ".e30"):
        assert PEOPLE.identity.who(token) is None


def test_a_form_belongs_to_a_browser_and_to_who_is_signed_in_there() -> None:
    session = Session(PROJECT, "sub_" + "a" * 32, True, 2_000_000_000, "x" * 22)
    other = Session(PROJECT, "sub_" + "a" * 32, True, 2_000_000_000, "y" * 22)
    keys = {PEOPLE.identity.form_key(v, s) for v in ("v1", "v2") for s in (None, session, other)}
    assert len(keys) == 6
    assert PEOPLE.identity.form_key("v1", session) == PEOPLE.identity.form_key("v1", session)


def test_each_use_of_the_secret_has_a_key_of_its_own() -> None:
    assert len({derived(b"s" * 32, label) for label in (SESSION, LINK, FORM, "code", "target")}) == 5
    with pytest.raises(ValueError, match="32 bytes"):
        derived(b"short", SESSION)
