"""Correction: the new text is everywhere and the old one nowhere, with proof of both, however it is interrupted."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from chatapi.aws.errors import AwsUnavailable
from chatapi.catalogue import Catalogued, read_policy
from chatapi.clock import FixedClock
from chatapi.errors import NotFound
from chatapi.ids import Family, completion_id
from chatapi.ledger import commit
from chatapi.store.cases import Case
from chatapi.store.marks import Marks
from chatapi.store.sealed import CHUNK_BYTES
from chatapi.store.webhooks import Webhooks
from chatapi.vault import lp
from privacy.requests import Wish, complete
from privacy.webhooks import Teller
from tests.unit.privacy.test_webhooks import Hook
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

OLD, NEW = "canary-old-4711", "canary-new-4712"
PATH = "/messages/0/content"


def chat(text: str, metadata: dict[str, str] | None = None) -> bytes:
    said = {"messages": [{"role": "user", "content": text}], "completion": {"choices": [], "metadata": metadata or {}}}
    return json.dumps(said).encode()


def stored(world: World, body: bytes, subject: str = ALICE) -> str:
    name = completion_id(world.clock.now())
    world.completions.save(world.completions.open_for(PROJECT, subject), name, body)
    world.days.disclose(PROJECT, subject, "local-model", 1, 2)
    return name


def asked(world: World, *changes: dict[str, Any], subject: str = ALICE, number: int = 8) -> Case:
    """A case as the API makes it."""
    wish = complete(Wish.model_validate({"type": "correction", "changes": list(changes)}))
    target, facts = world.asking.prepare(PROJECT, subject, wish)
    name = f"dsr_{number:024d}"
    return world.cases.create(PROJECT, name, "correction", subject, world.clock.now(), target=target, **facts)


def change(record: str, path: str = PATH, value: str = NEW, **more: str) -> dict[str, Any]:
    return {"record": record, "path": path, "value": value, **more}


def opened(world: World) -> bytes:
    """Every row of the person that is there, opened."""
    access = world.cases.create(PROJECT, "dsr_" + "9" * 24, "access", ALICE, world.clock.now())
    assert world.export(access)[-1] == "Done"
    with zipfile.ZipFile(io.BytesIO(world.uploads.done[f"{PROJECT}/{ALICE}/{access.id}.zip"])) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_the_new_text_is_everywhere_and_the_receipt_proves_before_and_after() -> None:
    # given a chat, an earlier copy of it, and somebody else's chat
    world = World()
    name, other = stored(world, chat(OLD)), stored(world, chat(OLD), BOB)
    world.exports.keys = {f"{PROJECT}/{ALICE}/earlier.zip", f"{PROJECT}/{BOB}/theirs.zip"}
    case = asked(world, change(name))
    # when
    assert world.change(case)[-1] == "Done"
    # then it reads anew, and so does a copy; what is Bob's is as it was
    assert json.loads(world.completions.load(PROJECT, name).body)["messages"][0]["content"] == NEW
    assert OLD.encode() in world.completions.load(PROJECT, other).body
    copy = opened(world)
    assert NEW.encode() in copy
    assert OLD.encode() not in copy
    assert world.exports.keys == {f"{PROJECT}/{BOB}/theirs.zip"}
    # and the receipt holds, with commitments that the person's own copy opens
    receipt = world.certificate(case)["payload"]
    (line,) = receipt["changes"]
    assert {"store": "records", "outcome": "corrected", "count": 1}.items() <= receipt["stores"][2].items()
    assert receipt["recipients"][0]["recipient"] == "local-model"
    handle = world.vault.reader(PROJECT, ALICE, 1)
    (entry,) = json.loads(world.kept.get(handle, "amendment", case.id).body)["changes"]
    for which, text in (("before", OLD), ("after", NEW)):
        digest = hashlib.sha256(lp("chatapi/correction/v1", name, PATH, text)).digest()
        assert commit(bytes.fromhex(entry[which + "_opening"]), digest).hex() == line[which]
    # and neither text, nor what was handed in, is anywhere else
    everything = repr(world.requests.rows) + repr(world.chain.rows) + repr(world.records.rows)
    assert OLD not in everything
    assert NEW not in everything
    with pytest.raises(NotFound):
        world.kept.get(handle, "change", case.get("deposit"))


def test_a_backup_does_not_bring_the_old_text_back() -> None:
    world = World()
    name = stored(world, chat(OLD))
    (before,) = [row for row in world.records.rows.values() if row["kind"] == "completion"]
    key = (before["pk"], before["sk"])
    world.change(asked(world, change(name)))
    assert world.records.rows[key]["rev"] == 2
    assert Marks(Catalogued(world.requests, "requests"), world.clock).of([key]) == {key: 1}


def test_every_kind_of_record_is_corrected_in_its_own_place() -> None:
    world, family = World(), Family.new(FixedClock().now())
    handle = world.kept.writer(PROJECT, ALICE)
    conversation, response, item = ("conv_" + family.token(0), "resp_" + family.token(0), "msg_" + family.token(1))
    text = {"id": item, "type": "message", "content": [{"type": "input_text", "text": OLD}]}
    world.kept.put(handle, "conversation", [(conversation, json.dumps({"metadata": {"city": OLD}}).encode())])
    world.kept.put(handle, "item", [(family.token(1), json.dumps(text).encode())], parent=conversation)
    body = {"response": {"output": [text], "metadata": {"a/b": OLD}, "instructions": OLD}, "input": [text]}
    world.kept.put(handle, "response", [(response, json.dumps(body).encode())])
    world.kept.put(handle, "contact", [("contact", b"canary-old-4711@example.com")])
    chat_name = stored(world, chat(OLD, {"city": OLD}))
    case = asked(
        world,
        change(conversation, "/metadata/city"),
        change(item, "/content/0/text", conversation=conversation),
        change(response, "/response/output/0/content/0/text"),
        change(response, "/input/0/content/0/text"),
        change(response, "/response/metadata/a~1b"),
        change(response, "/response/instructions"),
        change("contact", "/address", "new@example.com"),
        change(chat_name),
        change(chat_name, "/completion/metadata/city"),
    )
    assert world.change(case)[-1] == "Done"
    assert [entry["outcome"] for entry in world.again(case).get("changes")] == ["corrected"] * 9
    copy = opened(world)
    assert OLD.encode() not in copy
    assert copy.count(NEW.encode()) == 8
    assert b"new@example.com" in copy
    # and a list by metadata finds the completion by its new value
    locator = world.records.get(f"l#{PROJECT}", chat_name)
    assert locator
    assert locator["tags"] == world.change_ports.tags(PROJECT, {"city": NEW})


@pytest.mark.parametrize("missing", ["record", "text", "shape", "foreign", "conversation"])
def test_what_is_not_there_or_not_the_persons_completes_with_nothing_found(missing: str) -> None:
    world = World()
    name, foreign = stored(world, chat(OLD)), stored(world, chat(OLD), BOB)
    wanted = {
        "record": change(completion_id(world.clock.now())),
        "text": change(name, "/messages/7/content"),
        "shape": change(name, "/messages/0/content/0/text"),
        "foreign": change(foreign),
        "conversation": change("msg_" + "a" * 29, "/content", conversation="conv_" + "b" * 29),
    }
    case = asked(world, wanted[missing])
    world.change(case)
    assert world.again(case).status == "completed"
    assert {outcome for lines in world.outcomes(case).values() for outcome, _ in lines} == {"nothing_found"}
    assert world.certificate(case)["payload"]["changes"][0]["outcome"] == "nothing_found"
    assert OLD.encode() in world.completions.load(PROJECT, foreign).body


def test_a_person_of_whom_nothing_is_stored_gets_a_receipt_and_nothing_is_kept() -> None:
    world = World()
    case = asked(world, change(completion_id(world.clock.now())))
    world.change(case)
    assert (world.again(case).status, world.certificate(case)["payload"]["changes"]) == ("completed", [])
    assert world.records.rows == {}


def test_an_erasure_in_between_wins() -> None:
    world = World()
    case = asked(world, change(stored(world, chat(OLD))))
    assert world.erase(world.case())[-1] == "Erased"
    assert world.rows_of(ALICE) == []
    stored(world, chat("somebody who came back"))
    world.change(case)
    assert (world.again(case).status, world.again(case).get("made")) == ("completed", 0)


def test_while_an_erasure_has_frozen_the_person_it_waits_and_changes_nothing() -> None:
    world = World()
    name = stored(world, chat(OLD))
    case, erasure = asked(world, change(name)), world.case()
    world.task(erasure, "verify", "holds", "freeze")
    assert world.change(case)[-1] == "Failed"
    world.cases.cancel(world.again(erasure))
    world.task(erasure, "unfreeze")
    assert world.change(case)[-1] == "Done"
    assert NEW.encode() in world.completions.load(PROJECT, name).body


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("size", [10, 2 * CHUNK_BYTES - 20])
def test_interrupted_at_any_call_it_resumes_to_one_receipt_and_the_whole_new_text(after: bool, size: int) -> None:
    # given how many calls an undisturbed run makes
    world = World()
    filler = "x" * size
    name = stored(world, chat(OLD + filler))
    case = asked(world, change(name, value=NEW * 1000 + filler))
    world.breaker.calls = 0
    world.change(case)
    calls = world.breaker.calls
    assert calls > 20
    for stop in range(1, calls + 1):
        world = World()
        name = stored(world, chat(OLD + filler))
        case = asked(world, change(name, value=NEW * 1000 + filler))
        world.breaker.calls, world.breaker.stop_at, world.breaker.after = 0, stop, after
        # when a run is stopped there, and a new execution takes the case up
        world.change(case)
        world.breaker.stop_at = None
        assert world.change(case)[-1] == "Done"
        # then it is whole
        assert json.loads(world.completions.load(PROJECT, name).body)["messages"][0]["content"] == NEW * 1000 + filler
        assert world.certificate(case)["payload"]["changes"][0]["outcome"] == "corrected"
        assert world.entries() == 1
        handle = world.vault.reader(PROJECT, ALICE, 1)
        assert world.kept.page(handle, "change") == ([], False)


def test_the_projects_webhook_is_told_which_records_and_its_answer_is_in_the_receipt() -> None:
    world, hook = World(), Hook(None, 204)
    hooks = Webhooks(Catalogued(world.requests, "requests"), lambda: b"s" * 32)
    hooks.put(PROJECT, "https://example.com/hook", world.clock.now())
    world.teller = Teller(hooks, hook)
    name = stored(world, chat(OLD))
    case = asked(world, change(name))
    assert world.change(case)[-1] == "Done"
    _, headers, raw = hook.seen[-1]
    body = json.loads(raw)
    assert (body["kind"], body["request"]["records"], len(hook.seen)) == ("CorrectionRequest", [name], 2)
    assert headers["webhook-signature"].startswith("v1,")
    assert OLD.encode() not in raw
    assert NEW.encode() not in raw
    assert world.certificate(case)["payload"]["recipients"][-1]["answer"] == "acknowledged"


def test_the_same_asked_twice_is_one_case_and_something_else_another() -> None:
    world = World()
    name = stored(world, chat(OLD))
    first, again = asked(world, change(name), number=1), asked(world, change(name), number=2)
    other = asked(world, change(name, value="else"), number=3)
    assert (first.id == again.id, first.id == other.id) == (True, False)


def test_the_former_address_is_told_that_it_is_replaced_and_not_by_which() -> None:
    # given an owner who is reached at an address
    world = World()
    world.kept.put(world.kept.writer(PROJECT, ALICE), "contact", [("contact", b"old@example.com")])
    # when it is corrected
    world.change(asked(world, change("contact", "/address", "new@example.com")))
    # then the old address is told how to object, once, and not who has it now
    (sent,) = world.mail.sent
    assert sent.to == "old@example.com"
    assert read_policy("rights")["controller"]["officer"] in sent.text
    assert "new@" not in sent.subject + sent.text
    # and a correction of something else mails nobody, nor one that changes nothing
    world.change(asked(world, change("contact", "/address", "new@example.com"), number=9))
    assert len(world.mail.sent) == 1


def test_a_mail_that_is_not_taken_stops_the_correction_and_the_next_try_sends_it() -> None:
    world = World()
    world.kept.put(world.kept.writer(PROJECT, ALICE), "contact", [("contact", b"old@example.com")])
    case = asked(world, change("contact", "/address", "new@example.com"))
    failures = [AwsUnavailable("Timeout")]
    taken, send = world.mail, world.mail.send

    def failing(*given: str) -> None:
        if failures:
            raise failures.pop()
        send(*given)

    world.mail.send = failing  # type: ignore[method-assign]
    assert world.change(case)[-1] == "Failed"
    assert world.kept.find(PROJECT, "contact", "contact")[1].body == b"old@example.com"
    assert world.change(case)[-1] == "Done"
    assert world.kept.find(PROJECT, "contact", "contact")[1].body == b"new@example.com"
    assert [sent.to for sent in taken.sent] == ["old@example.com"]
