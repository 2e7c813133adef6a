"""The limiter as a state machine: any order of chats, top-ups, settles, deaths and clocks keeps its laws."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from authorizer.service import SLOT_SECONDS, Authorizer, Denied
from chat.accounting import Account
from chatapi.aws.errors import AwsError
from chatapi.clock import FixedClock
from chatapi.errors import RateLimited
from chatapi.limits.settlement import settle
from chatapi.limits.windows import is_window
from chatapi.verdict import Verdict, estimate
from tests.support.campaign import examples
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, PROJECT, project
from tests.unit.limits.test_spend import EACH, authorizer

PK = "p#" + PROJECT
LIMITS = {"rpm": 12, "tpm": 12 * estimate(400), "rpd": 60, "tpmo": 80 * estimate(400), "conc": 3, "smo": 70 * EACH}
OWN = {"rpm": 10, "tpm": 11 * estimate(400), "smo": 60 * EACH}
SKEWS = (-5, 0, 5)
LIFE = SLOT_SECONDS - 2 * max(SKEWS) - 2
"""Up to this age a chat's slot is its own, whoever's clock judges it."""


@dataclass
class Chat:
    """One admitted chat: what it has reserved, and when it began by the true clock."""

    verdict: Verdict
    account: Account
    began: float


class SkewedClock(FixedClock):
    """A clock that is off by so many seconds."""

    def __init__(self, true: FixedClock, skew: float) -> None:
        super().__init__()
        self._true, self._skew = true, skew

    def now(self) -> float:
        return self._true.now() + self._skew


class Limiter(RuleBasedStateMachine):
    """Three warm functions whose clocks are off by up to 5 s, over one item, for a key with limits of its own."""

    chats = Bundle("chats")
    limits: ClassVar[dict[str, int]] = LIMITS

    def __init__(self) -> None:
        super().__init__()
        self.store = FakeProjects(project(**self.limits))
        self.store.items[PK]["k_k1"]["l"] = OWN
        self.clock = FixedClock(1_800_000_000)
        self.clocks = {skew: SkewedClock(self.clock, skew) for skew in SKEWS}
        self.functions = {skew: authorizer(self.store, clock) for skew, clock in self.clocks.items()}
        self.spent = self.spend_lost = 0  # micro-USD alike
        self.running: list[Chat] = []
        self.used = 0  # by chats that have settled
        self.lost = 0  # reserved by chats that were killed: debited for good, the safe side

    @property
    def item(self) -> dict[str, object]:
        return self.store.items[PK]

    @rule(target=chats, skew=st.sampled_from(SKEWS), length=st.integers(0, 4000))
    def ask(self, skew: int, length: int) -> object:
        function, before = self.functions[skew], copy.deepcopy(self.item)
        calls = len(self.store.calls)
        try:
            verdict = function.decide(f"Bearer {KEY}", **{**CHAT, "content_length": length})  # type: ignore[arg-type]
        except Denied as denied:
            self.refused(denied.context["reason"], skew, length, before, from_memory=len(self.store.calls) == calls)
            return multiple()
        chat = Chat(verdict, Account(self.store, "T", verdict), self.clock.now())
        self.running.append(chat)
        # never more at a time than the cap, whatever the clocks say
        if self.limits["conc"]:
            assert sum(self.clock.now() - other.began <= LIFE for other in self.running) <= self.limits["conc"]
        return chat

    def refused(self, reason: str, skew: int, length: int, before: dict[str, object], *, from_memory: bool) -> None:
        slots = tuple(self.item.get("inf", ()))  # type: ignore[arg-type,var-annotated]
        if reason == "concurrency":
            # no slot is left past its deadline where it would keep somebody out
            assert not from_memory
            now = int(self.clocks[skew].now())
            assert all(int.from_bytes(slot[:4], "big") >= now for slot in slots)
            assert len(slots) == self.limits["conc"]
            return
        assert self.item == before  # a refusal takes nothing
        if from_memory and reason == "requests":
            assert not self.a_stranger_is_admitted(skew, length)  # a memory never refuses what the store would admit

    def a_stranger_is_admitted(self, skew: int, length: int) -> bool:
        """Whether a cold function with the same clock, asked now, would let the chat in."""
        cold: Authorizer = authorizer(FakeProjects(copy.deepcopy(self.store.items[PK])), self.clocks[skew])
        try:
            cold.decide(f"Bearer {KEY}", **{**CHAT, "content_length": length})  # type: ignore[arg-type]
        except Denied:
            return False
        return True

    @rule(chat=chats, more=st.integers(1, 3000))
    def top_up(self, chat: Chat, more: int) -> None:
        if chat not in self.running:
            return
        before = chat.account.reserved
        try:
            chat.account.cover(before, more)
        except RateLimited:
            assert chat.account.reserved == before

    @rule(chat=consumes(chats), share=st.floats(0, 1), times=st.integers(1, 3))
    def settle(self, chat: Chat, share: float, times: int) -> None:
        # delivered once, or again and again
        self.running.remove(chat)
        reserved, verdict = chat.account.reserved, chat.verdict
        used = int(reserved * share)
        spent = int(chat.account.spend * share)
        deltas = dict.fromkeys(verdict.token_windows, used - reserved)
        deltas |= dict.fromkeys(verdict.spend_windows, spent - chat.account.spend)
        update = settle("T", PROJECT, verdict.slot, deltas)
        counted = 0
        for _ in range(times if verdict.slot else 1):  # without a slot it is sent at most once
            try:
                self.store.call("UpdateItem", update)
                counted += 1
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
        assert counted <= 1
        assert counted == 1 or self.clock.now() - chat.began > LIFE
        if counted:
            self.used += used
            self.spent += spent
        else:  # its slot was healed while it ran on
            self.lost += reserved
            self.spend_lost += chat.account.spend

    @rule(chat=consumes(chats))
    def die(self, chat: Chat) -> None:
        """Its function is killed: nothing is settled."""
        self.running.remove(chat)
        self.lost += chat.account.reserved
        self.spend_lost += chat.account.spend

    @rule(seconds=st.one_of(st.floats(0.1, 70), st.sampled_from([1.0, 30.0, 60.0, SLOT_SECONDS + 20.0])))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def tokens_add_up(self) -> None:
        month = [value for name, value in self.item.items() if name.startswith("m_")]
        assert len(month) <= 1
        held = sum(chat.account.reserved for chat in self.running)
        assert self.adds_up("tpmo", sum(month), self.used + self.lost + held) if month else not held  # type: ignore[arg-type]

    @invariant()
    def money_adds_up(self) -> None:
        held = sum(chat.account.spend for chat in self.running)
        for prefix, limits in (("s_2", self.limits), ("s_k1_", OWN)):
            month = [value for name, value in self.item.items() if name.startswith(prefix)]
            assert len(month) <= 1
            if month:
                assert self.adds_up("smo", month[0], self.spent + self.spend_lost + held, limits)  # type: ignore[arg-type]

    def adds_up(self, limit: str, left: int, taken: int, limits: dict[str, int] | None = None) -> bool:
        """Whether what is debited is what was taken, to the unit."""
        return (limits or self.limits)[limit] - left == taken

    @invariant()
    def nothing_is_overrun(self) -> None:
        assert len(self.item.get("inf", ())) <= (self.limits["conc"] or len(SKEWS))  # type: ignore[arg-type]
        assert all(value >= 0 for name, value in self.item.items() if is_window(name))  # type: ignore[operator]

    @invariant()
    def old_windows_do_not_pile_up(self) -> None:
        assert sum(is_window(name) for name in self.item) <= 60


class LeasedLimiter(Limiter):
    """The same without a cap of chats: debited in advance, up to eight at once, and settled without slots."""

    limits: ClassVar[dict[str, int]] = {**LIMITS, "conc": 0, "lease": 8}

    def adds_up(self, limit: str, left: int, taken: int, limits: dict[str, int] | None = None) -> bool:
        """Nothing is ever given back twice: what is left of a lease is debited on top of what was taken."""
        return (limits or self.limits)[limit] - left >= taken


TestLimiter = Limiter.TestCase
TestLimiter.settings = settings(max_examples=examples(30), stateful_step_count=60, deadline=None)
TestLeasedLimiter = LeasedLimiter.TestCase
TestLeasedLimiter.settings = settings(max_examples=examples(30), stateful_step_count=60, deadline=None)
