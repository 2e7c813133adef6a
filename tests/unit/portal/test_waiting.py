"""A request that waits for identity goes on when its person says so, and its clock with it (GDPR Art. 12(6))."""

from __future__ import annotations

import pytest

from chatapi.store.case_states import COMPLETED, ON_HOLD, RECEIVED, START
from chatapi.store.cases import Case
from chatapi.vault import project_pepper, subject_id
from privacy.intake.service import INTAKE
from privacy.portal.words import LANGUAGES, words
from privacy.waiting import settled
from tests.unit.identity.world import OWNER, PEPPER
from tests.unit.portal.reader import Portal
from tests.unit.privacy.world import PROJECT

DAY = 86_400


def own(portal: Portal, user: str, right: str) -> Case:
    """A case that the officer stopped, since it was in doubt who asked."""
    from privacy.requests import Subject

    subject = portal.rights.pseudonym(PROJECT, Subject(user=user))
    case = portal.world.cases.create(PROJECT, f"dsr_{1:024d}", right, subject, portal.world.clock.now())
    return portal.world.cases.pause(case, portal.world.clock.now())


def claimed(portal: Portal, address: str, **facts: str) -> Case:
    """A case of a mail, or of an agent's message that names an address."""
    subject = subject_id(project_pepper(PEPPER, INTAKE), "user", address.lower())
    case = portal.world.cases.create(INTAKE, f"dsr_{2:024d}", INTAKE, subject, portal.world.clock.now(), **facts)
    return portal.world.cases.pause(case, portal.world.clock.now())


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_came_by_a_link_sees_what_waits_and_lets_it_go_on(portal: Portal, language: str) -> None:
    # given a request that has waited for three days
    case, text = own(portal, "alice", "access"), words(language)
    due = int(case.get("due"))
    portal.world.clock.advance(3 * DAY)
    reader = portal.reader(language)
    reader.post(reader.get(portal.link("alice")).form("enter"))
    # when its person comes, then it is shown, and looking alone changes nothing
    path = f"/portal/requests/{case.id}/confirm"
    assert text["waiting.title"] in reader.get("/portal/requests").text
    assert path in reader.get("/portal/requests").links
    page = reader.get(path)
    portal.world.clock.advance(60)
    assert portal.rights.get(PROJECT, case.id).status == ON_HOLD
    assert portal.executions.started == []
    # when they say that it is theirs, then it goes on, and the pause ends at that moment exactly
    shown = reader.post(page.form("confirm"))
    assert text["states.received"] in shown.text
    standing = portal.rights.get(PROJECT, case.id)
    assert (standing.status, standing.get("due")) == (RECEIVED, due + 3 * DAY + 60)
    assert {started[2] for started in portal.executions.started} == {case.id}
    # and once more changes neither
    portal.world.clock.advance(60)
    reader.post(page.form("confirm"))
    assert portal.rights.get(PROJECT, case.id).get("due") == due + 3 * DAY + 60
    assert text["waiting.title"] not in reader.get("/portal/requests").text


def test_an_erasure_goes_on_only_for_who_says_that_they_understand(portal: Portal) -> None:
    case = own(portal, "alice", "erasure")
    reader = portal.enter("alice")
    page = reader.get(f"/portal/requests/{case.id}/confirm")
    refused = reader.post(page.form("confirm"))
    assert (refused.status, portal.rights.get(PROJECT, case.id).status) == (400, ON_HOLD)
    reader.post(page.form("confirm"), sure="yes")
    assert portal.rights.get(PROJECT, case.id).status == RECEIVED


def test_what_waits_for_somebody_is_nobody_elses(portal: Portal) -> None:
    cases = (own(portal, "alice", "access"), claimed(portal, "someone@example.com"))
    # an end user, and an owner who has read a code at another address
    for reader in (portal.enter("bob"), portal.reader()):
        page = reader.sign_in() if not reader.cookies.get("chatapi-session") else reader.get("/portal/requests")
        form = page.form("requests")
        for case in cases:
            path = f"/portal/requests/{case.id}/confirm"
            assert path not in page.links
            assert reader.get(path).status == 404
            form.action = path
            assert reader.post(form).status == 404
    assert {portal.world.cases.get(case.project, case.id).status for case in cases} == {ON_HOLD}


def test_a_mails_request_is_taken_over_by_who_reads_a_code_at_its_address(portal: Portal) -> None:
    # given a mail from the owner's address, written otherwise, and an owner who signs in
    case = claimed(portal, OWNER.upper(), channel="mail")
    due = int(case.get("due"))
    portal.world.clock.advance(DAY)
    reader = portal.reader()
    path = f"/portal/requests/{case.id}/confirm"
    assert path in reader.sign_in().links
    # when they say that it is theirs
    page = reader.post(reader.get(path).form("confirm"))
    # then they are thanked, the officer's clock runs, and the case says whose it is
    assert words("en")["waiting.known"] in page.text
    standing = portal.world.cases.get(INTAKE, case.id)
    assert (standing.status, standing.get("due")) == (RECEIVED, due + DAY)
    assert standing.get("confirmed") == {"project": PROJECT, "case": ""}
    assert portal.executions.started == []


def test_an_agents_request_becomes_the_persons_own_with_what_is_left_of_its_time(portal: Portal) -> None:
    # given an agent's request that has waited for ten days
    case = claimed(portal, OWNER, channel="drp", asks="access")
    due = int(case.get("due"))
    portal.world.clock.advance(10 * DAY)
    reader = portal.reader()
    reader.sign_in()
    confirm = reader.get(f"/portal/requests/{case.id}/confirm").form("confirm")
    portal.world.clock.advance(5)
    # when the person goes on, then a request of their own is under way, with the agent's clock
    reader.post(confirm)
    reader.post(confirm)
    ((_, project, mine),) = {(started[0], started[1], started[2]) for started in portal.executions.started}
    standing = portal.rights.get(project, mine)
    assert (standing.type, standing.subject) == ("access", portal.people.contacts.owner(PROJECT))
    assert standing.get("due") <= due + 10 * DAY + 5
    agents = portal.world.cases.get(INTAKE, case.id)
    assert (agents.status, agents.get("due")) == (RECEIVED, due + 10 * DAY + 5)
    assert agents.get("confirmed") == {"project": PROJECT, "case": mine}
    # and the agent's ends with it, and not before
    cases, now = portal.world.cases, portal.world.clock.now()
    assert settled(cases, agents, now).status == RECEIVED
    cases.act(standing, START)
    assert settled(cases, agents, now).status == RECEIVED
    cases.note(standing, status=COMPLETED)
    assert settled(cases, agents, now).status == COMPLETED


@pytest.mark.parametrize(("end", "expected"), [("deny", "failed"), ("cancel", "cancelled")])
def test_an_agents_request_ends_as_the_persons_own(portal: Portal, end: str, expected: str) -> None:
    case = claimed(portal, OWNER, channel="drp", asks="access")
    reader = portal.reader()
    reader.sign_in()
    reader.post(reader.get(f"/portal/requests/{case.id}/confirm").form("confirm"))
    cases = portal.world.cases
    mine = cases.get(PROJECT, portal.executions.started[0][2])
    cases.deny(mine, "excessive", portal.world.clock.now()) if end == "deny" else cases.cancel(mine)
    ended = settled(cases, cases.get(INTAKE, case.id), portal.world.clock.now())
    assert (ended.status, ended.open) == (expected, False)
