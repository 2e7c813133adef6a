"""The port `Table` means the same in memory and on DynamoDB's wire."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from chatapi.aws.client import AwsClient
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import Change, Collision, MemoryTable, Table, pages
from tests.support.transformed import REGION

_names = itertools.count()


@pytest.fixture(params=["memory", "dynamodb"])
def make(request: pytest.FixtureRequest, aws_environment: str) -> Any:
    """A maker of tables with a clock that stands at 100."""

    def dynamo(sort: str | None = "sk") -> Table:
        name = f"table-{next(_names)}"
        client = AwsClient("dynamodb", region=REGION, endpoint=aws_environment, timeout=10)
        keys = ["pk", *([sort] if sort else [])]
        client.call(
            "CreateTable",
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": k, "KeyType": "HASH" if k == "pk" else "RANGE"} for k in keys],
                "AttributeDefinitions": [
                    {"AttributeName": k, "AttributeType": "N" if k == "seq" else "S"} for k in keys
                ],
            },
        )
        return DynamoTable(client, name, sort=sort, now=lambda: 100.0)

    return dynamo if request.param == "dynamodb" else lambda sort="sk": MemoryTable(sort, now=lambda: 100.0)


Make = Callable[..., Table]


def test_an_item_comes_back_and_is_gone_after_its_ttl(make: Make) -> None:
    table = make()
    table.put(
        {"pk": "a", "sk": "1", "blob": b"\0\xff", "n": 5, "list": ["x"], "map": {"k": 1}, "set": frozenset({b"s"})}
    )
    table.put({"pk": "a", "sk": "2", "ttl": 100})
    table.put({"pk": "a", "sk": "3", "ttl": 101})
    found = table.get("a", "1")
    assert found is not None
    assert (found["blob"], found["map"], found["set"]) == (b"\0\xff", {"k": 1}, frozenset({b"s"}))
    assert table.get("a", "2") is None
    assert [item["sk"] for item in table.query("a")] == ["1", "3"]
    assert [item["sk"] for item in table.query("a", expired=True)] == ["1", "2", "3"]
    assert table.get("nobody", "1") is None


def test_put_absent_collides_and_carries_what_stands(make: Make) -> None:
    table = make(None)
    table.put({"pk": "a", "v": 1}, absent=True)
    with pytest.raises(Collision) as caught:
        table.put({"pk": "a", "v": 2}, absent=True)
    assert caught.value.item == {"pk": "a", "v": 1}


def test_a_change_sets_defaults_adds_drops_and_expects(make: Make) -> None:
    table = make()
    first = table.update("a", "1", Change(put={"s": "x"}, default={"d": 1}, add={"n": 2}))
    assert first == {"pk": "a", "sk": "1", "s": "x", "d": 1, "n": 2}
    second = table.update(
        "a",
        "1",
        Change(put={"s": "y"}, default={"d": 9}, add={"n": 3}, expect={"s": frozenset({"x", "z"}), "gone": None}),
    )
    assert (second["s"], second["d"], second["n"]) == ("y", 1, 5)
    assert "d" not in table.update("a", "1", Change(drop=["d"], expect={"s": "y"}))
    for expect in ({"s": "x"}, {"s": None}, {"s": frozenset({"q"})}, {"missing": "x"}):
        with pytest.raises(Collision) as caught:
            table.update("a", "1", Change(put={"s": "no"}, expect=expect))
        assert caught.value.item is not None
        assert caught.value.item["s"] == "y"


def test_queries_page_by_prefix_and_direction(make: Make) -> None:
    table = make()
    table.put_all([{"pk": "a", "sk": f"{kind}#{i:02d}", "pad": "x" * 50_000} for kind in "ab" for i in range(30)])
    names = [f"a#{i:02d}" for i in range(30)]
    assert [item["sk"] for item in table.query("a", "a#")] == names
    assert [item["sk"] for item in table.query("a", "a#", limit=7)] == names[:7]
    assert [item["sk"] for item in table.query("a", "a#", after="a#06", limit=2)] == names[7:9]
    assert [item["sk"] for item in table.query("a", "a#", after="a#06", descending=True)] == names[5::-1]
    table.delete_all([("a", name) for name in names] + [("a", "never-there")])
    assert len(table.query("a")) == 30


def test_a_partition_is_walked_over_page_by_page_whatever_its_items_weigh(make: Make) -> None:
    table = make()
    heavy = [{"pk": "a", "sk": f"a#{i:03d}", "kind": "k", "ttl": 100 + i % 2, "pad": "x" * 40_000} for i in range(120)]
    table.put_all([*heavy, {"pk": "a", "sk": "b#1"}, {"pk": "b", "sk": "a#1"}])
    live, whole = [list(pages(table, "a", "a#", expired=expired)) for expired in (False, True)]
    assert len(live) > 1
    assert all(found for found in live)
    assert [item["sk"] for page in live for item in page] == [f"a#{i:03d}" for i in range(1, 120, 2)]
    assert [item["sk"] for page in whole for item in page] == [item["sk"] for item in heavy]
    # and no more than what is wanted travels
    (first, *_) = next(pages(table, "a", "a#", expired=True, only=("sk", "kind", "missing")))
    assert first == {"sk": "a#000", "kind": "k"}
    page = table.page("a", "a#", only=("sk",))
    assert page.items[0]["sk"] == "a#001"
    assert table.page("a", "a#", after=page.after).items[0]["sk"] > page.items[-1]["sk"]
    assert list(pages(table, "nobody")) == []


def test_a_numeric_sort_key_orders_by_number(make: Make) -> None:
    table = make("seq")
    for seq in (2, 10, 1):
        table.put({"pk": "l", "seq": seq})
    assert [item["seq"] for item in table.query("l")] == [1, 2, 10]
    assert [item["seq"] for item in table.query("l", descending=True, limit=1)] == [10]


def test_many_items_are_read_by_key_and_the_expired_are_not(make: Make) -> None:
    table = make()
    table.put_all([{"pk": "a", "sk": f"{i:03d}", "pad": "x" * 90_000} for i in range(120)])
    table.put({"pk": "a", "sk": "old", "ttl": 100})
    found = table.get_all([("a", f"{i:03d}") for i in range(150)] + [("a", "old")])
    assert sorted(item["sk"] for item in found) == [f"{i:03d}" for i in range(120)]
    assert table.get_all([]) == []


def test_a_put_may_expect_what_stands(make: Make) -> None:
    table = make()
    table.put({"pk": "a", "sk": "1", "rev": 1, "body": b"one"})
    table.put({"pk": "a", "sk": "1", "rev": 2, "body": b"two"}, expect={"rev": 1})
    for expect in ({"rev": 1}, {"rev": 2, "body": b"one"}, {"body": None}):
        with pytest.raises(Collision) as caught:
            table.put({"pk": "a", "sk": "1", "rev": 3}, expect=expect)
        assert caught.value.item == {"pk": "a", "sk": "1", "rev": 2, "body": b"two"}
    with pytest.raises(Collision):
        table.put({"pk": "b", "sk": "1"}, expect={"rev": 1})


def test_folding_deletes_one_and_changes_another_or_neither(make: Make) -> None:
    table = make()
    table.put({"pk": "a", "sk": "1", "n": 2})
    change = Change(default={"d": 1}, add={"n": 5})
    for wrong in (("a", "1"), ("a", "2")):
        with pytest.raises(Collision):
            table.fold(wrong, {"n": 3}, "b", "1", change)
    assert (table.get("a", "1"), table.get("b", "1")) == ({"pk": "a", "sk": "1", "n": 2}, None)
    table.fold(("a", "1"), {"n": 2}, "b", "1", change)
    assert (table.get("a", "1"), table.get("b", "1")) == (None, {"pk": "b", "sk": "1", "d": 1, "n": 5})
    with pytest.raises(Collision):
        table.fold(("a", "1"), {"n": 2}, "b", "1", change)
