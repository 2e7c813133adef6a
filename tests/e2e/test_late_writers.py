"""The race of late writers on a store whose writes are atomic: 32 functions store for a person while it is erased.
RGT-5.

Each goes through the product's own repositories, is held up before one of its calls until the erasure has come as far
as chance has it, meets conflicts and batches that were half done, and many are killed between two calls. The
erasure runs its shipped state machine over the same tables, with conflicts of its own. `make prove` runs 1,000 rounds;
each fifty print where they are (`-s`), and CHATAPI_FIRST goes on from there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Barrier, Event, local
from typing import Any

from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.certificates import MemorySigner
from chatapi.clock import SystemClock
from chatapi.errors import ApiError, NotFound, SubjectErased
from chatapi.ids import completion_id, random62
from chatapi.ledger import Ledger
from chatapi.store.cases import Cases
from chatapi.store.completions import Completions
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import MemoryTable
from chatapi.store.keys import located_id, locator_pk, subject_pk
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.store.sealed import CHUNK_BYTES
from chatapi.vault import Vault
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from privacy.objects import MemoryObjects
from privacy.tasks.handler import run
from privacy.tasks.ports import Ports
from tests.e2e.local_stack import RunningStack
from tests.support.campaign import FIRST, examples
from tests.support.unsteady import Killed, Unsteady
from tests.unit.privacy.machine import walk

WRITERS, ROUNDS = 32, examples(10)
STATES = ("Freeze", "Inventory", "Commit", "Destroy", "Delete", "Recipients", "ResidueScan", "Certify")
LAST = "LateResidueScan"
"""Comes after the longest timeout of a function, so no writer of before runs any more."""
SUBJECT = "sub_" + "l" * 32


class Clients:
    """DynamoDB and KMS of the stack, a pair of clients for each thread."""

    def __init__(self, stack: RunningStack) -> None:
        self.info, self._local = stack.info, local()
        self._who = Credentials(stack.info.aws_access_key_id, stack.info.aws_secret_access_key)

    def __getitem__(self, service: str) -> AwsClient:
        if not hasattr(self._local, service):
            client = AwsClient(
                service,
                region=self.info.region,
                endpoint=self.info.aws_endpoint_url,
                credentials=lambda: self._who,
                timeout=60,
            )
            setattr(self._local, service, client)
        found: AwsClient = getattr(self._local, service)
        return found


class Function:
    """What the chat function has: repositories over one client, and a Vault with a cache of its own."""

    def __init__(self, clients: Clients, dynamo: Any) -> None:
        outputs, clock = clients.info.outputs, SystemClock()
        self.wraps = DynamoWraps(dynamo, outputs["VaultTable"])
        self.vault = Vault(self.wraps, KmsKeys(clients["kms"], outputs["EpochAlias"]), clock)
        self.table = Catalogued(DynamoTable(dynamo, outputs["RecordsTable"], sleep=lambda _: None), "records")
        self.requests = Catalogued(DynamoTable(dynamo, outputs["RequestsTable"], sleep=lambda _: None), "requests")
        marks = Marks(self.requests, clock)
        self.completions = Completions(self.table, self.vault, marks, clock)
        self.records = Records(self.table, self.vault, marks, clock)

    def loads(self, project: str, name: str) -> bool:
        """Whether a stored completion or record can be read, by its id."""
        with suppress(NotFound, SubjectErased):
            if name.startswith("chatcmpl-"):
                self.completions.load(project, name)
            else:
                self.records.find(project, "conversation", name)
            return True
        return False


class Round:
    """A project with one data subject, its writers and its erasure."""

    def __init__(self, clients: Clients, seed: int) -> None:
        self.clients, self.seed, self.project = clients, seed, random62(8)
        self.ready = Barrier(WRITERS + 1, timeout=120)
        self.reached = {state: Event() for state in (*STATES, LAST)}
        self.counts: Counter[str] = Counter()
        self.acknowledged: list[tuple[str, int]] = []
        self.cut: set[str] = set()
        self.warm: list[Function] = []
        self.executions = 0

    def writes(self, number: int) -> Counter[str]:
        """One function and one of its requests. The first writer is always the one that the late scan is there for: it
        has its handle from before, and dies once its rows are written, when the first scan is through."""
        random = Random(f"{self.seed}/{number}")
        late = number == 0
        state = self.reached["Certify" if late else random.choice(STATES)]

        def wait() -> None:
            self.ready.wait()
            state.wait()

        dies, waits = (4, 3) if late else (random.choice((0, 0, *range(1, 7))), random.choice((1, 2, 2, 2, 3, 4)))
        dynamo = Unsteady(
            self.clients["dynamodb"],
            random,
            percent=0 if late else 8,
            dies=dies,
            after=random.random() < 0.5 and not late,
            waits=waits,
            wait=wait,
        )
        function, body = Function(self.clients, dynamo), b"CANARY" * random.choice((10, CHUNK_BYTES // 5))
        name = completion_id(time.time()) if late or number % 2 else "conv_" + random62(24)
        try:
            if late:
                function.vault.writer(self.project, SUBJECT)  # the first call; the handle below is the second one
            handle = function.completions.open_for(self.project, SUBJECT)
            if name.startswith("chatcmpl-"):
                function.completions.save(handle, name, body)
            else:
                function.records.put(handle, "conversation", [(name, body)])
            self.acknowledged.append((name, handle.generation))
            dynamo.seen["acknowledged"] += 1
        except Killed:
            self.cut.add(name)
            return dynamo.seen
        except (ApiError, AwsError):
            dynamo.seen["refused"] += 1
        finally:
            if dynamo.waiting:  # it ended before the call that it was to be held up at
                self.ready.wait()
        dynamo.calm()
        self.warm.append(function)
        return dynamo.seen

    def erases(self) -> dict[str, Any]:
        """The workflow, started again as long as it fails; the finished case's facts."""
        dynamo = Unsteady(self.clients["dynamodb"], Random(self.seed), percent=12)
        place, clock = Function(self.clients, dynamo), SystemClock()
        cases = Cases(place.requests)
        ports = Ports(
            cases=cases,
            requests=place.requests,
            records=place.table,
            wraps=place.wraps,
            vault=place.vault,
            exports=MemoryObjects(),
            ledger=Ledger(Catalogued(MemoryTable(sort="seq"), "ledger")),
            signer=MemorySigner(),
            clock=clock,
            late_writer_seconds=0,
        )
        name = "dsr_" + random62(24)
        Cases(Function(self.clients, self.clients["dynamodb"]).requests).create(
            self.project, name, "erasure", SUBJECT, clock.now(), target=name
        )
        for _ in range(20):
            if self._execution(ports, name) == "Erased":
                self.counts += dynamo.seen
                return Cases(Function(self.clients, self.clients["dynamodb"]).requests).get(self.project, name).facts
        raise AssertionError("the erasure does not come to its end")

    def _execution(self, ports: Ports, name: str) -> str:
        self.executions += 1

        def at(state: str) -> None:
            if state == LAST:
                self._nobody_reads()
            if state in self.reached:
                self.reached[state].set()

        states: Iterator[str] = walk(lambda payload: run(ports, payload), self.project, name, attempts=5, between=at)
        return list(states)[-1]

    def run(self, pool: ThreadPoolExecutor) -> dict[str, Any]:
        """All at once; the facts of the finished case."""
        first = Function(self.clients, self.clients["dynamodb"])
        handle = first.completions.open_for(self.project, SUBJECT)
        for _ in range(2):
            name = completion_id(time.time())
            first.completions.save(handle, name, b"CANARY")
            self.acknowledged.append((name, 1))
        self.warm.append(first)
        self.writers = [pool.submit(self.writes, number) for number in range(WRITERS)]
        try:
            self.ready.wait()  # all are under way: most have their handle, some have written already
            return self.erases()
        finally:
            self._release()

    def _release(self) -> None:
        for event in self.reached.values():
            event.set()

    def _nobody_reads(self) -> None:
        """Before the late scan: the writers have ended, and of the closed generation nothing can be read."""
        self._release()
        for writer in self.writers:
            self.counts += writer.result()
        self.writers = []
        cold = Function(self.clients, self.clients["dynamodb"])
        item = cold.wraps.get(self.project, SUBJECT)
        assert item is not None
        assert item.generation > 1 or not item.wraps
        for name, generation in self.acknowledged:
            if generation == 1:
                assert not any(function.loads(self.project, name) for function in (cold, self.warm[0]))
            else:  # the person came back, and what was acknowledged then stays
                assert cold.loads(self.project, name)
        ours = [name for name, generation in self.acknowledged if generation == 1]
        assert not any(function.loads(self.project, name) for function in self.warm[1:5] for name in ours[:2])
        # and a writer that was not killed has taken back what it was refused
        left = [row["sk"] if row["kind"] == "locator" else located_id(row["sk"]) for row in self.rows()]
        assert set(left) <= self.cut
        self.counts["left to the late scan"] += len(left)

    def rows(self) -> list[Any]:
        """What physically stands of the closed generation, expired or not."""
        table = DynamoTable(self.clients["dynamodb"], self.clients.info.outputs["RecordsTable"])
        locators = table.query(locator_pk(self.project), expired=True)
        found = table.query(subject_pk(self.project, SUBJECT, 1), expired=True)
        return [*found, *(row for row in locators if row["generation"] == 1)]


def test_nothing_is_left_of_what_late_writers_wrote(
    stack: RunningStack, record_property: Callable[[str, object], None]
) -> None:
    clients, total, begun = Clients(stack), Counter[str](), time.monotonic()
    with ThreadPoolExecutor(WRITERS) as pool:
        for seed in range(FIRST, FIRST + ROUNDS):
            race = Round(clients, seed)
            case = race.run(pool)
            # then after the second scan nothing at all remains
            assert race.rows() == [], (seed, race.counts)
            # and the late scan found the first writer's row and locator at least, unless the execution that had reached
            # its certificate failed there, and the next one's first scan came by before
            assert case["late"]["removed"] >= 2 or race.executions > 1, (seed, race.counts)
            total += race.counts
            if (seed + 1) % 50 == 0:
                print(seed + 1, "rounds done", f"{time.monotonic() - begun:.0f} s", dict(total), flush=True)
    record_property("cases", f"{ROUNDS} rounds of {WRITERS} writers: {dict(total)}")
    # and everything that was to go wrong did
    assert all(total[what] >= ROUNDS // 2 for what in ("killed", "conflict", "unprocessed", "refused", "acknowledged"))
