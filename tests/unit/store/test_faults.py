"""Story: whatever call fails, is throttled, or is the last one before the function is killed, what was acknowledged is
there, what was refused is not half there, an erased subject is unreadable, and nothing is ever stored in clear.

Every operation is run once to count its calls out of the function; then again for each of them, with each fault, before
the call takes effect and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from chatapi.aws.errors import AwsUnavailable
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.errors import ApiError, NotFound
from chatapi.store.completions import Completions, Filter
from chatapi.store.items import MemoryTable
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.store.sealed import CHUNK_BYTES
from chatapi.vault import KeyUnavailable, SubjectErased, Vault, key_context
from chatapi.vault.memory import MemoryKeys, MemoryWraps
from tests.unit.vault.independent import tool

WHO = ("prj", "sub_a")
OLD, NEW = b"OLD-CANARY" * (CHUNK_BYTES // 9), b"NEW-CANARY" * (CHUNK_BYTES // 9)
"""Two chunks each."""


class Killed(BaseException):
    """The function is gone: nothing after it runs, no handler either."""


class Faults:
    """Counts the calls that leave the function. The `at`-th fails; a killed function makes no further call."""

    def __init__(self) -> None:
        self.calls, self.at, self.after, self.fault, self.dead = 0, 0, False, Killed, False

    def guard(self, port: Any, error: type[Exception]) -> Any:
        return _Guarded(self, port, error)

    def call(self, work: Callable[[], Any], error: type[Exception]) -> Any:
        if self.dead:
            raise Killed
        self.calls += 1
        hit = self.calls == self.at
        if hit and not self.after:
            self._fail(error)
        answer = work()
        if hit:
            self._fail(error)
        return answer

    def _fail(self, error: type[Exception]) -> None:
        if self.fault is Killed:
            self.dead = True
            raise Killed
        raise error("ThrottlingException") if error is AwsUnavailable else error()


class _Guarded:
    def __init__(self, faults: Faults, port: Any, error: type[Exception]) -> None:
        self._faults, self._port, self._error = faults, port, error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *words, **rest: self._faults.call(lambda: method(*words, **rest), self._error)


class Partial(MemoryTable):
    """BatchWriteItem is no transaction: of a batch that failed on its way, some is done."""

    def put_all(self, items: Any) -> None:
        super().put_all(items[:1])
        super().put_all(items[1:])


class World:
    def __init__(self) -> None:
        self.clock, self.faults = FixedClock(), Faults()
        self.rows, self.marked, self.wraps, self.keys = Partial(), MemoryTable(), MemoryWraps(), MemoryKeys()
        self.records, self.completions, self.vault = self._function(self.faults)
        handle = self.records.writer(*WHO)
        self.records.put(handle, "conversation", [("conv_1", OLD)])
        self.completions.save(handle, "chatcmpl-1", OLD, model="m", tags=frozenset({b"t1"}))
        self.faults.calls = 0

    def _function(self, faults: Faults) -> tuple[Records, Completions, Vault]:
        vault = Vault(faults.guard(self.wraps, KeyUnavailable), faults.guard(self.keys, KeyUnavailable), self.clock)
        table = Catalogued(faults.guard(self.rows, AwsUnavailable), "records")
        marks = Marks(Catalogued(faults.guard(self.marked, AwsUnavailable), "requests"), self.clock)
        return Records(table, vault, marks, self.clock), Completions(table, vault, marks, self.clock), vault

    def later(self) -> tuple[Records, Completions, Vault]:
        """Another function, cold and unharmed."""
        return self._function(Faults())

    def erase(self) -> None:
        """The vault's part of an erasure, by a role of its own."""
        self.wraps.freeze(*WHO, 1, "c")
        self.wraps.destroy(*WHO, 1, 1.0, "c")

    def everything(self) -> Iterable[bytes]:
        for row in (*self.rows.rows.values(), *self.marked.rows.values()):
            yield repr(row).encode() + b"".join(v for v in row.values() if isinstance(v, bytes))


def put(world: World) -> None:
    world.records.put(world.records.writer(*WHO), "conversation", [("conv_2", NEW)])


def update(world: World) -> None:
    handle, record = world.records.find("prj", "conversation", "conv_1")
    world.records.update(handle, record, NEW)


def delete(world: World) -> None:
    handle, _ = world.records.find("prj", "conversation", "conv_1")
    world.records.delete(handle, "conversation", "conv_1")


def save(world: World) -> None:
    world.completions.save(world.completions.open_for(*WHO), "chatcmpl-2", NEW)


