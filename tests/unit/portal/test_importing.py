"""A person has their own copy read in again by the portal: no script, clear refusals, nobody else's place."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from privacy.asking import Terms
from privacy.imports import LINK_SECONDS
from privacy.portal.words import LANGUAGES, words
from privacy.requests import MOST_ARCHIVE_BYTES, Subject
from tests.unit.portal.reader import Page, Portal, Reader
from tests.unit.privacy.test_restoring import copied, lived
from tests.unit.privacy.world import PROJECT


def place(page: Page) -> tuple[str, str]:
    """(key in the store, path to which the browser comes back) of an upload form."""
    form = page.form("store.example/")
    return form.fields["key"], urlsplit(form.fields["success_action_redirect"]).path


def subject_of(portal: Portal, user: str = "alice") -> str:
    return portal.rights.pseudonym(PROJECT, Subject(user=user))


def put(portal: Portal, key: str, data: bytes) -> None:
    portal.world.exports.keys.add(key)
    portal.world.exports.bodies[key] = data


def confirmed(portal: Portal, reader: Reader, data: bytes) -> Page:
    """What comes when a file was sent and its person confirms it."""
    key, back = place(reader.get("/portal/import"))
    put(portal, key, data)
    return reader.post(reader.get(back).form(back))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_gets_a_place_and_confirms_and_a_refusal_says_why_in_their_language(
    portal: Portal, language: str
) -> None:
    text, reader = words(language), portal.enter("alice")
    reader.language = language
    # given a place for a file, which the form hands to the store and to nobody else
    page = reader.get("/portal/import")
    assert page.form("store.example/").method == "post"
    key, back = place(page)
    assert key.startswith(f"{PROJECT}/{subject_of(portal)}/import-imp_")
    assert page.form("store.example/").fields["policy"] == f"{MOST_ARCHIVE_BYTES} {LINK_SECONDS}"
    (policy,) = page.headers["content-security-policy"]
    assert "form-action 'self' https://store.example;" in policy
    assert "32" in page.text
    # when the file was sent, then nothing happens before they say so
    (archive,) = re.findall("imp_[0-9A-Za-z]{24}", back)
    arrived = reader.get(back)
    assert text["importing.arrived"] in arrived.text.replace("&#x27;", "'")
    assert portal.executions.started == []
    # and what is refused has a reason in their language, and another place
    refused = reader.post(arrived.form(back))
    assert refused.status == 400
    assert text["importing.archive_not_found"] in refused.text.replace("&#x27;", "'")
    assert archive not in place(refused)[0]


def test_what_was_sent_is_read_in_on_the_projects_terms(portal: Portal) -> None:
    reader, subject, world = portal.enter("alice"), subject_of(portal), portal.world
    # given a copy of somebody else's, which is refused
    lived(world)
    refused = confirmed(portal, reader, copied(world))
    assert words("en")["importing.archive_of_another"] in refused.text.replace("&#x27;", "'")
    # when their own is confirmed
    page = confirmed(portal, reader, copied(world, 9, subject))
    # then the request is theirs, under the project's ceiling, and its page follows it
    ((_, _, case_id),) = portal.executions.started
    case = portal.rights.get(PROJECT, case_id)
    assert (case.type, case.get("ceiling"), case.subject) == ("import", "history", subject)
    assert words("en")["rights.import"] in page.text


@pytest.mark.parametrize(
    ("data", "ceiling", "word"),
    [
        (b"no archive", "history", "archive_invalid"),
        (b"x" * (MOST_ARCHIVE_BYTES + 1), "history", "archive_too_large"),
        (b"no archive", "none", "retention_not_permitted"),
    ],
    ids=["no archive", "too large", "nothing is kept"],
)
def test_a_refusal_says_why(portal: Portal, data: bytes, ceiling: str, word: str) -> None:
    portal.terms = Terms(ceiling)
    refused = confirmed(portal, portal.enter("alice"), data)
    assert refused.status in (400, 403)
    assert words("en")[f"importing.{word}"] in refused.text.replace("&#x27;", "'")
    assert portal.executions.started == []


def test_a_stranger_gets_no_place(portal: Portal) -> None:
    for path in ("/portal/import", "/portal/import/imp_" + "0" * 24):
        assert portal.reader().ask("GET", path, None).headers["location"] == ["/portal/sign-in"]
    assert portal.enter("alice").get("/portal/import/imp_short").status == 404
