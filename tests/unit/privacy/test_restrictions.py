"""Restriction: what is stored is kept, and nobody but the person is served with it, until it is lifted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chatapi.catalogue import Catalogued
from chatapi.errors import ProcessingRestricted
from chatapi.store.cases import Case
from chatapi.store.consents import Consents
from chatapi.vault import SubjectFrozen, lifecycle
from chatapi.vault.errors import Conflict
from privacy.requests import Wish, complete, show
from tests.unit.privacy.api import REQUESTS, Api, code
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World


def asked(world: World, number: int = 8, *, restricted: bool = True) -> Case:
    wish = complete(Wish(type="restriction", restricted=restricted))
    target, facts = world.asking.prepare(PROJECT, ALICE, wish)
    return world.cases.create(
        PROJECT, f"dsr_{number:024d}", "restriction", ALICE, world.clock.now(), target=target, **facts
    )


def restricted() -> tuple[World, str]:
    world = World()
    name = world.store(ALICE, b'{"hello": 1}')
    world.store(BOB, b"bob")
    assert world.change(asked(world))[-1] == "Done"
    return world, name


def test_nothing_stored_is_read_written_listed_or_deleted_by_warm_functions_either() -> None:
    # given a function that has the key in memory
    world = World()
    name = world.store(ALICE, b"hello")
    late, stored = world.kept.writer(PROJECT, ALICE), world.completions.load(PROJECT, name)
    # when
    world.change(asked(world))
    # then its very next call is refused, for that person alone
    with pytest.raises(ProcessingRestricted):
        world.completions.load(PROJECT, name)
    with pytest.raises(ProcessingRestricted):
        world.completions.delete(PROJECT, name)
    with pytest.raises(ProcessingRestricted):
        world.completions.replace(stored, b"x", tags=frozenset())
    with pytest.raises(ProcessingRestricted):
        world.kept.writer(PROJECT, ALICE)
    bob = world.store(BOB, b"bob")
    assert [stored.id for stored in world.completions.list(PROJECT)[0]] == [bob]
    # and a writer who was on the way takes back what it wrote
    rows = dict(world.records.rows)
    with pytest.raises(SubjectFrozen):
        world.kept.put(late, "response", [("resp_1", b"late")])
    assert world.records.rows == rows


def test_lifted_it_is_as_before_and_the_receipts_say_since_when() -> None:
    world, name = restricted()
    first = world.cases.get(PROJECT, f"dsr_{8:024d}")
    assert show(first)["reason"] == "restricted"
    assert world.certificate(first)["payload"]["restricted"] is True
    assert world.outcomes(first)["vault"] == [("recorded", 1)]
    lifting = asked(world, 9, restricted=False)
    assert world.change(lifting)[-1] == "Done"
    assert world.completions.load(PROJECT, name).body == b'{"hello": 1}'
    assert show(world.again(lifting))["reason"] == "lifted"
    assert world.certificate(lifting)["payload"]["restricted"] is False


def test_the_persons_own_copy_and_an_erasure_go_on_and_a_return_begins_free() -> None:
    world, _ = restricted()
    access = world.cases.create(PROJECT, "dsr_" + "7" * 24, "access", ALICE, world.clock.now())
    assert world.export(access)[-1] == "Done"
    assert world.erase(world.case())[-1] == "Erased"
    assert world.rows_of(ALICE) == []
    world.store(ALICE, b"back")


def test_somebody_of_whom_nothing_is_stored_gets_a_receipt() -> None:
    world = World()
    case = asked(world)
    world.change(case)
    assert (world.again(case).status, show(world.again(case))["reason"]) == ("completed", None)
    assert world.outcomes(case)["vault"] == [("nothing_found", 0)]
    assert world.certificate(case)["payload"]["restricted"] is True


def test_the_mark_survives_what_else_happens_to_the_item_and_ends_with_the_generation() -> None:
    item = lifecycle.new("p", "s", 1, b"w" * 40, "arn", now=1)
    marked = lifecycle.restricted(item, 1, "dsr_1")
    assert lifecycle.restricted(marked, 1, "dsr_2") is marked
    frozen = lifecycle.frozen(marked, 1, "case")
    assert lifecycle.unfrozen(frozen, 1, "case").restricted == "dsr_1"
    assert lifecycle.rekeyed(marked, {1: b"v" * 40}, "arn2").restricted == "dsr_1"
    gone = lifecycle.destroyed(frozen, 1, 2, "case")
    assert gone.restricted is None
    for wrong in (None, gone, replace(item, generation=2)):
        with pytest.raises(Conflict):
            lifecycle.restricted(wrong, 1, "dsr_1")
    assert lifecycle.restricted(marked, 1, None) == replace(item, revision=3)


def test_a_statement_is_kept_beside_its_record_and_goes_with_it() -> None:
    world = World()
    name = world.store(ALICE, json.dumps({"messages": [], "completion": {"metadata": {}}}).encode())
    foreign = world.store(BOB, b"{}")
    texts = [{"record": record, "text": "tweety-4711"} for record in (name, foreign)]
    wish = complete(Wish.model_validate({"type": "completion", "statements": texts}))
    target, facts = world.asking.prepare(PROJECT, ALICE, wish)
    case = world.cases.create(
        PROJECT, "dsr_" + "6" * 24, "completion", ALICE, world.clock.now(), target=target, **facts
    )
    assert world.change(case)[-1] == "Done"
    assert [entry["outcome"] for entry in world.again(case).get("changes")] == ["kept_beside", "nothing_found"]
    assert "tweety" not in repr(world.requests.rows) + repr(world.records.rows)
    [row] = [row for row in world.records.rows.values() if row["kind"] == "statement"]
    assert row["ttl"] == next(r["ttl"] for r in world.records.rows.values() if r["sk"].startswith("completion#" + name))
    world.completions.delete(PROJECT, name)
    assert not [row for row in world.records.rows.values() if row["kind"] == "statement"]


def test_an_objection_is_obeyed_before_its_case_is_worked_on(api: Api) -> None:
    world, who = api.world, {"user": "alice@example.com"}
    status, case = api.call("POST", REQUESTS, {"type": "objection", "subject": who, "purpose": "marketing"})
    assert (status, case["result"]) == (202, {"purpose": "marketing"})
    subject = world.cases.get(PROJECT, case["id"]).subject
    rows = Consents(Catalogued(world.requests, "requests")).all(PROJECT, subject, 0)
    assert rows["marketing"]["state"] == "withdrawn"
    world.change(world.cases.get(PROJECT, case["id"]))
    assert world.certificate(world.cases.get(PROJECT, case["id"]))["payload"]["purpose"] == "marketing"


WHO = {"subject": {"user": "alice"}}
CHAT = "chatcmpl-" + "0" * 29


def fix(**changes: object) -> dict[str, object]:
    change = {"record": CHAT, "path": "/messages/0/content", "value": "x", **changes}
    return {"type": "correction", "changes": [{name: value for name, value in change.items() if value is not None}]}


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"type": "correction"}, (400, "missing_required_parameter", "changes")),
        ({"type": "correction", "changes": []}, (400, "empty_array", "changes")),
        ({"type": "access", "changes": fix()["changes"]}, (400, "unknown_parameter", "changes")),
        ({"type": "access", "restricted": True}, (400, "unknown_parameter", "restricted")),
        (fix(record="resp_x/y"), (400, "invalid_value", "changes[0].record")),
        (fix(record="dsr_1"), (400, "invalid_value", "changes[0]")),
        (fix(path="/messages/0/role"), (400, "invalid_value", "changes[0]")),
        (fix(path="/completion/id"), (400, "invalid_value", "changes[0]")),
        (fix(path="/completion/metadata/a", value="x" * 513), (400, "invalid_value", "changes[0]")),
        (fix(conversation="conv_1"), (400, "invalid_value", "changes[0]")),
        (fix(record="msg_" + "0" * 29, path="/content"), (400, "invalid_value", "changes[0]")),
        (fix(record="contact", path="/address", value="nobody"), (400, "invalid_value", "changes[0]")),
        (fix(value=7), (400, "invalid_type", "changes[0].value")),
        (fix(value=None), (400, "missing_required_parameter", "changes[0].value")),
        (fix(value="x" * 20_000), (413, "request_too_large", None)),
        ({"type": "correction", "changes": [fix()["changes"][0]] * 2}, (400, "invalid_value", "changes")),  # type: ignore[index]
        ({"type": "correction", "changes": [fix()["changes"][0]] * 21}, (400, "invalid_value", "changes")),  # type: ignore[index]
        ({"type": "completion"}, (400, "missing_required_parameter", "statements")),
        (
            {"type": "completion", "statements": [{"record": "msg_1", "text": "x"}]},
            (400, "invalid_value", "statements[0]"),
        ),
        ({"type": "restriction", "restricted": "no"}, (400, "invalid_type", "restricted")),
        ({"type": "objection"}, (400, "missing_required_parameter", "purpose")),
        ({"type": "objection", "purpose": "pleasure"}, (400, "unknown_purpose", "purpose")),
        ({"type": "objection", "purpose": "service"}, (400, "purpose_not_optional", "purpose")),
    ],
)
def test_what_does_not_fit_its_type_is_refused_and_nothing_is_kept(
    api: Api, body: dict[str, object], refused: tuple[int, str, str | None]
) -> None:
    assert code(api.call("POST", REQUESTS, {**WHO, **body})) == refused
    assert api.world.requests.rows == {}


def test_what_was_handed_in_is_forgotten_when_it_is_taken_back_and_a_repeat_hands_in_nothing(api: Api) -> None:
    # given a person with something stored
    name = api.create("alice")
    subject = api.world.cases.get(PROJECT, name).subject
    handle = api.world.kept.writer(PROJECT, subject)
    status, case = api.call("POST", REQUESTS, {**WHO, **fix()}, idempotency_key="one")
    assert (status, len(api.world.kept.page(handle, "change")[0])) == (202, 1)
    # when it is taken back
    assert api.call("POST", f"{REQUESTS}/{case['id']}/cancel")[0] == 200
    # then nothing of it is left, nor comes back with a repeat
    assert api.world.kept.page(handle, "change")[0] == []
    assert api.call("POST", REQUESTS, {**WHO, **fix()}, idempotency_key="one")[1]["status"] == "cancelled"
    assert api.world.kept.page(handle, "change")[0] == []
