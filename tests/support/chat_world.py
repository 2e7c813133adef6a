"""The chat function's services over fakes: a project, a scripted provider, stores and a vault in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chat.accounting import Account
from chat.idempotent import IdempotentChat
from chat.models import Registry
from chat.providers.scripted import ScriptedProvider
from chat.purposes import OptionalPurposes
from chat.replays import Replays
from chat.requests import parse
from chat.responses.routes import Asked, Surface
from chat.samples import Samples, redacted
from chat.service import Chat
from chat.started import Answer
from chat.stored import StoredChats
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.limits.admission import Debit, plan, ratelimit_headers
from chatapi.prices import dearest
from chatapi.store.completions import Completions
from chatapi.store.consents import Consents
from chatapi.store.days import Days
from chatapi.store.items import MemoryTable
from chatapi.store.key_fields import NEVER
from chatapi.store.marks import Marks
from chatapi.store.patterns import Patterns
from chatapi.store.records import Records
from chatapi.store.tags import tags_of
from chatapi.vault import Vault, project_pepper, subject_id
from chatapi.vault.memory import MemoryKeys, MemoryWraps
from chatapi.verdict import DEFAULT_OUTPUT_TOKENS, Verdict, estimate
from tests.support.fake_projects import FakeProjects

PROJECT = "project1"


def subject_of(project: str, kind: Any, value: str) -> str:
    return subject_id(project_pepper(b"p" * 32, project), kind, value)


def tags(project: str, metadata: Mapping[str, str]) -> frozenset[bytes]:
    return tags_of(project_pepper(b"p" * 32, project), metadata)


@dataclass
class World:
    """Everything within reach of a test."""

    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    clock: FixedClock = field(default_factory=FixedClock)
    retention: str = "history"
    user_rpm: int = 0
    user_tpm: int = 0
    guardrail: str = ""
    purposes: tuple[str, ...] = ()
    redact: str = ""

    def __post_init__(self) -> None:
        self.rows = MemoryTable(now=self.clock.now)
        self.wraps, self.keys = MemoryWraps(), MemoryKeys()
        self.vault = Vault(self.wraps, self.keys, self.clock)
        records = Catalogued(self.rows, "records")
        self.marked = MemoryTable(now=self.clock.now)
        self.marks = Marks(Catalogued(self.marked, "requests"), self.clock)
        self.completions = Completions(records, self.vault, self.marks, self.clock)
        self.records = Records(records, self.vault, self.marks, self.clock)
        self.stored = StoredChats(self.completions, tags)
        self.consents = Consents(Catalogued(self.marked, "requests"))
        self.patterned = MemoryTable(sort=None, now=self.clock.now)
        self.purposed = OptionalPurposes(
            self.consents,
            Patterns(Catalogued(self.patterned, "patterns"), self.clock),
            Samples(self.records, redacted),
            self.clock,
        )
        self.chat = Chat(
            registry=Registry("local", openai=True, region="eu-central-1"),
            providers=lambda model: self.provider,
            completions=self.completions,
            days=Days(records, self.clock),
            subject_of=subject_of,
            tags=tags,
            clock=self.clock,
            purposes=lambda: self.purposed,
        )
        replays = Replays(records, lambda project: project_pepper(b"p" * 32, project), self.clock)
        self.idempotent = IdempotentChat(self.chat, replays, self.completions)
        self.surface = Surface.over(self.chat, self.records, self.vault, replays, self.clock)
        key = {"h": b"h", "e": NEVER, "s": ["chat"], "c": 1}
        limits = {"rpm": 100, "tpm": 1_000_000, "rpd": 10_000, "tpmo": 10**9, "conc": 5, "smo": 10**15}
        self.projects = FakeProjects({"pk": "p#" + PROJECT, "st": "A", "k_k1": key, **limits})

    def admit(self, size: int = 400) -> Verdict:
        """What the authorizer would have done."""
        now = self.clock.now()
        spend = dearest("local").cost(size // 4, 0, DEFAULT_OUTPUT_TOKENS)
        attempt = plan("T", PROJECT, "k1", b"h", "chat", Debit("chat", estimate(size), spend), now, now + 905)
        self.projects.call("UpdateItem", attempt.update)
        return Verdict(
            PROJECT,
            "k1",
            scopes=frozenset({"chat"}),
            retention=self.retention,
            region="eu-central-1",
            slot=attempt.slot,
            token_windows=tuple(w.name for w, _ in attempt.counters if w.limit.startswith("t")),
            reserved=estimate(size),
            spend_windows=tuple(w.name for w, _ in attempt.counters if w.limit == "smo"),
            spend=spend,
            user_rpm=self.user_rpm,
            user_tpm=self.user_tpm,
            guardrail=self.guardrail,
            redact=self.redact,
            ratelimit=ratelimit_headers(self.item, now),
            purposes=self.purposes,
        )

    def ask(self, key: str | None = None, **body: Any) -> Answer:
        """Create a completion, under an Idempotency-Key where one is given. Its account is in `account`."""
        raw = json.dumps({"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}], **body}).encode()
        self.size = len(raw)
        verdict = self.admit(len(raw))
        self.account = Account(self.projects, "T", verdict, records="R")
        if key is not None:
            return self.idempotent.create(parse(raw), raw, verdict, self.account, 60.0, key)
        return self.chat.create(parse(raw), len(raw), verdict, self.account, 60.0)

    def call(
        self,
        method: str,
        resource: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        scopes: tuple[str, ...] = ("chat", "history"),
        project: str = PROJECT,
        key: str | None = None,
        **path: str,
    ) -> Answer:
        """Call a route of responses or conversations; one that is a chat is admitted first."""
        raw = b"" if body is None else json.dumps(body).encode()
        chat = (method, resource) == ("POST", "/v1/responses")
        verdict = self.admit(len(raw)) if chat else Verdict(PROJECT, "k1", retention=self.retention, redact=self.redact)
        verdict = verdict._replace(scopes=frozenset(scopes), project=project)
        self.account = Account(self.projects, "T", verdict)
        asked = Asked(method, resource, path, query or {}, lambda: raw, 60.0, key)
        return Answer(*self.surface.answer(asked, verdict, self.account))

    def respond(self, key: str | None = None, **body: Any) -> Answer:
        """Create a response, under an Idempotency-Key where one is given."""
        return self.call("POST", "/v1/responses", {"model": "smollm2-135m", "input": "Hi", **body}, key=key)

    @property
    def item(self) -> dict[str, Any]:
        """The project's item."""
        return self.projects.items["p#" + PROJECT]

    def used(self) -> int:
        """Tokens debited in the current minute; reservations of open chats included."""
        return 1_000_000 - min(value for name, value in self.item.items() if name.startswith("t0_"))

    def spent(self) -> int:
        """Micro-USD debited in the current month; reservations of open chats included."""
        return 10**15 - min(value for name, value in self.item.items() if name.startswith("s_"))

    def slots(self) -> int:
        """Slots taken."""
        return len(self.item.get("inf", ()))

    def day_rows(self) -> list[dict[str, Any]]:
        """The day rows of all subjects."""
        return [row for row in self.rows.rows.values() if row["kind"] == "day"]


def frames(answer: Answer) -> list[Any]:
    """The events of a streamed answer, `[DONE]` as a string."""
    text = b"".join(answer.body).decode()
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


def events(answer: Answer) -> list[dict[str, Any]]:
    """The events of a streamed response; each frame names the type that its data has."""
    found = []
    for frame in b"".join(answer.body).decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == "event: " + found[-1]["type"]
    return found


def whole(answer: Answer) -> dict[str, Any]:
    """A buffered answer."""
    decoded: dict[str, Any] = json.loads(b"".join(answer.body))
    return decoded
