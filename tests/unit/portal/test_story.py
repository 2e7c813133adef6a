"""The whole story without a script: sign in, ask, follow, download; and nobody else's data on the way."""

from __future__ import annotations

import json

import pytest

from chatapi.certificates import verify
from privacy.portal.words import LANGUAGES, words
from tests.unit.portal.reader import Portal
from tests.unit.privacy.world import PROJECT


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_owner_signs_in_asks_for_an_erasure_follows_it_and_downloads_the_proof(
    portal: Portal, language: str
) -> None:
    text = words(language)
    reader = portal.reader(language)
    # given an owner with stored data, who signs in
    page = reader.sign_in()
    assert page.status == 200
    assert text["requests.none"] in page.text.replace("&#x27;", "'")
    owner = portal.people.contacts.owner(PROJECT)
    portal.world.store(owner)
    # when they ask for its erasure and did not say that they understand, then they are told so
    refused = reader.post(page.form("requests"), type="erasure")
    assert refused.status == 400
    # when they do, then they see it under way
    page = reader.post(refused.form("requests"), type="erasure", sure="yes")
    assert text["states.received"] in page.text
    ((_, _, case_id),) = portal.executions.started
    # and when it has ended they see what was done, store by store, and get the very certificate
    portal.world.erase(portal.rights.get(PROJECT, case_id))
    page = reader.get(f"/portal/requests/{case_id}")
    assert text["outcomes.shredded"] in page.text
    assert text["states.completed"] in page.text
    file = reader.get(f"/portal/requests/{case_id}/certificate")
    assert file.headers["content-disposition"] == [f'attachment; filename="certificate-{case_id}.json"']
    assert verify(json.loads(file.text), portal.rights.jwks()) == []
    # and signing out forgets who they were
    reader.post(page.form("sign-out"))
    assert portal.people.identity.who(reader.cookies.get("chatapi-session")) is None


def test_an_end_user_comes_by_a_link_and_reaches_their_own_requests_alone(portal: Portal) -> None:
    alice, bob = portal.enter("alice"), portal.enter("bob")
    page = alice.post(alice.get("/portal/requests").form("requests"), type="erasure", sure="yes")
    ((_, _, case_id),) = portal.executions.started
    assert case_id in page.text
    assert case_id in alice.get("/portal/requests").text
    # bob sees neither the case, nor its certificate, nor can he take it back
    assert case_id not in bob.get("/portal/requests").text
    for path in ("", "/certificate"):
        assert bob.get(f"/portal/requests/{case_id}{path}").status == 404
    form = alice.get(f"/portal/requests/{case_id}").form("cancel")
    own = bob.get("/portal/requests").form("requests")
    form.fields = {"key": own.fields["key"]}
    assert bob.post(form).status == 404
    assert portal.rights.get(PROJECT, case_id).status == "received"


def test_what_the_project_asked_for_a_person_is_in_that_persons_list(portal: Portal) -> None:
    from privacy.requests import parse

    body = b'{"type": "erasure", "subject": {"user": "alice"}}'
    case = portal.rights.create(PROJECT, parse(body))
    assert case.id in portal.enter("alice").get("/portal/requests").text


def test_a_request_is_taken_back_and_then_it_is_too_late(portal: Portal) -> None:
    alice = portal.enter("alice")
    page = alice.post(alice.get("/portal/requests").form("requests"), type="erasure", sure="yes")
    form = page.form("cancel")
    assert words("en")["reasons.cancelled"] in alice.post(form).text
    again = alice.post(form)
    assert again.status == 409
    assert words("en")["request.too_late"] in again.text


def test_a_copy_is_downloaded_by_whoever_asked_for_it_alone(portal: Portal) -> None:
    alice, bob = portal.enter("alice"), portal.enter("bob")
    alice.post(alice.get("/portal/requests").form("requests"), type="access")
    ((_, _, case_id),) = portal.executions.started
    path = f"/portal/requests/{case_id}/export"
    assert alice.get(path).status == 404
    # when it is finished, then the page leads to it, by a one-time link of the API
    case = portal.rights.get(PROJECT, case_id)
    export = {"key": "k", "counts": {}, "at": 0, "expires": int(portal.world.clock.now()) + 600}
    portal.world.cases.note(case, status="completed", completed=case.created, export=export)
    assert path in alice.get(f"/portal/requests/{case_id}").links
    (location,) = alice.ask("GET", path, None).headers["location"]
    assert location.startswith("/v1/privacy/downloads/")
    assert portal.rights.download(location.rpartition("/")[2]).startswith("https://bucket.example/")
    # and bob's browser is told that there is no such page
    assert bob.get(path).status == 404


def test_a_link_shows_a_button_first_and_works_once(portal: Portal) -> None:
    link = portal.link("alice")
    reader = portal.reader()
    for _ in range(3):  # previews of it do not use it up
        page = reader.get(link)
    assert reader.post(page.form("enter")).status == 200
    other = portal.reader()
    assert other.post(other.get(link).form("enter")).status == 403


def test_without_a_session_a_persons_pages_lead_to_the_sign_in(portal: Portal) -> None:
    for path in ("requests", "requests/dsr_" + "1" * 24, "requests/dsr_" + "1" * 24 + "/certificate"):
        page = portal.reader().ask("GET", f"/portal/{path}", None)
        assert (page.status, page.headers["location"]) == (303, ["/portal/sign-in"])


def test_a_session_ends_after_fifteen_minutes(portal: Portal) -> None:
    reader = portal.reader()
    reader.sign_in()
    portal.world.clock.advance(900)
    assert reader.ask("GET", "/portal/requests", None).status == 303
