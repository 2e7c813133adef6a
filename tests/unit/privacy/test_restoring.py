"""Re-import: a person's own copy gives the same history back, and no other archive gives anything."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from chatapi.certificates import MANIFEST, MemorySigner, seal
from chatapi.errors import BadRequest, ProcessingRestricted, RetentionNotPermitted
from chatapi.ids import Family, completion_id
from chatapi.store.cases import Case
from privacy.asking import Terms
from privacy.changes import restore as restoring
from privacy.exports.archive import Archive
from privacy.imports import LINK_SECONDS, Imports, archive_key, begun_at
from privacy.objects import MemoryUploads
from privacy.requests import ImportRequest, Subject, Wish, complete
from tests.support.transformed import source
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

NAME, DAY = "imp_" + "0" * 8 + "a" * 16, 86_400
HISTORY = Terms("history")


def lived(world: World) -> dict[str, str]:
    """A person with a history of every kind; the ids."""
    now = int(world.clock.now())
    family, name = Family.new(now), completion_id(now)
    said = [{"role": "user", "content": "héllo \u2028"}]
    completion = {"id": name, "created": now, "model": "smollm2-135m", "choices": [], "metadata": {"a": "b"}}
    body = json.dumps({"messages": said, "completion": completion}, separators=(",", ":"), ensure_ascii=False).encode()
    world.completions.save(world.completions.open_for(PROJECT, ALICE), name, body, created=now)
    handle = world.kept.writer(PROJECT, ALICE)
    ids = {"completion": name, "conversation": "conv_" + family.token(0), "response": "resp_" + family.token(0)}
    head = {"metadata": {}, "created": now, "people": [[ALICE, 1], [BOB, 7]]}
    world.kept.put(handle, "conversation", [(ids["conversation"], json.dumps(head).encode())])
    ids["item"] = family.token(1)
    item = {"id": "msg_" + ids["item"], "content": [{"type": "input_text", "text": "said"}]}
    world.kept.put(handle, "item", [(ids["item"], json.dumps(item).encode())], parent=ids["conversation"])
    response = {"response": {"id": ids["response"], "created_at": now, "output": []}, "input": [item]}
    world.kept.put(handle, "response", [(ids["response"], json.dumps(response).encode())])
    return ids


def copied(world: World, number: int = 7, subject: str = ALICE) -> bytes:
    case = world.cases.create(PROJECT, f"dsr_{number:024d}", "portability", subject, world.clock.now())
    assert world.export(case)[-1] == "Done"
    return world.uploads.done[f"{PROJECT}/{subject}/{case.id}.zip"]


def put(world: World, data: bytes, subject: str = ALICE) -> None:
    key = archive_key(PROJECT, subject, NAME)
    world.exports.keys.add(key)
    world.exports.bodies[key] = data


def asked(world: World, number: int = 8, terms: Terms = HISTORY, subject: str = ALICE) -> Case:
    target, facts = world.asking.prepare(PROJECT, subject, complete(Wish(type="import", archive=NAME)), terms)
    return world.cases.create(
        PROJECT, f"dsr_{number:024d}", "import", subject, world.clock.now(), target=target, **facts
    )


def data_of(archive: bytes) -> dict[str, list[Any]]:
    """What the import is to bring back, file by file; people have new generations."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for name in ("chats", "conversations", "conversation-items", "responses", "statements"):
            lines = [json.loads(line) for line in opened.read(name + ".jsonl").splitlines()]
            for line in lines:
                line.get("data", {}).pop("people", None)
            found[name] = lines
    return found


def came_back() -> tuple[World, bytes, Case]:
    """Somebody who took a copy, was erased, and hands the copy in again; the copy, and the case."""
    world = World()
    lived(world)
    copy = copied(world)
    world.erase(world.case())
    put(world, copy)
    return world, copy, asked(world)


def test_export_erase_import_gives_the_same_history_and_the_archive_goes() -> None:
    # given somebody who takes a copy, is erased, and comes back
    world = World()
    lived(world)
    copy = copied(world)
    world.clock.advance(3 * DAY)
    assert world.erase(world.case())[-1] == "Erased"
    assert world.rows_of(ALICE) == []
    put(world, copy)
    case = asked(world)
    # when
    assert world.change(case)[-1] == "Done"
    # then a new copy says the same, with the same ids and the same ends
    assert data_of(copied(world, 9)) == data_of(copy)
    receipt = world.certificate(case)["payload"]
    assert receipt["imported"] == {"completion": 1, "conversation": 1, "item": 1, "response": 1}
    assert world.outcomes(case)["records"] == [("imported", 4)]
    assert archive_key(PROJECT, ALICE, NAME) not in world.exports.keys
    # and nobody else is brought along
    handle = world.vault.reader(PROJECT, ALICE, 2)
    (record,) = world.kept.page(handle, "conversation")[0]
    assert json.loads(record.body)["people"] == [[ALICE, 2]]


