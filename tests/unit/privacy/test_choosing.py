"""What follows a choice: a receipt signed once, verified offline, and recipients that are told until they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import privacy.choosing.handler
from chatapi.catalogue import Catalogued
from chatapi.certificates import MemorySigner, canonical, seal_receipt, verify, verify_receipt
from chatapi.store.consents import Consents
from chatapi.store.days import Days
from chatapi.store.holds import Holds
from chatapi.store.items import Collision, Item
from chatapi.store.marks import Marks
from chatapi.store.webhooks import Webhooks
from chatapi_cli.verify import verify_file
from privacy.choosing.handler import handler
from privacy.choosing.tasks import Ports, run, sign
from privacy.consents import receipt, signed
from privacy.tasks.running import TaskFailed
from privacy.tasks.tell import ACKNOWLEDGED, NOT_REACHED, WAITS
from privacy.webhooks import Teller
from tests.support.canary import Canary
from tests.unit.privacy.machine import definition, execute
from tests.unit.privacy.test_webhooks import Hook
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

URL = "https://hooks.example.org/privacy"


class Chosen(World):
    """A person who has made a choice, in a project whose webhook answers as told."""

    def __init__(self, *answers: int | None) -> None:
        super().__init__()
        self.hook = Hook(*(answers or (200,)))
        table = Catalogued(self.requests, "requests")
        self.webhooks = Webhooks(table, lambda: b"w" * 86)
        self.consents = Consents(table)
        teller = Teller(self.webhooks, self.hook)
        kept = Catalogued(self.records, "records")
        self.choosing = Ports(
            self.consents, kept, Marks(table, self.clock), self.wraps, self.signer, teller, self.clock, Holds(table)
        )

    def choose(self, state: str = "withdrawn", purpose: str = "analytics") -> Item:
        self.clock.advance(1)
        return self.consents.choose(PROJECT, ALICE, purpose, state, self.clock.now())

    def sample(self, subject: str, count: int = 1) -> None:
        handle = self.kept.writer(PROJECT, subject)
        self.kept.put(handle, "sample", [(f"smp_{number:024}", b"{}") for number in range(count)])

    def samples(self, subject: str) -> int:
        return sum(row["kind"] == "sample" and f"#{subject}#" in row["pk"] for row in self.records.rows.values())

    def row(self) -> Item:
        found = self.consents.get(PROJECT, ALICE, "analytics")
        assert found is not None
        return found

    def follow(self, revision: int = 1, purpose: str = "analytics") -> list[str]:
        """One execution of the machine; the states it went through."""
        given = {"subject": ALICE, "purpose": purpose, "revision": revision}

        def invoke(payload: dict[str, Any]) -> dict[str, Any]:
            names = ("task", "project", "subject", "purpose", "revision")
            return run(self.choosing, *(payload[name] for name in names))

        return execute(invoke, PROJECT, "con.1", machine=definition("consent"), given=given)

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.signer.jwk()]}


def test_a_receipt_is_signed_once_and_verifies_offline(tmp_path: Path) -> None:
    world = Chosen()
    world.choose()
    assert signed(world.row())["jws"] is None
    assert world.follow()[-1] == "Told"
    first = signed(world.row())
    world.follow()
    assert signed(world.row()) == first
    assert world.signer.signatures == 1
    assert verify_receipt(first, world.jwks) == []
    # and by the command, from files
    (tmp_path / "receipt.json").write_text(json.dumps(first))
    (tmp_path / "jwks.json").write_text(json.dumps(world.jwks))
    assert verify_file(tmp_path / "receipt.json", str(tmp_path / "jwks.json")) == []


def test_a_choice_that_is_made_anew_has_a_receipt_of_its_own() -> None:
    world = Chosen()
    old = world.choose("granted")
    world.follow()
    world.choose()
    assert signed(world.row())["jws"] is None
    # a late run of the former choice signs and tells nothing
    sign(world.choosing, old)
    world.follow(revision=1)
    assert signed(world.row())["jws"] is None
    world.follow(revision=2)
    assert signed(world.row())["record"]["revision"] == 2
    assert verify_receipt(signed(world.row()), world.jwks) == []


@pytest.mark.parametrize(
    "change",
    [
        {"receipt_id": "con_x.1"},
        {"jws": "a.b.c"},
        {"jws": None},
        {"jws": 7},
        {"more": 1},
        {"object": "privacy.certificate"},
        {"record": None},
        {"record": {"event_state": "granted"}},
        {"record": {"x": 1.5}},
    ],
)
def test_what_was_changed_does_not_verify(change: dict[str, Any]) -> None:
    world = Chosen()
    world.choose()
    world.follow()
    assert verify_receipt({**signed(world.row()), **change}, world.jwks) != []


def test_a_receipt_is_no_certificate_and_another_key_is_none() -> None:
    world = Chosen()
    world.choose()
    world.follow()
    document = signed(world.row())
    assert verify(document, world.jwks) == ["not a certificate"]
    assert verify(
        {"object": "privacy.certificate", "payload": receipt(world.row()), "jws": document["jws"]}, world.jwks
    )
    assert verify_receipt(document, {"keys": [MemorySigner().jwk()]}) == ["the signing key is not in the key set"]
    sealed = seal_receipt(receipt(world.row()), world.signer)
    assert canonical(json.loads(sealed)) == sealed


@pytest.mark.parametrize(("state", "kind"), [("withdrawn", "RestrictProcessingRequest"), ("granted", "ConsentRequest")])
def test_the_projects_webhook_is_told_with_opaque_ids_alone(state: str, kind: str) -> None:
    world = Chosen()
    world.webhooks.put(PROJECT, URL, 1)
    row = world.choose(state)
    assert world.follow() == ["Apply", "Sign", "Tell", "Done?", "Told"]
    ((url, headers, body),) = world.hook.seen
    message = json.loads(body)
    assert (url, message["kind"], message["metadata"]) == (URL, kind, {"uid": f"{row['id']}.1", "tenant": PROJECT})
    right = {"withdrawn": "opt_out", "granted": "consent"}[state]
    asked = {"right": right, "purpose": "analytics", "state": state, "subjects": [ALICE]}
    assert message["request"] == {**asked, "submittedTimestamp": row["at"]}
    assert message.keys() == {"apiVersion", "kind", "metadata", "request"}
    assert headers["webhook-id"] == f"msg_{row['id']}.1"
    assert world.row()["told"]["answer"] == ACKNOWLEDGED
    world.follow()
    assert len(world.hook.seen) == 1


def test_a_webhook_that_fails_is_tried_again_and_given_up_honestly() -> None:
    world = Chosen(500, None, 204)
    world.webhooks.put(PROJECT, URL, 1)
    world.choose()
    assert world.follow().count("Tell") == 3
    assert len({headers["webhook-id"] + body.decode() for _, headers, body in world.hook.seen}) == 1
    silent = Chosen(None)
    silent.webhooks.put(PROJECT, URL, 1)
    silent.choose()
    assert silent.follow().count("Tell") == len(WAITS) + 1
    assert silent.row()["told"]["answer"] == NOT_REACHED


def test_of_a_choice_that_was_made_anew_nobody_is_told_any_more() -> None:
    world = Chosen(500)
    world.webhooks.put(PROJECT, URL, 1)
    world.choose("granted")
    assert run(world.choosing, "tell", PROJECT, ALICE, "analytics", 1) == {"done": False, "wait": WAITS[0]}
    world.choose("withdrawn")
    assert run(world.choosing, "tell", PROJECT, ALICE, "analytics", 1) == {"done": True, "wait": 0}
    assert len(world.hook.seen) == 1
    assert "told" not in world.row()


def test_a_project_without_a_webhook_tells_nobody() -> None:
    world = Chosen()
    world.choose()
    assert world.follow()[-1] == "Told"
    assert world.hook.seen == []


def test_a_withdrawal_takes_the_persons_samples_and_nobody_elses() -> None:
    world = Chosen()
    world.sample(ALICE, 120)
    world.sample(BOB)
    world.store(ALICE)
    world.choose("granted", "improvement")
    world.follow(1, "improvement")
    assert world.samples(ALICE) == 120
    # another purpose has nothing to do with them
    world.choose("withdrawn", "analytics")
    world.follow(1, "analytics")
    assert world.samples(ALICE) == 120
    # the withdrawal is followed, though consent was given anew meanwhile
    world.choose("withdrawn", "improvement")
    world.choose("granted", "improvement")
    world.follow(2, "improvement")
    assert (world.samples(ALICE), world.samples(BOB)) == (0, 1)
    assert sum(row["kind"] == "mark" for row in world.requests.rows.values()) == 120
    assert any(row["kind"] == "completion" for row in world.records.rows.values())
    assert world.follow(2, "improvement")[-1] == "Told"


def test_facts_are_of_one_revision() -> None:
    world = Chosen()
    old = world.choose("granted")
    world.choose()
    with pytest.raises(Collision):
        world.consents.note(old, told={"answer": "x", "tries": 1, "at": 1})


def test_a_failure_says_nothing_of_the_person(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = Canary("choosing")

    def broken() -> Ports:
        raise ValueError(canary.text)

    monkeypatch.setattr(privacy.choosing.handler, "_composed", broken)
    event = {"task": "sign", "project": PROJECT, "subject": ALICE, "purpose": "analytics", "revision": 1}
    with pytest.raises(TaskFailed) as caught:
        handler({**event, "request": "con_x.1"}, None)
    assert not canary.found_in((capsys.readouterr().out + repr(caught.value)).encode())


@pytest.mark.parametrize("whose", ["own", "of another name", "ended", "of other kinds"])
def test_a_hold_that_names_samples_keeps_them_from_a_withdrawal(whose: str) -> None:
    # given a sample, and a hold
    world = Chosen()
    world.choose("granted", "improvement")
    world.sample(ALICE)
    if whose == "of another name":
        Days(Catalogued(world.records, "records"), world.clock).alias(PROJECT, ALICE, BOB)
    kinds = ["conversation"] if whose == "of other kinds" else ["sample"]
    held = BOB if whose == "of another name" else ALICE
    holds = Holds(Catalogued(world.requests, "requests"))
    holds.add(PROJECT, held, kinds, "a court order", "dpo", days=1, now=world.clock.now())
    if whose == "ended":
        world.clock.advance(2 * 86_400)
    # when the person withdraws
    world.choose("withdrawn", "improvement")
    world.follow(2, "improvement")
    # then what is held stays, and their choice stands all the same
    assert world.samples(ALICE) == (1 if whose in ("own", "of another name") else 0)
    assert world.consents.granted(PROJECT, ALICE, world.clock.now()) == frozenset()
