"""Access and portability: everything of one person, nothing of another, in files that hold still and can be checked."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from typing import Any

import pytest

import privacy.exports.exporters as subject
from chatapi.catalogue import Catalogue, catalogue
from chatapi.certificates import verify_manifest
from chatapi.store.cases import Case
from privacy.exports.archive import Archive, cell
from privacy.exports.tasks import LIFE_SECONDS
from privacy.objects import MemoryUploads
from privacy.tasks.ports import NotCovered
from tests.support.campaign import examples
from tests.unit.privacy.world import ALICE, BOB, PROJECT, Interrupted, World


def chat(text: str) -> bytes:
    completion = {"id": "x", "object": "chat.completion", "choices": [{"message": {"content": text}}], "metadata": {}}
    return json.dumps({"completion": completion, "messages": [{"role": "user", "content": text}]}).encode()


def asked(world: World, right: str = "access", number: int = 7) -> Case:
    return world.cases.create(PROJECT, f"dsr_{number:024d}", right, ALICE, world.clock.now())


def opened(world: World, case: Case) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(world.uploads.done[f"{PROJECT}/{case.subject}/{case.id}.zip"]))


def lines(archive: zipfile.ZipFile, name: str) -> list[Any]:
    return [json.loads(line) for line in archive.read(name).decode().split("\n") if line]


def test_every_kind_that_is_exported_has_an_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(subject.exporters()) == {kind.name for kind in catalogue().kinds.values() if kind.export}
    known = catalogue()
    more = replace(known.kinds["day"], name="novel")
    monkeypatch.setattr(subject, "catalogue", lambda: Catalogue(known.stores, {**known.kinds, "novel": more}))
    with pytest.raises(NotCovered):
        subject.exporters()


@pytest.mark.parametrize("right", ["access", "portability"])
def test_every_own_canary_and_no_foreign_one(right: str) -> None:
    # given data of every kind, an alias, and somebody else's
    world = World()
    world.store(ALICE, chat("canary-own"))
    world.store(ALICE, chat("canary-large" * 40_000))
    world.store(BOB, chat("canary-alias"))
    world.days.alias(PROJECT, ALICE, BOB)
    world.store("sub_" + "c" * 32, chat("canary-foreign"))
    world.store(ALICE, chat("canary-other-project"), project="projectB")
    handle = world.kept.writer(PROJECT, ALICE)
    (conversation,) = world.kept.put(handle, "conversation", [("conv_1", b'{"title": "canary-conversation"}')])
    world.kept.put(handle, "item", [("item_1", b'{"text": "canary-item"}')], parent=conversation.id)
    world.kept.put(handle, "response", [("resp_1", b'{"text": "canary-response"}')])
    world.hold(ALICE, ("day",))
    case = asked(world, right)
    # when
    assert world.export(case)[-1] == "Done"
    # then
    archive = opened(world, case)
    everything = b"".join(archive.read(name) for name in archive.namelist())
    for own in ("own", "alias", "conversation", "item", "response"):
        assert b"canary-" + own.encode() in everything
    assert b"canary-foreign" not in everything
    assert b"canary-other-project" not in everything
    assert len(lines(archive, "chats.jsonl")) == 3
    assert [entry["parent"] for entry in lines(archive, "conversation-items.jsonl")] == ["conv_1"]
    assert lines(archive, "holds.jsonl")[0]["basis"] == "court order"
    assert case.id in {entry["id"] for entry in lines(archive, "requests.jsonl")}
    table = list(csv.DictReader(io.StringIO(archive.read("disclosures.csv").decode())))
    assert {row["recipient"] for row in table} == {"local-model"}
    page = archive.read("index.html").decode()
    for told in ("Model server on this machine", "Art. 6(1)(b)", "Art. 77", "30", case.id):
        assert told in page
    # and the case says how many of what, and carries a receipt that verifies
    ended = world.again(case)
    assert (ended.status, world.outcomes(case)["records"]) == ("completed", [("exported", 3 + 2 + 3)])
    assert world.certificate(case)["payload"]["type"] == right
    assert world.entries() == 1


def test_chats_are_in_openais_shape_as_they_were_stored() -> None:
    world = World()
    world.store(ALICE, chat("hello"))
    case = asked(world)
    world.export(case)
    (line,) = lines(opened(world, case), "chats.jsonl")
    assert {**json.loads(chat("hello")), "expires_at": line["expires_at"]} == line
    assert line["completion"]["object"] == "chat.completion"


def test_the_manifest_is_signed_and_names_every_file_with_its_digest() -> None:
    world = World()
    world.store(ALICE, chat("hello"))
    case = asked(world)
    world.export(case)
    archive = opened(world, case)
    manifest = json.loads(archive.read("manifest.json"))
    jwks = {"keys": [world.signer.jwk()]}
    assert verify_manifest(manifest, jwks) == []
    listed = {entry["name"]: entry for entry in manifest["payload"]["files"]}
    assert set(listed) == set(archive.namelist()) - {"manifest.json"}
    for name, entry in listed.items():
        data = archive.read(name)
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    manifest["payload"]["files"][0]["sha256"] = "0" * 64
    assert verify_manifest(manifest, jwks) == ["the payload is not what was signed"]


def test_nothing_found_has_its_export_and_its_receipt_too() -> None:
    world = World()
    case = asked(world)
    assert world.export(case)[-1] == "Done"
    assert world.outcomes(case)["records"] == [("nothing_found", 0)]
    assert world.certificate(case)["payload"]["request"] == case.id
    assert lines(opened(world, case), "chats.jsonl") == []


HOSTILE = "</script><script>alert(1)</script>\r\n=cmd|'/c calc'!A0\u2028../../etc/passwd\x00"


def test_hostile_content_stays_inert() -> None:
    world = World()
    world.store(ALICE, chat(HOSTILE))
    world.hold(ALICE, ("day",))
    world.requests.rows[f"h#{PROJECT}#{ALICE}", "hold1"]["basis"] = HOSTILE
    row = next(row for row in world.records.rows.values() if row["kind"] == "day")
    row["basis"] = "=HYPERLINK(1)"
    row["purpose"] = "<img src=x onerror=alert(1)>"
    case = asked(world)
    world.export(case)
    archive = opened(world, case)
    assert all("/" not in name and ".." not in name for name in archive.namelist())
    page = archive.read("index.html").decode()
    assert "<img" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    (table,) = csv.DictReader(io.StringIO(archive.read("disclosures.csv").decode()))
    assert table["basis"] == "'=HYPERLINK(1)"
    (line,) = lines(archive, "chats.jsonl")
    assert line["messages"][0]["content"] == HOSTILE
    assert "\u2028" not in archive.read("chats.jsonl").decode()


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "|x", "%x"])
def test_a_cell_never_begins_like_a_formula(text: str) -> None:
    assert cell(text) == "'" + text


def test_an_erasure_in_between_leaves_no_export() -> None:
    world = World()
    world.store(ALICE, chat("hello"))
    case, erasure = asked(world), world.case()
    world.task(erasure, "verify", "holds", "freeze")
    assert world.export(case)[-1] == "Failed"
    assert world.uploads.done == {}
    assert world.uploads.aborted > 0
    assert world.erase(erasure)[-1] == "Erased"
    assert world.export(case)[-1] == "Done"
    assert lines(opened(world, case), "chats.jsonl") == []


def test_an_export_may_stop_at_any_call_and_ends_the_same() -> None:
    def prepared() -> tuple[World, Case]:
        world = World()
        world.store(ALICE, chat("hello"))
        return world, asked(world)

    world, case = prepared()
    world.breaker.calls = 0
    world.export(case)
    for stop_at in range(1, world.breaker.calls + 1):
        for after in (False, True):
            again, other = prepared()
            again.breaker.calls, again.breaker.stop_at, again.breaker.after = 0, stop_at, after
            with contextlib.suppress(Interrupted):
                again.export(other)
            issued = again.again(other).get("certificate")
            again.breaker.stop_at = None
            assert again.export(other)[-1] == "Done"
            assert again.again(other).status == "completed"
            assert again.entries() == 1
            assert issued in (None, again.again(other).get("certificate"))
            again.certificate(other)
            assert len(lines(opened(again, other), "chats.jsonl")) == 1


def test_cancelled_it_is_not_carried_out() -> None:
    world = World()
    case = asked(world)
    world.cases.cancel(case)
    assert world.export(case)[-1] == "Done"
    assert world.uploads.done == {}
    assert world.again(case).status == "cancelled"


def test_memory_is_bounded_however_much_there_is() -> None:
    class Counting(MemoryUploads):
        """Keeps nothing."""

        def begin(self, key: str) -> Any:
            sink = super().begin(key)
            sink.write = lambda data: None  # type: ignore[method-assign]
            return sink

    archive = Archive(Counting().begin("x"), 1_800_000_000)
    tracemalloc.start()
    archive.lines("chats.jsonl", "x", ({"n": n, "text": "y" * 1000} for n in range(examples(5_000))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


def test_an_export_ends_after_seven_days() -> None:
    assert LIFE_SECONDS == 7 * 86400
    world = World()
    case = asked(world)
    world.export(case)
    assert world.again(case).get("export")["expires"] == int(world.clock.now()) + LIFE_SECONDS