def test_what_stands_already_stays_and_a_run_that_was_cut_off_is_repeated() -> None:
    world, _, case = came_back()
    world.breaker.calls = 0
    world.change(case)
    calls = world.breaker.calls
    for stop in range(1, calls + 1, 3):
        world, copy, case = came_back()
        world.breaker.calls, world.breaker.stop_at = 0, stop
        world.change(case)
        world.breaker.stop_at = None
        assert world.change(case)[-1] == "Done"
        assert data_of(copied(world, 9)) == data_of(copy)
        assert world.outcomes(case)["records"] == [("imported", 4)]


def test_terms_go_on_and_ceilings_tighten_them() -> None:
    world = World()
    ids = lived(world)
    copy = copied(world)
    world.erase(world.case())
    put(world, copy)
    case = asked(world, terms=Terms("history:5"))
    world.change(case)
    locator = world.records.get(f"l#{PROJECT}", ids["completion"])
    assert locator
    assert locator["ttl"] == int(world.clock.now()) + 5 * DAY
    world.clock.advance(31 * DAY)
    put(world, copy)
    late = asked(world, 10)
    world.change(late)
    assert (world.again(late).status, world.again(late).get("made")) == ("completed", 0)
    assert world.again(late).get("imported") == {"expired": 4}


def test_what_a_person_who_came_back_puts_or_asks_for_survives_the_late_scan_of_the_erasure() -> None:
    # given an erasure whose late scan is still to come, and a place that is given out meanwhile
    world = World()
    lived(world)
    old = begun(world)
    erasure = world.case()
    assert world.erase(erasure)[-1] == "Erased"
    world.clock.advance(60)
    new = begun(world)
    access = world.cases.create(PROJECT, f"dsr_{7:024d}", "access", ALICE, world.clock.now())
    theirs = {f"{PROJECT}/{ALICE}/{access.id}.zip", new}
    world.exports.keys = {*theirs, old, f"{PROJECT}/{ALICE}/dsr_{1:024d}.zip"}
    # when
    world.task(erasure, "late_residue_scan")
    # then what is of before is gone, and the rest is not
    assert world.exports.keys == theirs


def test_an_archive_of_the_very_second_in_which_the_erasure_counted_goes_with_it() -> None:
    # given a place that was given out late in the second, whose whole seconds are all that the inventory has
    world = World()
    lived(world)
    world.clock.advance(0.7)
    archive = begun(world)
    world.exports.keys.add(archive)
    # when
    assert world.erase(world.case())[-1] == "Erased"
    # then
    assert archive not in world.exports.keys


class Place:
    """Where archives may be put."""

    def place(self, key: str, size: int, seconds: int) -> str:
        return key


def begun(world: World) -> str:
    imports = Imports(Place(), world.clock, lambda project, subject: ALICE)
    made = imports.begin(PROJECT, ImportRequest(subject=Subject(user="alice"), size=9))
    assert begun_at(made["url"]) == int(world.clock.now() * 1000) / 1000
    assert complete(Wish(type="import", archive=made["archive"]))
    return str(made["url"])


@pytest.mark.parametrize("by", ["an erasure", "another archive"])
def test_an_archive_that_is_gone_when_its_turn_comes_brings_nothing_and_the_case_ends(by: str) -> None:
    world = World()
    lived(world)
    copy = copied(world)
    put(world, copy)
    case = asked(world)
    assert world.erase(world.case())[-1] == "Erased"
    if by == "another archive":
        put(world, copy[:-1])
    assert world.change(case)[-1] == "Done"
    assert world.certificate(case)["payload"]["imported"] == {}
    assert world.outcomes(case)["records"] == [("nothing_found", 0)]
    assert world.rows_of(ALICE) == []


def test_where_nothing_may_be_stored_or_used_nothing_is_read_in() -> None:
    world = World()
    lived(world)
    put(world, copied(world))
    with pytest.raises(RetentionNotPermitted):
        asked(world, terms=Terms("none"))
    world.wraps.restrict(PROJECT, ALICE, 1, "dsr_x")
    with pytest.raises(ProcessingRestricted):
        asked(world)


