"""Consent and opt-out: receipts, revisions, refusals with reasons, and what an erasure leaves of a choice."""

from __future__ import annotations

import json
from typing import Any

import pytest

import privacy.handler
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.catalogue import Catalogued, read_policy
from chatapi.store.consents import MAX_EVENTS, Consents
from chatapi.store.items import Change, Collision, Item, MemoryTable
from chatapi.verdict import Verdict
from privacy.consents import Choices
from privacy.executions import Followers
from privacy.handler import handler
from privacy.requests import Subject
from tests.support.strict import described
from tests.unit.privacy.test_export import asked, lines, opened
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

PATH = "/v1/privacy/consents"
WHO = {"subject": {"user": "alice@example.com"}}
DAY = 86_400


class Machine:
    """Keeps what it was started with; refuses a name that was used."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}
        self.down = False

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert (operation, payload["stateMachineArn"]) == ("StartExecution", "arn:consent")
        if self.down:
            raise AwsUnavailable("Timeout")
        if payload["name"] in self.started:
            raise AwsError("ExecutionAlreadyExists", 400)
        self.started[payload["name"]] = json.loads(payload["input"])
        return {}


class Api:
    """The routes, called with a project's key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.consents = Consents(Catalogued(self.world.requests, "requests"))

        def pseudonym(project: str, subject: Subject) -> str:
            return ALICE if subject.user.startswith("alice") else BOB

        self.flags: list[tuple[str, str]] = []
        self.silent = False

        def flag(project: str, purpose: str) -> None:
            if self.silent:
                raise AwsUnavailable("Timeout")
            self.flags.append((project, purpose))

        self.machine = Machine()
        followers = Followers(self.machine, "arn:consent", self.world.clock)
        choices = Choices(self.consents, self.world.clock, pseudonym, flag, followers)
        monkeypatch.setattr(privacy.handler._choices, "made", choices)

    def call(self, body: Any, path: str = PATH, outcome: str = "ok", project: str = PROJECT) -> tuple[int, Any]:
        context = {"requestId": "r", "authorizer": Verdict(project, "k1", outcome=outcome).to_context()}
        event = {"httpMethod": "POST", "path": path, "headers": {}, "requestContext": context}
        more = {"body": json.dumps(body), "queryStringParameters": None, "isBase64Encoded": False}
        answer = handler({**event, **more}, None)
        status, told = answer["statusCode"], json.loads(answer["body"])
        if status == 200:
            described("ConsentReceipt" if path == PATH else "ConsentList", told)
        return status, told

    def choose(self, state: str, purpose: str = "marketing", project: str = PROJECT) -> tuple[int, Any]:
        return self.call({**WHO, "purpose": purpose, "state": state}, project=project)

    def allowed(self, project: str = PROJECT, who: Any = None) -> dict[str, bool]:
        status, found = self.call(who or WHO, PATH + "/query", project=project)
        assert status == 200
        return {one["purpose"]: one["allowed"] for one in found["data"]}

    def erase(self) -> None:
        case = self.world.case(ALICE)
        assert self.world.erase(case)[-1] == "Erased"


OFF = {"analytics": False, "improvement": False, "marketing": False}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)


def test_everything_is_off_until_consent_is_given_to_it_alone_by_that_person_in_that_project(api: Api) -> None:
    assert api.allowed() == OFF
    assert api.choose("granted")[0] == 200
    assert api.allowed() == {**OFF, "marketing": True}
    assert api.allowed(project="projectB") == OFF
    assert api.allowed(who={"subject": {"user": "bob"}}) == OFF


def test_a_receipt_names_record_revision_and_policy_and_never_the_person(api: Api) -> None:
    _, first = api.choose("granted")
    assert api.choose("granted")[1] == first  # the same choice is the same receipt
    api.world.clock.advance(5)
    _, second = api.choose("withdrawn")
    record = second["record"]
    assert second["receipt_id"] == record["record_id"] + ".2"
    assert first["receipt_id"] == record["record_id"] + ".1"
    assert record["privacy_notice"] == read_policy("versions")["current"]
    assert [event["event_type"] for event in record["events"]] == ["consent-given", "consent-withdrawn"]
    assert record["pii_principal_id"] == ALICE
    assert "alice@" not in json.dumps(second) + repr(api.world.requests.rows)


