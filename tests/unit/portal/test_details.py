"""Correction, completion, restriction and objection in the portal: no script needed, and nothing typed is lost."""

from __future__ import annotations

import pytest

from privacy.portal.cases import ASKED_HERE
from privacy.portal.words import LANGUAGES, words
from tests.unit.portal.reader import Page, Portal, Reader
from tests.unit.privacy.world import PROJECT


def chosen(reader: Reader, right: str) -> Page:
    """The page that follows the choice of a right."""
    return reader.post(reader.get("/portal/requests").form("requests"), type=right)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_has_a_text_of_a_stored_chat_corrected(portal: Portal, language: str) -> None:
    text, alice = words(language), portal.enter("alice")
    alice.language = language
    subject = portal.people.identity.who(alice.cookies["chatapi-session"])
    assert subject is not None
    record = portal.world.store(subject.subject)
    # given somebody who has chosen to have something corrected
    page = chosen(alice, "correction")
    # when what they name is no text of a record, then they are told so, and what they typed is still there
    page = alice.post(page.form("ask/correction"), record="everything", path="/x", value="the <right> text")
    assert page.status == 400
    assert text["details.refused"] in page.text.replace("&#x27;", "'")
    assert "the &lt;right&gt; text" in page.text
    assert portal.executions.started == []
    # when they name one, then the request is under way, and its case does not hold the text
    given = {"record": record, "path": "/messages/0/content", "value": "the <right> text", "conversation": ""}
    page = alice.post(page.form("ask/correction"), **given)
    ((_, _, case_id),) = portal.executions.started
    case = portal.rights.get(PROJECT, case_id)
    assert (case.type, case.status) == ("correction", "received")
    assert "right" not in repr(case.facts)
    assert text["rights.correction"] in page.text.replace("&#x27;", "'")


@pytest.mark.parametrize("letter", ["a", "\u0639"])
def test_a_text_that_is_too_long_is_refused_in_words_that_say_so(portal: Portal, letter: str) -> None:
    alice = portal.enter("alice")
    form, named = chosen(alice, "completion").form("ask/completion"), {"record": "resp_" + "1" * 24}
    assert alice.post(form, **named, text=letter * 2500).status == 200
    page = alice.post(form, **named, text=letter * 17_000)
    assert (page.status, words("en")["errors.request_too_large"] in page.text) == (413, True)
    assert len(portal.executions.started) == 1


def test_a_statement_beside_a_record_and_a_restriction_are_asked_for_and_ended(portal: Portal) -> None:
    alice = portal.enter("alice")
    page = chosen(alice, "completion")
    alice.post(page.form("ask/completion"), record="resp_" + "1" * 24, text="one\r\ntwo")
    page = chosen(alice, "restriction")
    alice.post(page.form("ask/restriction"), restricted="yes")
    alice.post(page.form("ask/restriction"), restricted="no")
    asked = [portal.rights.get(PROJECT, case_id) for _, _, case_id in portal.executions.started]
    assert [case.type for case in asked] == ["completion", "restriction", "restriction"]
    assert [case.get("restricted") for case in asked] == [None, True, False]


def test_an_objection_leads_to_the_choices(portal: Portal) -> None:
    alice = portal.enter("alice")
    assert words("en")["choices.title"] in chosen(alice, "objection").text


def test_every_right_can_be_asked_for_here(portal: Portal) -> None:
    alice = portal.enter("alice")
    page = alice.get("/portal/requests")
    radios = {fields["value"] for tag, fields in page.tags if tag == "input" and fields.get("type") == "radio"}
    assert radios == set(ASKED_HERE)
    for right in ASKED_HERE:
        assert chosen(alice, right).status == (400 if right == "erasure" else 200)  # that one wants to be sure


def test_only_the_owner_is_told_how_to_correct_the_contact(portal: Portal) -> None:
    hint = words("en")["details.contact"]
    assert hint not in chosen(portal.enter("alice"), "correction").text
    reader = portal.reader()
    reader.sign_in()
    assert hint in chosen(reader, "correction").text