def rezipped(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _bomb(files: dict[str, bytes]) -> None:
    files["chats.jsonl"] = b"\0" * 30_000_000


HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda data: b"", "archive_invalid"),
    "no archive": (lambda data: b"x" * 1000, "archive_invalid"),
    "cut off": (lambda data: data[:-100], "archive_invalid"),
    "a changed file": (
        lambda data: rezipped(data, lambda files: files.update({"chats.jsonl": b"{}\n"})),
        "archive_invalid",
    ),
    "a bomb": (lambda data: rezipped(data, _bomb), "archive_invalid"),
    "a path": (lambda data: rezipped(data, lambda files: files.update({"../../etc/passwd": b"x"})), "archive_invalid"),
    "a file more": (lambda data: rezipped(data, lambda files: files.update({"more": b"x"})), "archive_invalid"),
    "many entries": (
        lambda data: rezipped(data, lambda files: files.update({f"f{i}": b"" for i in range(5000)})),
        "archive_invalid",
    ),
    "no manifest": (lambda data: rezipped(data, lambda files: files.pop("manifest.json")), "archive_invalid"),
    "a forged manifest": (
        lambda data: rezipped(
            data, lambda files: files.update({"manifest.json": files["manifest.json"].replace(b"dsr_", b"dsr-")})
        ),
        "archive_not_signed",
    ),
    "a comment": (lambda data: data[:-2] + b"\x04\x00more", "archive_invalid"),
    "too large": (lambda data: data + b"\0" * (32 * 1024 * 1024), "archive_too_large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_before_there_is_a_case(name: str) -> None:
    world = World()
    lived(world)
    damage, code = HOSTILE[name]
    put(world, damage(copied(world)))
    with pytest.raises(BadRequest) as refused:
        asked(world)
    assert (refused.value.code, refused.value.param) == (code, "archive")


def test_an_archive_that_somebody_else_signed_is_refused() -> None:
    world, uploads = World(), MemoryUploads()
    sink = uploads.begin("x")
    archive = Archive(sink, int(world.clock.now()))
    archive.lines("chats.jsonl", "x", [])
    archive.finish({"version": 1, "request": "dsr_x"}, MemorySigner())
    sink.commit()
    put(world, uploads.done["x"])
    with pytest.raises(BadRequest) as refused:
        asked(world)
    assert refused.value.code == "archive_not_signed"


def test_another_persons_copy_and_one_that_is_not_there_are_refused() -> None:
    world = World()
    lived(world)
    world.store(BOB, b"{}")
    put(world, copied(world), BOB)
    with pytest.raises(BadRequest) as refused:
        asked(world, subject=BOB)
    assert refused.value.code == "archive_of_another"
    with pytest.raises(BadRequest) as missing:
        asked(world)
    assert missing.value.code == "archive_not_found"
    assert seal({"request": "x"}, world.signer, MANIFEST)  # a manifest alone is no archive


@pytest.mark.parametrize("after", [0, 1])
def test_a_restriction_that_comes_while_it_is_read_in_stops_it_at_its_next_page(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    # given a copy of four records, which is read in two at a time
    world = World()
    lived(world)
    copy = copied(world)
    assert world.erase(world.case())[-1] == "Erased"
    put(world, copy)
    case = asked(world)
    monkeypatch.setattr(restoring, "_PAGE", 2)
    looked = iter(range(100))
    monkeypatch.setattr(restoring._Restoring, "_restricted", lambda _: next(looked) >= after)
    # when processing is restricted before it, or after its first page
    assert world.change(case)[-1] == "Done"
    # then no more than the page that was begun stands, and the receipt says what was not read in
    imported = world.again(case).get("imported")
    assert (sum(n for kind, n in imported.items() if kind != "restricted"), imported["restricted"]) == (
        2 * after,
        4 - 2 * after,
    )


def test_a_restriction_is_read_from_the_vault_anew() -> None:
    world = World()
    lived(world)
    copy = copied(world)
    put(world, copy)
    case = asked(world)
    restriction = world.cases.create(PROJECT, f"dsr_{9:024d}", "restriction", ALICE, world.clock.now(), restricted=True)
    assert world.change(restriction)[-1] == "Done"
    assert world.change(case)[-1] == "Done"
    assert world.again(case).get("imported") == {"restricted": 4}


def test_a_link_ends_before_the_late_scan_of_an_erasure_that_began_meanwhile() -> None:
    assert LINK_SECONDS <= 600
    assert source()["Parameters"]["LateWriterSeconds"]["Default"] > LINK_SECONDS + 300
