"""Story: KMS refuses, is throttled or its key is about to be deleted; DynamoDB leaves parts of a batch undone or meets
a transaction. The refusal outwards is the documented one and says nothing else, nothing is half there, nothing is in
clear, and when the fault is over everything opens again.

The faults are what the lean client raises for them (AWS KMS API Reference, "Decrypt", "GenerateDataKey"; Amazon
DynamoDB API Reference, "BatchWriteItem", "TransactWriteItems").
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.errors import NotFound
from chatapi.store.completions import Completions
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import Change, Collision, MemoryTable
from chatapi.store.marks import Marks
from chatapi.vault import KeyUnavailable, SubjectErased, TenantKeyUnavailable, Vault
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from chatapi.vault.memory import MemoryWraps

WHO = ("prj", "sub_a")
CANARY = b"CANARY-OF-A-CHAT"
OWN = "arn:aws:kms:eu-central-1:111122223333:key/own"
REFUSALS = [
    AwsError("AccessDeniedException", 400),
    AwsError("KMSInvalidStateException", 400),  # pending deletion
    AwsError("DisabledException", 400),
    AwsError("NotFoundException", 400),
    AwsUnavailable("ThrottlingException", 400),
    AwsUnavailable("KMSInternalException", 500),
    AwsUnavailable("Timeout"),
]


class Kms:
    """A key service that keeps to the encryption context, until it has a `fault`."""

    def __init__(self) -> None:
        self.fault: AwsError | None = None
        self.made: dict[str, tuple[str, str]] = {}

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        if self.fault is not None:
            raise self.fault
        context = json.dumps(payload["EncryptionContext"], sort_keys=True)
        if operation == "GenerateDataKey":
            plain, wrap = (base64.b64encode(os.urandom(64)).decode() for _ in range(2))
            self.made[wrap] = (context, plain)
            return {"Plaintext": plain, "CiphertextBlob": wrap, "KeyId": payload["KeyId"]}
        bound, plain = self.made[payload["CiphertextBlob"]]
        assert bound == context
        return {"Plaintext": plain}


class Wire:
    """DynamoDB's batches, gets and transactions; the first `undone` batches leave their last item unprocessed, and the
    first `conflicts` transactions are cancelled by another one."""

    def __init__(self, undone: int = 0, conflicts: int = 0, reason: str = "TransactionConflict") -> None:
        self.undone, self.conflicts, self.reason = undone, conflicts, reason
        self.rows: dict[tuple[str, str], Any] = {}
        self.calls = 0

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        if operation == "GetItem":
            found = self.rows.get(self._key(payload["Key"]))
            return {"Item": found} if found else {}
        if operation == "TransactWriteItems":
            if self.calls <= self.conflicts:
                raise AwsError("TransactionCanceledException", 400, reasons=("None", self.reason))
            return {}
        assert operation == "BatchWriteItem"
        ((table, writes),) = payload["RequestItems"].items()
        left = writes[-1:] if self.calls <= self.undone else []
        for write in writes[: len(writes) - len(left)]:
            if "PutRequest" in write:
                self.rows[self._key(write["PutRequest"]["Item"])] = write["PutRequest"]["Item"]
            else:
                self.rows.pop(self._key(write["DeleteRequest"]["Key"]), None)
        return {"UnprocessedItems": {table: left}} if left else {}

    @staticmethod
    def _key(item: dict[str, Any]) -> tuple[str, str]:
        return item["pk"]["S"], item["sk"]["S"]


class World:
    def __init__(self, table: Any = None) -> None:
        self.clock, self.kms, self.wraps = FixedClock(), Kms(), MemoryWraps()
        self.rows = MemoryTable() if table is None else table
        self.marked = MemoryTable()

    def cold(self) -> Completions:
        """A function that has just started."""
        vault = Vault(self.wraps, KmsKeys(self.kms, "alias/epoch"), self.clock)
        marks = Marks(Catalogued(self.marked, "requests"), self.clock)
        return Completions(Catalogued(self.rows, "records"), vault, marks, self.clock)


def said(error: BaseException) -> str:
    """Everything that a log line or an answer could have of an exception."""
    return repr((error, error.args, error.__cause__, error.__context__ if not error.__suppress_context__ else None))


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.code)
@pytest.mark.parametrize("key", [None, OWN], ids=["the deployment's", "the tenant's"])
def test_without_the_key_service_nothing_is_stored_read_or_lost(fault: AwsError, key: str | None) -> None:
    expected = TenantKeyUnavailable if key else KeyUnavailable
    # given a stored chat
    world = World()
    service = world.cold()
    service.save(service.open_for(*WHO, key=key), "chatcmpl-1", CANARY)
    before = dict(world.rows.rows)
    # when the key service refuses, then a function that is cold neither reads nor stores, for that subject or a new one
    world.kms.fault = fault
    for attempt in (
        lambda: world.cold().load("prj", "chatcmpl-1"),
        lambda: world.cold().open_for(*WHO, key=key),
        lambda: world.cold().open_for("prj", "sub_new", key=key),
    ):
        with pytest.raises(KeyUnavailable) as refused:
            attempt()
        assert type(refused.value) is expected
        assert refused.value.status == 503
        assert refused.value.code == ("tenant_key_unavailable" if key else KeyUnavailable.code)
        assert "CANARY" not in said(refused.value)
        assert "sub_" not in said(refused.value)
        assert refused.value.__context__ is None
    assert world.rows.rows == before
    assert list(world.wraps.items) == [WHO]
    # and a warm one goes on, until what it unwrapped has had its 300 seconds
    assert service.load("prj", "chatcmpl-1").body == CANARY
    world.clock.advance(301)
    with pytest.raises(expected):
        service.load("prj", "chatcmpl-1")
    # and when it answers again everything opens
    world.kms.fault = None
    assert service.load("prj", "chatcmpl-1").body == world.cold().load("prj", "chatcmpl-1").body == CANARY
    assert not any(CANARY in repr(row).encode() for row in world.rows.rows.values())


class VaultTable:
    """The Vault's table on its wire: one item per key, and a `fault` of the operations in `faulty`."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.fault: AwsError | None = None
        self.faulty: tuple[str, ...] = ()

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        if self.fault is not None and operation in self.faulty:
            raise self.fault
        if operation == "GetItem":
            found = self.items.get(payload["Key"]["pk"]["S"])
            return {"Item": found} if found else {}
        assert operation == "PutItem"
        self.items[payload["Item"]["pk"]["S"]] = payload["Item"]
        return {}


