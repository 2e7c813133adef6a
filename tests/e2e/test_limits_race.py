"""Races of the limiter on a store whose writes are atomic: exactly the limit is admitted, by any number of callers.

moto is not atomic across threads, so this story is told on the local stack's DynamoDB. Each race is run several times,
20 times by `make prove`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Lock, local
from typing import Any

import pytest

from authorizer.service import SLOT_SECONDS, Authorizer, Denied
from chat.allowance import Allowance
from chatapi.aws.av import from_item
from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.errors import RateLimited
from chatapi.grants import Grant
from chatapi.ids import random62
from chatapi.limits.settlement import settle
from chatapi.limits.windows import NO_LIMIT
from chatapi.prices import dearest
from chatapi.store.dynamo import DynamoTable
from chatapi.store.keys import ALLOWANCE, UNDATED, subject_pk
from chatapi.store.projects import Limits, Projects
from chatapi.verdict import DEFAULT_OUTPUT_TOKENS, Verdict, estimate
from tests.e2e.local_stack import RunningStack
from tests.support.campaign import examples

WORKERS = 32
REPETITIONS = min(20, examples(3))
MINT, PEPPER = b"m" * 32, b"p" * 32
CHAT = {"method": "POST", "resource": "/v1/chat/completions", "content_length": 400}
EACH = estimate(400)
PRICE = dearest("local")
COST = PRICE.cost(100, 0, DEFAULT_OUTPUT_TOKENS)
ROOMY = {"rpm": 10_000, "tpm": 10**9, "rpd": 10_000, "tpmo": 10**12, "conc": 10_000}


@pytest.fixture(autouse=True)
def rounds(record_property: Callable[[str, object], None]) -> None:
    """Each test here is run so often."""
    record_property("cases", f"{REPETITIONS} rounds")


class Race:
    """A project on the real store, and 32 callers with a clock that stands still."""

    def __init__(self, stack: RunningStack, own: Grant | None = None, **limits: int) -> None:
        self._stack = stack
        self._local = local()
        self.calls = 0
        self.functions: list[Authorizer] = []
        self._counting = Lock()
        self.table = stack.info.outputs["ProjectsTable"]
        self.clock = FixedClock(1_800_000_020)
        table = Catalogued(DynamoTable(self.client, self.table, sort=None), "projects")
        projects = Projects(table, mint=MINT, pepper=PEPPER, clock=self.clock)
        self.project, self.key = projects.create("race", Limits(**{**ROOMY, **limits}), region=stack.info.region)
        if own:  # the caller's key has limits of its own
            self.key, _ = projects.add_key(self.project, own)

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

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call of an authorizer, counted."""
        with self._counting:
            self.calls += 1
        return self.client.call(operation, payload)

    def cold(self) -> Authorizer:
        """A function that has just started."""
        return Authorizer(
            self, table=self.table, mint=lambda: MINT, pepper=lambda: PEPPER, clock=self.clock, dearest=PRICE
        )

    def warm(self) -> Authorizer:
        """The function of this thread: it remembers what it was refused."""
        if not hasattr(self._local, "function"):
            self._local.function = self.cold()
            self.functions.append(self._local.function)
        function: Authorizer = self._local.function
        return function

    def admit(self, function: Authorizer) -> Verdict | str:
        try:
            return function.decide(f"Bearer {self.key}", **CHAT)  # type: ignore[arg-type]
        except Denied as denied:
            return denied.context["reason"]

    def burst(self, calls: int, *, warm: bool = False) -> tuple[list[Verdict], Counter[str]]:
        with ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(lambda _: self.admit(self.warm() if warm else self.cold()), range(calls)))
        return [r for r in results if isinstance(r, Verdict)], Counter(r for r in results if isinstance(r, str))

    def settle(self, verdict: Verdict, used: int) -> int:
        """Deliver a settle twice; how often it counted."""
        deltas = dict.fromkeys(verdict.token_windows, used - verdict.reserved)
        deltas |= dict.fromkeys(verdict.spend_windows, used - verdict.spend)  # a micro-USD each
        update = settle(self.table, self.project, verdict.slot, deltas)
        counted = 0
        for _ in range(2):
            try:
                self.client.call("UpdateItem", update)
                counted += 1
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
        return counted

    def allowed(self, table: str, subject: str, rpm: int, tpm: int) -> Allowance | None:
        """What an end user was given for one chat, or None."""
        allowance = Allowance(self.client, table, self.project, subject, rpm, tpm)
        try:
            allowance.debit(EACH, self.clock.now())
        except RateLimited:
            return None
        return allowance

    def settle_all(self, verdicts: list[Verdict], used: int) -> None:
        """Settle all at once, each from two workers."""
        with ThreadPoolExecutor(WORKERS) as pool:
            assert sum(pool.map(lambda verdict: self.settle(verdict, used), [*verdicts, *verdicts])) == len(verdicts)

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
        ({"smo": 20 * COST + 5}, "quota"),
        ({"conc": 20}, "concurrency"),
        ({"own": Grant(("chat",), rpm=20)}, "requests"),
        ({"own": Grant(("chat",), tpm=20 * EACH + 5)}, "tokens"),
        ({"own": Grant(("chat",), spend=20 * COST + 5)}, "quota"),
    ],
    ids=["rpm", "tpm", "rpd", "tpmo", "spend", "concurrency", "key rpm", "key tpm", "key spend"],
)
def test_exactly_the_limit_is_admitted(stack: RunningStack, limit: dict[str, Any], reason: str) -> None:
    for _ in range(REPETITIONS):
        race = Race(stack, **limit)
        admitted, refused = race.burst(80)
        assert len(admitted) == 20
        assert refused == {reason: 60}


