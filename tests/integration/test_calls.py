"""Story: what each operation of the vault and the store costs in calls is a table in docs/vault.md, and it is true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

from chatapi.aws.client import AwsClient
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.store.completions import Completions
from chatapi.store.dynamo import DynamoTable
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.vault import Vault
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from chatapi.vault.rotation import Target, rewrap, rotate
from tests.support.deployed import Deployed
from tests.support.transformed import ROOT

PROJECT = "prjcalls"
_ROW = re.compile(r"^\| (?P<name>[^|]+?) \| (?P<dynamodb>[A-Z][^|]+?|none) \| (?P<kms>[A-Z][^|]+?|none) \|$", re.M)


def documented() -> dict[str, tuple[str, str]]:
    page = (ROOT / "docs" / "vault.md").read_text().split("## Calls")[1].split("\n## ")[0]
    return {row["name"]: (row["dynamodb"], row["kms"]) for row in _ROW.finditer(page) if row["name"] != "operation"}


class Function:
    """What a function has in its memory, with its own clients and cache."""

    def __init__(self, stack: Deployed) -> None:
        self.dynamo, self.kms, clock = stack.client("dynamodb"), stack.client("kms"), SystemClock()
        self.wraps = DynamoWraps(self.dynamo, stack.outputs["VaultTable"])
        self.keys = KmsKeys(self.kms, stack.outputs["EpochKey"])
        self.vault = Vault(self.wraps, self.keys, clock)
        records = Catalogued(DynamoTable(self.dynamo, stack.outputs["RecordsTable"]), "records")
        marks = Marks(Catalogued(DynamoTable(self.dynamo, stack.outputs["RequestsTable"]), "requests"), clock)
        self.records = Records(records, self.vault, marks, clock)
        self.completions = Completions(records, self.vault, marks, clock)

    def cost(self, work: Callable[[], object]) -> tuple[str, str]:
        for client in (self.dynamo, self.kms):
            client.calls.clear()
        work()
        return _words(self.dynamo), _words(self.kms)


def _words(client: AwsClient) -> str:
    counted: Counter[str] = client.calls
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items())) or "none"


def measured(stack: Deployed) -> dict[str, tuple[str, str]]:
    one, found = Function(stack), dict[str, tuple[str, str]]()

    def store(function: Function, subject: str, name: str) -> None:
        handle = function.records.writer(PROJECT, subject)
        function.records.put(handle, "conversation", [(name, b"x")])

    found["store a record, a new subject"] = one.cost(lambda: store(one, "sub_a", "conv_1"))
    found["store a record, warm"] = one.cost(lambda: store(one, "sub_a", "conv_2"))
    cold = Function(stack)
    found["store a record, cold function"] = cold.cost(lambda: store(cold, "sub_a", "conv_3"))
    found["find a record by its id, warm"] = one.cost(lambda: one.records.find(PROJECT, "conversation", "conv_1"))
    cold = Function(stack)
    found["find a record by its id, cold function"] = cold.cost(
        lambda: cold.records.find(PROJECT, "conversation", "conv_1")
    )
    handle, record = one.records.find(PROJECT, "conversation", "conv_1")
    items = [(f"msg_{number:02}", b"x" * 2048) for number in range(50)]
    found["store 50 records at once"] = one.cost(lambda: one.records.put(handle, "item", items, parent="conv_1"))
    found["a history of 50 records"] = one.cost(lambda: one.records.page(handle, "item", parent="conv_1", limit=50))
    ids = [name for name, _ in items]
    found["50 records by their ids"] = one.cost(lambda: one.records.get_many(handle, "item", ids, parent="conv_1"))
    found["update a record"] = one.cost(lambda: one.records.update(handle, record, b"y"))
    found["delete a record"] = one.cost(lambda: one.records.delete(handle, "conversation", "conv_2"))

    def save() -> None:
        one.completions.save(one.completions.open_for(PROJECT, "sub_a"), "chatcmpl-1", b"x")

    found["save a completion, warm"] = one.cost(save)
    found["load a completion, warm"] = one.cost(lambda: one.completions.load(PROJECT, "chatcmpl-1"))
    stored, tags = one.completions.load(PROJECT, "chatcmpl-1"), frozenset({b"new"})
    one.completions.replace(stored, b"y", tags=frozenset({b"old"}))

    def change() -> None:
        one.completions.replace(one.completions.load(PROJECT, "chatcmpl-1"), b"z", tags=tags)

    found["change a completion's metadata, warm"] = one.cost(change)
    for number in range(9):
        one.completions.save(one.completions.open_for(PROJECT, "sub_a"), f"chatcmpl-2{number}", b"x")
    found["list ten completions of one subject"] = one.cost(lambda: one.completions.list(PROJECT))
    found["delete a completion"] = one.cost(lambda: one.completions.delete(PROJECT, "chatcmpl-1"))
    other = str(stack.client("kms").call("CreateKey", {})["KeyMetadata"]["Arn"])
    item = one.wraps.get(PROJECT, "sub_a")
    assert item is not None
    target = Target(item.key_arn)
    found["rotate a subject's key"] = one.cost(lambda: rotate(one.wraps, one.keys, PROJECT, "sub_a", target))
    job = rewrap(one.wraps, one.keys, lambda p: Target(other), clock=SystemClock(), sleep=lambda s: None)
    found["rewrap a subject of two versions, its page included"] = one.cost(lambda: list(job))
    found["freeze a subject"] = one.cost(lambda: one.wraps.freeze(PROJECT, "sub_a", 1, "c"))
    found["destroy a subject's keys"] = one.cost(lambda: one.wraps.destroy(PROJECT, "sub_a", 1, 1.0, "c"))
    return found


@pytest.fixture(scope="module")
def costs(deployed: Deployed) -> dict[str, tuple[str, str]]:
    return measured(deployed)


def test_the_table_of_calls_is_what_happens(costs: dict[str, tuple[str, str]]) -> None:
    assert documented() == costs


def test_twenty_warm_requests_make_no_call_to_kms(deployed: Deployed) -> None:
    one = Function(deployed)
    handle = one.records.writer(PROJECT, "sub_b")
    one.records.put(handle, "conversation", [("conv_9", b"x")])
    found = one.cost(lambda: [one.records.find(PROJECT, "conversation", "conv_9") for _ in range(20)])
    assert found == ("GetItem 60", "none")