VAULT_FAULTS = [
    AwsUnavailable("ProvisionedThroughputExceededException", 400),
    AwsUnavailable("ThrottlingException", 400),
    AwsUnavailable("TransactionConflictException", 400),
    AwsUnavailable("InternalServerError", 500),
    AwsError("AccessDeniedException", 400),
]


@pytest.mark.parametrize("fault", VAULT_FAULTS, ids=lambda fault: fault.code)
def test_without_the_vaults_table_nobody_reads_writes_or_is_erased_by_half(fault: AwsError) -> None:
    # given a stored chat, over the Vault's own adapter
    world, table = World(), VaultTable()
    world.wraps = wraps = DynamoWraps(table, "vault")  # type: ignore[assignment]
    service = world.cold()
    handle = service.open_for(*WHO)
    service.save(handle, "chatcmpl-1", CANARY)
    rows, items = dict(world.rows.rows), dict(table.items)
    # when it does not answer a read, then warm functions refuse too, since each request asks it
    table.fault, table.faulty = fault, ("GetItem",)
    for attempt in (
        lambda: service.load("prj", "chatcmpl-1"),
        lambda: service.open_for(*WHO),
        lambda: wraps.freeze(*WHO, 1, "c"),
    ):
        with pytest.raises(KeyUnavailable) as refused:
            attempt()
        assert (refused.value.status, refused.value.__context__) == (503, None)
    # and a write that it cannot be asked about is taken back
    with pytest.raises(KeyUnavailable):
        service.save(handle, "chatcmpl-2", CANARY)
    assert world.rows.rows == rows
    # when it takes no write, then there is no new subject, and an erasure changes nothing
    table.faulty = ("PutItem",)
    for attempt in (lambda: service.open_for("prj", "sub_new"), lambda: wraps.freeze(*WHO, 1, "c")):
        with pytest.raises(KeyUnavailable):
            attempt()
    assert table.items == items
    # and when the fault is over everything opens, and can be erased
    table.fault = None
    assert world.cold().load("prj", "chatcmpl-1").body == CANARY
    wraps.freeze(*WHO, 1, "c")
    wraps.destroy(*WHO, 1, 1.0, "c")
    with pytest.raises(SubjectErased):
        service.load("prj", "chatcmpl-1")


def test_what_a_batch_leaves_undone_is_sent_again() -> None:
    waits: list[float] = []
    wire = Wire(undone=6)
    world = World(DynamoTable(wire, "records", now=lambda: 0.0, sleep=waits.append))
    service = world.cold()
    service.save(service.open_for(*WHO), "chatcmpl-1", CANARY * 60_000)  # four rows
    assert sorted(pk for pk, _ in wire.rows) == ["l#prj", *["s#prj#sub_a#1"] * (len(wire.rows) - 1)]
    assert len(wire.rows) > 3
    assert len(waits) == 6
    assert waits == sorted(waits)
    assert not any(b"CANARY" in base64.b64decode(row["body"]["B"]) for row in wire.rows.values() if "body" in row)


def test_a_batch_that_never_ends_is_taken_back_and_told() -> None:
    wire = Wire(undone=7)
    world = World(DynamoTable(wire, "records", now=lambda: 0.0, sleep=lambda _: None))
    service = world.cold()
    with pytest.raises(AwsUnavailable) as told:
        service.save(service.open_for(*WHO), "chatcmpl-1", CANARY)
    assert told.value.code == "UnprocessedItems"
    assert wire.rows == {}
    with pytest.raises(NotFound):
        service.load("prj", "chatcmpl-1")


def fold(wire: Wire) -> None:
    """What an erasure does to a day row: it goes, and its counts stay, both or neither."""
    table = DynamoTable(wire, "records", sleep=lambda _: None)
    table.fold(("s#prj#sub_a#-", "day#1"), {"requests": 1}, "u#prj", "1", Change(add={"u_x": 1}))


def test_a_transaction_of_an_erasure_that_meets_another_one_is_tried_again() -> None:
    wire = Wire(conflicts=6)
    fold(wire)
    assert wire.calls == 7
    with pytest.raises(AwsUnavailable):  # the workflow tries the task again
        fold(Wire(conflicts=100))
    changed = Wire(conflicts=100, reason="ConditionalCheckFailed")
    with pytest.raises(Collision):  # the row is another one by now: it is read again
        fold(changed)
    assert changed.calls == 1