def test_a_choice_is_pinned_to_the_policy_it_was_made_under(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.choose("granted")
    monkeypatch.setitem(read_policy("versions"), "current", "2027-01-01")
    _, receipt = api.choose("granted")
    assert [event["privacy_notice"] for event in receipt["record"]["events"]] == ["2025-08-04", "2027-01-01"]


def test_a_grant_is_put_to_use_and_a_withdrawal_needs_nothing(api: Api) -> None:
    api.choose("granted", "analytics")
    assert api.flags == [(PROJECT, "analytics")]
    api.silent = True
    assert api.choose("withdrawn", "analytics")[0] == 200


def test_a_grant_that_is_not_in_use_yet_says_so_and_is_when_it_is_sent_again(api: Api) -> None:
    api.silent = True
    assert api.choose("granted", "analytics")[0] == 503
    api.silent = False
    status, receipt = api.choose("granted", "analytics")
    assert (status, receipt["record"]["revision"], api.flags) == (200, 1, [(PROJECT, "analytics")])


def test_each_choice_is_followed_once_with_opaque_ids_alone(api: Api) -> None:
    _, receipt = api.choose("granted", "analytics")
    api.choose("granted", "analytics")
    ((name, given),) = api.machine.started.items()
    assert name == receipt["receipt_id"].replace(".", "-")
    ids = {"project": PROJECT, "subject": ALICE, "request": receipt["receipt_id"]}
    assert given == {**ids, "purpose": "analytics", "revision": 1}
    api.choose("withdrawn", "analytics")
    assert [start["revision"] for start in api.machine.started.values()] == [1, 2]
    # and one that did not come to its end is followed again when the choice is sent again, later
    api.world.clock.advance(3600)
    api.choose("withdrawn", "analytics")
    assert [start["revision"] for start in api.machine.started.values()] == [1, 2, 2]


def test_a_choice_that_nobody_can_be_told_of_yet_says_so_and_stands(api: Api) -> None:
    api.machine.down = True
    assert api.choose("withdrawn")[0] == 503
    api.machine.down = False
    assert api.allowed()["marketing"] is False
    assert api.choose("withdrawn")[1]["record"]["revision"] == 1
    assert len(api.machine.started) == 1


@pytest.mark.parametrize("purpose", ["service", "security", "accountability"])
def test_a_purpose_that_is_not_optional_is_refused_with_the_reason(api: Api, purpose: str) -> None:
    status, body = api.choose("withdrawn", purpose)
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "purpose_not_optional", "purpose")
    assert read_policy("purposes")["purposes"][purpose]["reason"] in body["error"]["message"]
    assert not api.world.requests.rows


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**WHO, "purpose": "canary-purpose", "state": "granted"}, "unknown_purpose"),
        ({**WHO, "purpose": "marketing", "state": "canary-state"}, "invalid_value"),
        ({**WHO, "purpose": "marketing"}, "missing_required_parameter"),
        ({"subject": {"user": "a", "owner": True}, "purpose": "marketing", "state": "granted"}, "invalid_value"),
        ({**WHO, "purpose": "p" * 65, "state": "granted"}, "invalid_value"),
    ],
)
def test_what_is_none_is_refused_and_never_quoted(api: Api, body: Any, code: str) -> None:
    status, answer = api.call(body)
    assert (status, answer["error"]["code"]) == (400, code)
    assert "canary" not in json.dumps(answer)
    assert not api.world.requests.rows


@pytest.mark.parametrize("path", [PATH, PATH + "/query"])
def test_a_key_without_the_scope_learns_nothing(api: Api, path: str) -> None:
    assert api.call({"nonsense": 1}, path, outcome="forbidden")[0] == 403


def test_an_objection_outlives_an_erasure_and_a_grant_does_not(api: Api) -> None:
    # given
    api.choose("withdrawn", "marketing")
    api.choose("granted", "analytics")
    api.world.store(ALICE)
    # when
    api.erase()
    # then
    rows = api.consents.all(PROJECT, ALICE, api.world.clock.now())
    assert {name: (row["state"], row["by"]) for name, row in rows.items()} == {
        "marketing": ("withdrawn", "project"),
        "analytics": ("withdrawn", "erasure"),
    }
    # and for good: the objection has no term, the proof of the grant has one
    api.world.clock.advance(1096 * DAY)
    assert set(api.consents.all(PROJECT, ALICE, api.world.clock.now())) == {"marketing"}
    # and after its term the purpose can be chosen again, whether its row is swept away yet or not
    status, receipt = api.choose("granted", "analytics")
    assert (status, len(receipt["record"]["events"])) == (200, 1)
    assert api.allowed()["analytics"] is True


