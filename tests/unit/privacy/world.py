"""The whole of an erasure over fakes: stores, vault, ledger, signer, and ways to break them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from chatapi.catalogue import Catalogued, expiry
from chatapi.certificates import MemorySigner, verify
from chatapi.clock import FixedClock
from chatapi.ids import completion_id
from chatapi.ledger import CHAIN, Ledger
from chatapi.mail import MemoryMail
from chatapi.store.cases import Case, Cases
from chatapi.store.completions import Completions
from chatapi.store.consents import Consents
from chatapi.store.days import Charge, Days
from chatapi.store.items import Item, MemoryTable
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.store.tags import tags_of
from chatapi.vault import Vault
from chatapi.vault.memory import MemoryKeys, MemoryWraps
from privacy.asking import Asking
from privacy.changes.client import Deposited
from privacy.changes.desk import DESK
from privacy.changes.ports import Ports as ChangePorts
from privacy.changes.tasks import TASKS as CHANGE_TASKS
from privacy.consents import Choices
from privacy.exports.ports import Ports as ExportPorts
from privacy.exports.tasks import TASKS as EXPORT_TASKS
from privacy.objects import MemoryObjects, MemoryUploads
from privacy.tasks.handler import run
from privacy.tasks.ports import Ports
from privacy.tasks.running import on_case
from privacy.webhooks import Teller
from tests.unit.privacy.machine import definition, execute

PROJECT = "projectA"
EXPORT, CHANGES = definition("export"), definition("changes")
ALICE = "sub_" + "a" * 32
BOB = "sub_" + "b" * 32


class Interrupted(Exception):
    """The machine stopped here."""


class Breaker:
    """Counts the calls that leave the tasks and stops at the k-th: before it takes effect, or after."""

    def __init__(self) -> None:
        self.calls = 0
        self.stop_at: int | None = None
        self.after = False

    def wrap(self, target: Any) -> Any:
        return _Breaking(self, target)

    def call(self, work: Callable[[], Any]) -> Any:
        self.calls += 1
        stop = self.calls == self.stop_at
        if stop and not self.after:
            raise Interrupted
        result = work()
        if stop:
            raise Interrupted
        return result


class _Breaking:
    def __init__(self, breaker: Breaker, target: Any) -> None:
        self._breaker = breaker
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._breaker.call(lambda: found(*args, **kwargs))


class Desk:
    """The desk, over the same stores and without a network."""

    def __init__(self, world: World) -> None:
        self._world = world

    def deposit(self, project: str, subject: str, content: Any) -> Deposited:
        told = DESK["deposit"](self._world.change_ports, {"project": project, "subject": subject, "content": content})
        return Deposited(told["deposit"], told["generation"])

    def inspect(self, project: str, subject: str, archive: str) -> None:
        DESK["inspect"](self._world.change_ports, {"project": project, "subject": subject, "archive": archive})

    def discard(self, project: str, subject: str, name: str) -> None:
        DESK["discard"](self._world.change_ports, {"project": project, "subject": subject, "deposit": name})


class World:
    """One deployment in memory, and a writer that stores as the chat function does."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.mail = MemoryMail()
        self.breaker = Breaker()
        self.requests = MemoryTable(now=self.clock.now)
        self.records = MemoryTable(now=self.clock.now)
        self.chain = MemoryTable(sort="seq", now=self.clock.now)
        self.wraps = MemoryWraps()
        self.keys = MemoryKeys()
        self.exports = MemoryObjects()
        self.uploads = MemoryUploads()
        self.signer = MemorySigner()
        self.vault = Vault(self.wraps, self.keys, self.clock)
        self.teller: Teller | None = None
        self.followed: list[Item] = []
        records, marks = Catalogued(self.records, "records"), Marks(Catalogued(self.requests, "requests"), self.clock)
        self.completions = Completions(records, self.vault, marks, self.clock)
        self.kept = Records(records, self.vault, marks, self.clock)
        self.days = Days(Catalogued(self.records, "records"), self.clock)
        self.cases = Cases(Catalogued(self.requests, "requests"))
        self.ledger = Ledger(Catalogued(self.chain, "ledger"))
        self.ports = self._ports()

    def _work(self) -> dict[str, Any]:
        """What every workflow works on: each may be broken at any call."""
        wrap = self.breaker.wrap
        requests, wraps = Catalogued(wrap(self.requests), "requests"), wrap(self.wraps)
        return {
            "cases": Cases(requests),
            "requests": requests,
            "records": Catalogued(wrap(self.records), "records"),
            "wraps": wraps,
            "vault": Vault(wraps, wrap(self.keys), self.clock, despite_restriction=True),
            "ledger": Ledger(Catalogued(wrap(self.chain), "ledger")),
            "signer": wrap(self.signer),
            "clock": self.clock,
        }

    def _ports(self) -> Ports:
        return Ports(**self._work(), exports=self.breaker.wrap(self.exports), late_writer_seconds=0)

    def store(self, subject: str = ALICE, text: bytes = b"hello", *, project: str = PROJECT) -> str:
        """Store a completion as a chat does, day row included; its id."""
        name = completion_id(self.clock.now())
        self.completions.save(self.completions.open_for(project, subject), name, text)
        self.days.disclose(project, subject, "local-model", 1, 2, charge=Charge("k1", "smollm2-135m"))
        return name

    def hold(
        self, subject: str = ALICE, kinds: tuple[str, ...] = ("completion",), days: int = 10, name: str = "hold1"
    ) -> None:
        now = int(self.clock.now())
        dates = {"review": now + 86400, "expires": now + days * 86400, "ttl": expiry("hold", now)}
        item = {
            "pk": f"h#{PROJECT}#{subject}",
            "sk": name,
            "kind": "hold",
            "kinds": list(kinds),
            "basis": "court order",
        }
        Catalogued(self.requests, "requests").put({**item, "owner": "dpo", **dates})

    def case(self, subject: str = ALICE, name: str = "dsr_" + "1" * 24) -> Case:
        """A case of its own: `target` keeps it from being found as the open one of an earlier call."""
        return self.cases.create(PROJECT, name, "erasure", subject, self.clock.now(), target=name)

    def task(self, case: Case, *tasks: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for task in tasks:
            result = run(self.ports, {"task": task, "project": case.project, "request": case.id})
        return result

    def erase(self, case: Case, **options: Any) -> list[str]:
        """One execution of the workflow; the states it went through."""
        return execute(lambda payload: run(self.ports, payload), case.project, case.id, **options)

    @property
    def export_ports(self) -> ExportPorts:
        """What the export works on, over the same stores; `uploads` may be broken too."""
        return ExportPorts(**self._work(), uploads=self.uploads)

    def export(self, case: Case, **options: Any) -> list[str]:
        """One execution of the export workflow."""
        ports = self.export_ports
        return execute(
            lambda payload: on_case(EXPORT_TASKS, ports, payload), case.project, case.id, machine=EXPORT, **options
        )

    @property
    def asking(self) -> Asking:
        """What the API makes of requests that carry something."""
        consents = Consents(Catalogued(self.requests, "requests"))
        choices = Choices(consents, self.clock, lambda *_: ALICE, lambda *_: None, self)
        return Asking(Desk(self), lambda: choices)

    def follow(self, row: Item) -> None:
        """What follows a choice: remembered, and not done here."""
        self.followed.append(row)

    @property
    def change_ports(self) -> ChangePorts:
        """What changes are made with, over the same stores."""
        wrap, work = self.breaker.wrap, self._work()
        return ChangePorts(
            **work,
            marks=Marks(work["requests"], self.clock),
            exports=wrap(self.exports),
            tags=lambda project, metadata: tags_of(project.encode(), metadata) if metadata else frozenset(),
            teller=self.teller,
            mail=self.mail,
        )

    def change(self, case: Case, **options: Any) -> list[str]:
        """One execution of the workflow of changes."""
        ports = self.change_ports
        return execute(
            lambda payload: on_case(CHANGE_TASKS, ports, payload), case.project, case.id, machine=CHANGES, **options
        )

    def again(self, case: Case) -> Case:
        return self.cases.get(case.project, case.id)

    def certificate(self, case: Case) -> dict[str, Any]:
        """The certificate, after verifying it offline."""
        document: dict[str, Any] = json.loads(self.again(case).get("certificate"))
        assert verify(document, {"keys": [self.signer.jwk()]}) == []
        return document

    def outcomes(self, case: Case) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for line in self.again(case).get("stores", []):
            found.setdefault(line["store"], []).append((line["outcome"], line["count"]))
        return found

    def rows_of(self, subject: str, project: str = PROJECT) -> list[tuple[Any, Any]]:
        """Every row of the records that names the subject, expired ones too."""
        return [
            (row["pk"], row["sk"])
            for row in self.records.rows.values()
            if f"s#{project}#{subject}#" in row["pk"] or row.get("subject") == subject
        ]

    def entries(self) -> int:
        return len(self.chain.query(CHAIN))