def remove(world: World) -> None:
    world.completions.delete("prj", "chatcmpl-1")


def change(world: World) -> None:
    world.completions.replace(world.completions.load("prj", "chatcmpl-1"), NEW, tags=frozenset({b"t2"}))


OPERATIONS = (put, update, delete, save, remove, change)


def count(operation: Callable[[World], None]) -> int:
    world = World()
    operation(world)
    return world.faults.calls


def points() -> list[Any]:
    return [
        pytest.param(
            operation, at, after, fault, id=f"{operation.__name__}-{at}-{'after' if after else 'before'}-{name}"
        )
        for operation in OPERATIONS
        for at in range(1, count(operation) + 1)
        for after in (False, True)
        for name, fault in (("killed", Killed), ("throttled", AwsUnavailable))
    ]


def found(world: World, load: Callable[[], bytes]) -> bytes | None:
    try:
        return load()
    except NotFound:
        return None


@pytest.mark.parametrize(("operation", "at", "after", "fault"), points())
def test_at_every_call(operation: Callable[[World], None], at: int, after: bool, fault: Any) -> None:
    world = World()
    world.faults.at, world.faults.after, world.faults.fault = at, after, fault
    acknowledged = False
    with suppress(Killed, AwsUnavailable, ApiError):
        operation(world)
        acknowledged = True
    records, completions, _ = world.later()
    states = {
        "conv_1": found(world, lambda: records.find("prj", "conversation", "conv_1")[1].body),
        "conv_2": found(world, lambda: records.find("prj", "conversation", "conv_2")[1].body),
        "chatcmpl-1": found(world, lambda: completions.load("prj", "chatcmpl-1").body),
        "chatcmpl-2": found(world, lambda: completions.load("prj", "chatcmpl-2").body),
    }
    # whole or not at all, and what no operation touched is as it was
    before = {"conv_1": OLD, "conv_2": None, "chatcmpl-1": OLD, "chatcmpl-2": None}
    touched, done = {
        put: ("conv_2", NEW), update: ("conv_1", NEW), delete: ("conv_1", None),
        save: ("chatcmpl-2", NEW), remove: ("chatcmpl-1", None), change: ("chatcmpl-1", NEW),
    }[operation]  # fmt: skip
    assert states == {**before, touched: states[touched]}
    assert states[touched] in (before[touched], done)
    assert not acknowledged or states[touched] == done
    # a list that filters finds what stands
    tag = {OLD: b"t1", NEW: b"t2"}.get(states["chatcmpl-1"] or b"")
    if tag is not None and operation is not save:
        listed, _ = completions.list("prj", sieve=Filter("m", frozenset({tag})))
        assert [stored.body for stored in listed] == [states["chatcmpl-1"]]
    # a refusal that could take back did so
    if fault is not Killed and not acknowledged and operation in (put, save) and at > 1:
        assert states[touched] is None
    # never in clear
    assert not any(b"CANARY" in blob for blob in world.everything())
    # and after an erasure nothing opens, with nothing that any store holds
    world.erase()
    item = world.wraps.items[WHO]
    assert item.wraps == {}
    for load in (
        lambda: records.find("prj", "conversation", "conv_1"),
        lambda: completions.load("prj", "chatcmpl-1"),
        lambda: world.later()[2].reader(*WHO, 1),
    ):
        with pytest.raises((SubjectErased, NotFound)):
            load()


@pytest.mark.parametrize("at", range(1, count(put) + 1))
def test_an_erasure_at_every_call_of_a_writer_leaves_nothing_readable(at: int) -> None:
    # given a writer that is overtaken by a whole erasure just before its at-th call, and killed or not
    world = World()
    key = world.keys.unwrap(world.wraps.items[WHO].wraps[1], key_context(*WHO, 1), world.keys.key_arn)
    inner = world.faults.call

    def overtaken(work: Callable[[], Any], error: type[Exception]) -> Any:
        if world.faults.calls + 1 == at:
            world.erase()
            world.rows.rows.clear()
        return inner(work, error)

    world.faults.call = overtaken  # type: ignore[method-assign]
    with suppress(ApiError):
        put(world)
    closed = [row for row in world.rows.rows.values() if row["pk"].endswith("#1")]
    assert closed == []  # taken back, or written to the next generation
    opened = tool.open_rows(key, 1, [row for row in world.rows.rows.values() if "body" in row])
    assert not any(line["opens"] for line in opened)