def test_an_objection_to_marketing_stands_for_a_contact_that_is_added_again(api: Api) -> None:
    # given a person who objected and was erased
    api.world.kept.put(api.world.kept.writer(PROJECT, ALICE), "contact", [("contact", b"alice@example.com")])
    api.choose("withdrawn", "marketing")
    api.erase()
    # when the same contact is added again
    api.world.clock.advance(1)
    api.world.kept.put(api.world.kept.writer(PROJECT, ALICE), "contact", [("contact", b"alice@example.com")])
    # then the objection is found, by a keyed hash alone, and stands
    rows = [row for row in api.world.requests.rows.values() if row["kind"] == "consent"]
    assert api.allowed()["marketing"] is False
    assert [row["state"] for row in rows] == ["withdrawn"]
    assert "alice@" not in repr(rows)


def test_an_objection_after_an_erasure_has_no_term_either(api: Api) -> None:
    api.choose("granted")
    api.erase()
    api.choose("withdrawn")
    api.world.clock.advance(1096 * DAY)
    assert set(api.consents.all(PROJECT, ALICE, api.world.clock.now())) == {"marketing"}


def test_a_repeated_erasure_leaves_what_a_person_who_came_back_grants(api: Api) -> None:
    before = api.world.clock.now()
    api.world.clock.advance(10)
    api.choose("granted")
    api.consents.erased(PROJECT, [ALICE], before, api.world.clock.now())
    assert api.allowed()["marketing"] is True


def test_an_export_has_what_was_chosen_and_of_nobody_else(api: Api) -> None:
    api.choose("withdrawn")
    api.call({"subject": {"user": "bob"}, "purpose": "analytics", "state": "granted"})
    case = asked(api.world)
    assert api.world.export(case)[-1] == "Done"
    found = lines(opened(api.world, case), "consents.jsonl")
    assert [(one["pii_principal_id"], one["event_state"]) for one in found] == [(ALICE, "withdrawn")]


class Contended(MemoryTable):
    """A table in which somebody else chooses just before every write, `left` times."""

    left = 0

    def update(self, pk: str, sk: str | None, change: Change) -> Item:
        if self.left:
            self.left -= 1
            super().update(pk, sk, Change(put={"kind": "consent", "state": "granted", "at": 1}, add={"rev": 1}))
            found = self.rows[pk, sk]
            found.update({"id": "con_x", "by": "project", "policy": "old", "events": []})
        return super().update(pk, sk, change)


def test_of_choices_at_once_none_is_lost_without_a_word() -> None:
    table = Contended()
    consents = Consents(Catalogued(table, "requests"))
    table.left = 3
    assert consents.choose(PROJECT, ALICE, "marketing", "withdrawn", 1)["rev"] == 4
    table.left = 100
    with pytest.raises(Collision):
        consents.choose(PROJECT, ALICE, "marketing", "granted", 2)


def test_a_row_remembers_a_bounded_number_of_changes() -> None:
    consents = Consents(Catalogued(MemoryTable(), "requests"))
    for turn in range(MAX_EVENTS + 5):
        row = consents.choose(PROJECT, ALICE, "marketing", ("granted", "withdrawn")[turn % 2], turn)
    assert (row["rev"], len(row["events"]), row["events"][0]["rev"]) == (MAX_EVENTS + 5, MAX_EVENTS, 6)


@pytest.mark.parametrize("again", [False, True])
def test_what_a_person_withdrew_themselves_they_alone_allow_again(monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    api = Api(monkeypatch)
    choose = {**WHO, "purpose": "analytics"}
    # given a person who withdrew in the portal, whom the project says to have withdrawn too
    api.call({**choose, "state": "granted"})
    api.consents.choose(PROJECT, ALICE, "analytics", "withdrawn", api.world.clock.now(), "person")
    if again:
        row = api.consents.get(PROJECT, ALICE, "analytics")
        assert row is not None
        api.consents.note(row, policy="of before")  # so that the same choice is written anew
        assert api.call({**choose, "state": "withdrawn"})[0] == 200
    # then the project cannot allow it
    status, refused = api.call({**choose, "state": "granted"})
    assert (status, refused["error"]["code"]) == (409, "withdrawn_by_person")
    assert api.consents.granted(PROJECT, ALICE, api.world.clock.now()) == frozenset()
    # and the person can; what the project withdraws afterwards it may allow again
    api.consents.choose(PROJECT, ALICE, "analytics", "granted", api.world.clock.now(), "person")
    assert api.call({**choose, "state": "withdrawn"})[0] == 200
    assert api.call({**choose, "state": "granted"})[0] == 200
