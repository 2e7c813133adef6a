"""The tasks that follow a choice. Each is idempotent, and but for `apply` has nothing to do once it was chosen anew:
the later choice has an execution of its own.

apply ─▶ sign ─▶ tell ─▶ acknowledged, or not reached after the last try
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from chatapi.certificates import Signer, seal_receipt
from chatapi.clock import Clock
from chatapi.store.aliases import aliases
from chatapi.store.consents import WITHDRAWN, Consents
from chatapi.store.holds import Holds
from chatapi.store.items import Collision, Item, Key, Table, pages
from chatapi.store.keys import record_sk, subject_pk
from chatapi.store.marks import Marks
from chatapi.vault import WrapStore
from privacy.consents import receipt
from privacy.tasks.ports import Result
from privacy.tasks.tell import ACKNOWLEDGED, NOT_REACHED, TRYING, WAITS
from privacy.webhooks import Teller, choice_body

_DONE: Result = {"done": True, "wait": 0}


@dataclass(frozen=True)
class Ports:
    """What the tasks work on."""

    consents: Consents
    records: Table
    marks: Marks
    wraps: WrapStore
    signer: Signer
    teller: Teller
    clock: Clock
    holds: Holds


def apply(ports: Ports, row: Item, revision: int) -> Result:
    """A withdrawal of improvement takes the samples with it (GDPR Art. 17(1)(b)), also where consent was given anew
    since: that does not reach back. Marks keep them out of restored backups. What a legal hold names stays (Art.
    17(3)), used by nobody, until its own term."""
    withdrawn = any(event["rev"] == revision and event["state"] == WITHDRAWN for event in row["events"])
    if not withdrawn or row["sk"] != "improvement":
        return {}
    _, project, subject = row["pk"].split("#")
    names = (subject, *sorted(aliases(ports.records, project, subject)))
    held = [hold for name in names for hold in ports.holds.in_force(project, name, ports.clock.now())]
    if any("sample" in hold["kinds"] for hold in held):
        return {}
    item = ports.wraps.get(project, subject)
    for generation in range(1, item.generation + 1 if item else 1):
        pk = subject_pk(project, subject, generation)
        for page in pages(ports.records, pk, record_sk("sample", ""), expired=True, only=("pk", "sk")):
            keys: list[Key] = [(pk, found["sk"]) for found in page]
            ports.marks.gone(keys)
            ports.records.delete_all(keys)
    return {}


def sign(ports: Ports, row: Item) -> Result:
    """Sign the receipt, once: what is kept is what everybody is shown."""
    if "receipt" not in row:
        with suppress(Collision):  # signed by another run, or chosen anew
            ports.consents.note(row, receipt=seal_receipt(receipt(row), ports.signer))
    return {}


def tell(ports: Ports, row: Item) -> Result:
    """One try to tell the project's webhook: `{done, wait}`, the wait in seconds. What came of it is in the row."""
    told = row.get("told")
    if told and told["answer"] != TRYING:
        return _DONE
    webhook = ports.teller.webhook(row["pk"].split("#")[1])
    if webhook is None and told is None:
        return _DONE
    now, tries = int(ports.clock.now()), 1 + (told["tries"] if told else 0)
    if webhook is not None and ports.teller.post(webhook, f"{row['id']}.{row['rev']}", choice_body(row), now):
        answer = ACKNOWLEDGED
    else:
        answer = TRYING if webhook is not None and tries <= len(WAITS) else NOT_REACHED
    with suppress(Collision):  # chosen anew meanwhile: the next turn ends
        ports.consents.note(row, told={"answer": answer, "tries": tries, "at": now})
    return {"done": False, "wait": WAITS[tries - 1]} if answer == TRYING else _DONE


TASKS: Mapping[str, Callable[[Ports, Item], Result]] = {"sign": sign, "tell": tell}


def run(ports: Ports, task: str, project: str, subject: str, purpose: str, revision: int) -> Result:
    """A task for the choice of that revision."""
    row = ports.consents.get(project, subject, purpose)
    if row is not None and task == "apply":
        return apply(ports, row, revision)
    return TASKS[task](ports, row) if row is not None and row["rev"] == revision else _DONE