@pytest.mark.parametrize("limit", [{"rpm": 100}, {"rpd": 100}], ids=["rpm", "rpd"])
def test_warm_functions_admit_exactly_the_limit_for_few_calls(stack: RunningStack, limit: dict[str, int]) -> None:
    for _ in range(REPETITIONS):
        race = Race(stack, **limit)
        admitted, _ = race.burst(1000, warm=True)
        assert len(admitted) == 100
        # a call for each that was let in, and one refusal for each of the functions: 0.13 a request
        assert race.calls <= 100 + WORKERS


@pytest.mark.parametrize(
    "limit", [{"rpm": 200}, {"rpd": 200}, {"tpm": 200 * EACH + 5}, {"tpmo": 200 * EACH + 5}, {"smo": 200 * COST + 5}]
)
def test_leases_admit_at_most_the_limit_for_few_calls(stack: RunningStack, limit: dict[str, int]) -> None:
    for _ in range(REPETITIONS):
        race = Race(stack, conc=0, lease=8, **limit)
        admitted, _ = race.burst(1200, warm=True)
        # whoever was not asked again has something left of a lease; that and what was admitted is the limit, exactly
        left = sum(lease.left for function in race.functions for lease in function._leases._known.values())
        assert len(admitted) + left == 200


def test_leases_cost_at_most_fifteen_hundredths_of_a_call_a_request(stack: RunningStack) -> None:
    race = Race(stack, conc=0, lease=8)
    function = race.cold()
    assert all(isinstance(race.admit(function), Verdict) for _ in range(400))
    assert race.calls <= 0.15 * 400


