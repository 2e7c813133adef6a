"""Races of the limiter on a store whose writes are atomic: exactly the limit is admitted, by any number of callers.

moto is not atomic across threads, so this story is told on the local stack's DynamoDB.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any

import pytest

from authorizer.service import SLOT_SECONDS, Authorizer, Denied
from chatapi.aws.av import from_item
from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.limits.settlement import settle
from chatapi.store.dynamo import DynamoTable
from chatapi.store.projects import Limits, Projects
from chatapi.verdict import Verdict, estimate
from tests.e2e.local_stack import RunningStack

WORKERS = 32
MINT, PEPPER = b"m" * 32, b"p" * 32
CHAT = {"method": "POST", "resource": "/v1/chat/completions", "content_length": 400}
EACH = estimate(400)
ROOMY = {"rpm": 10_000, "tpm": 10**9, "rpd": 10_000, "tpmo": 10**12, "conc": 10_000}


class Race:
    """A project on the real store, and 32 callers with a clock that stands still."""

    def __init__(self, stack: RunningStack, **limits: int) -> None:
        self._stack = stack
        self._local = local()
        self.table = stack.info.outputs["ProjectsTable"]
        self.clock = FixedClock(1_800_000_020)
        table = Catalogued(DynamoTable(self.client, self.table, sort=None), "projects")
        projects = Projects(table, mint=MINT, pepper=PEPPER, clock=self.clock)
        self.project, self.key = projects.create("race", Limits(**{**ROOMY, **limits}), region=stack.info.region)

    @property
    def client(self) -> AwsClient:
        """One client a thread, as one function has one."""
        if not hasattr(self._local, "client"):
            info = self._stack.info
            credentials = Credentials(info.aws_access_key_id, info.aws_secret_access_key)
            self._local.client = AwsClient(
                "dynamodb",
                region=info.region,
                endpoint=info.aws_endpoint_url,
                credentials=lambda: credentials,
                timeout=30,
            )
        client: AwsClient = self._local.client
        return client

    def admit(self, _: int = 0) -> Verdict | str:
        service = Authorizer(self.client, table=self.table, mint=lambda: MINT, pepper=lambda: PEPPER, clock=self.clock)
        try:
            return service.decide(f"Bearer {self.key}", **CHAT)  # type: ignore[arg-type]
        except Denied as denied:
            return denied.context["reason"]

    def burst(self, calls: int) -> tuple[list[Verdict], Counter[str]]:
        with ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(self.admit, range(calls)))
        return [r for r in results if isinstance(r, Verdict)], Counter(r for r in results if isinstance(r, str))

    def settle_all(self, verdicts: list[Verdict], used: int) -> None:
        def one(verdict: Verdict) -> None:
            update = settle(self.table, self.project, verdict.slot, verdict.token_windows, used - verdict.reserved)
            for _ in range(2):  # delivered twice: it counts once
                try:
                    self.client.call("UpdateItem", update)
                except AwsError as error:
                    if error.code != "ConditionalCheckFailedException":
                        raise

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(one, verdicts))

    def item(self) -> dict[str, Any]:
        key = {"TableName": self.table, "Key": {"pk": {"S": "p#" + self.project}}, "ConsistentRead": True}
        return from_item(self.client.call("GetItem", key)["Item"])


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"rpm": 20}, "requests"),
        ({"tpm": 20 * EACH + 5}, "tokens"),
        ({"rpd": 20}, "quota"),
        ({"tpmo": 20 * EACH + 5}, "quota"),
        ({"conc": 20}, "concurrency"),
    ],
    ids=["rpm", "tpm", "rpd", "tpmo", "concurrency"],
)
def test_exactly_the_limit_is_admitted(stack: RunningStack, limit: dict[str, int], reason: str) -> None:
    race = Race(stack, **limit)
    admitted, refused = race.burst(80)
    assert len(admitted) == 20
    assert refused == {reason: 60}


def test_all_limits_at_once_admit_the_tightest(stack: RunningStack) -> None:
    race = Race(stack, rpm=30, tpm=25 * EACH, rpd=28, conc=21)
    assert len(race.burst(100)[0]) == 21


def test_what_is_settled_is_what_was_used_and_no_slot_is_left(stack: RunningStack) -> None:
    race = Race(stack, conc=40)
    admitted, _ = race.burst(40)
    race.settle_all(admitted, used=17)
    item = race.item()
    assert "inf" not in item
    assert {10**9 - v for k, v in item.items() if k[:3] in ("t0_", "t1_")} == {17 * len(admitted)}


def test_slots_of_killed_workers_are_free_after_their_deadline(stack: RunningStack) -> None:
    race = Race(stack, conc=5)
    assert len(race.burst(20)[0]) == 5
    race.clock.advance(SLOT_SECONDS + 2)
    assert len(race.burst(40)[0]) == 5
    assert len(race.item()["inf"]) == 5