@pytest.mark.parametrize("limits", [(20, 0), (0, 20 * EACH + 5), (20, 21 * EACH)], ids=["rpm", "tpm", "both"])
def test_exactly_an_end_users_limit_is_admitted_and_settled_once(stack: RunningStack, limits: tuple[int, int]) -> None:
    table = stack.info.outputs["RecordsTable"]
    for _ in range(REPETITIONS):
        race, subject = Race(stack), "sub_" + random62(32)
        with ThreadPoolExecutor(WORKERS) as pool:
            debited = pool.map(lambda _: race.allowed(table, subject, *limits), range(80))  # noqa: B023 - run at once
            admitted = [allowance for allowance in debited if allowance]
            assert len(admitted) == 20
            list(pool.map(lambda allowance: allowance.settle(17), [*admitted, *admitted]))
        records = DynamoTable(race.client, table)
        item = records.get(subject_pk(race.project, subject, UNDATED), ALLOWANCE) or {}
        assert "inf" not in item
        if limits[1]:
            assert {limits[1] - v for k, v in item.items() if k[:3] in ("t0_", "t1_")} == {20 * 17}


def test_all_limits_at_once_admit_the_tightest(stack: RunningStack) -> None:
    limits = {"rpm": 30, "tpm": 25 * EACH, "rpd": 28, "tpmo": 27 * EACH, "conc": 26, "smo": 29 * COST}
    unit = {"tpm": EACH, "tpmo": EACH, "smo": COST, "spend": COST}
    own = {"rpm": 24, "tpm": 24 * EACH, "spend": 24 * COST}
    for number in range(max(REPETITIONS, len(limits) + len(own))):
        # each of them is the tightest in turn, the project's and then the key's
        tight = [*limits, *own][number % (len(limits) + len(own))]
        ours = {**limits, tight: 21 * unit.get(tight, 1)} if number % 9 < len(limits) else limits
        keys = own if ours is not limits else {**own, tight: 21 * unit.get(tight, 1)}
        race = Race(stack, Grant(("chat",), **keys), **ours)
        assert len(race.burst(100)[0]) == 21


def test_what_is_settled_is_what_was_used_and_no_slot_is_left(stack: RunningStack) -> None:
    for _ in range(REPETITIONS):
        race = Race(stack, conc=40)
        admitted, _ = race.burst(40)
        race.settle_all(admitted, used=17)
        item = race.item()
        assert "inf" not in item
        assert {10**9 - v for k, v in item.items() if k[:3] in ("t0_", "t1_")} == {17 * len(admitted)}
        assert {NO_LIMIT - v for k, v in item.items() if k.startswith("s_")} == {17 * len(admitted)}


def test_workers_that_die_and_settles_that_repeat_leave_exact_accounts(stack: RunningStack) -> None:
    for seed in range(REPETITIONS):
        # given callers who ask all the time: some die with their slot, the others settle what they used, twice
        race, choose, lock = Race(stack, conc=12), Random(seed), Lock()
        fates = [choose.randrange(EACH) if choose.random() < 0.95 else "dies" for _ in range(160)]
        under_way, most, spent, dead = 0, 0, 0, 0

        def one(fate: str | int, race: Race = race, lock: Lock = lock) -> None:
            nonlocal under_way, most, spent, dead
            verdict = race.admit(race.warm())
            if not isinstance(verdict, Verdict):
                assert verdict == "concurrency"
                return
            with lock:
                under_way += 1
                most = max(most, under_way)
                spent += fate if isinstance(fate, int) else verdict.reserved
                dead += fate == "dies"
                under_way -= isinstance(fate, int)
            if isinstance(fate, int):
                assert race.settle(verdict, fate) == 1

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(one, fates))
        # then there were never more at a time than allowed, and what is debited is what was used or held by the dead
        item = race.item()
        assert most <= 12
        assert len(item.get("inf", ())) == dead
        assert {10**12 - v for k, v in item.items() if k.startswith("m_")} == {spent}


def test_slots_of_killed_workers_are_free_after_their_deadline(stack: RunningStack) -> None:
    for _ in range(REPETITIONS):
        race = Race(stack, conc=5)
        assert len(race.burst(20)[0]) == 5
        race.clock.advance(SLOT_SECONDS + 2)
        assert len(race.burst(40)[0]) == 5
        assert len(race.item()["inf"]) == 5
