"""`chatapi datasets build | list | show`: data sets of the samples that people allowed (docs/choices.md).

Who is in it is decided when it is built: each person's choice is read just before their samples are, and whoever does
not allow it at that moment is left out and counted. The file appears when the ledger has its entry.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from chatapi.aws.av import from_item, to_av
from chatapi.aws.calling import Caller
from chatapi.catalogue import expiry
from chatapi.clock import Clock, SystemClock
from chatapi.errors import ProcessingRestricted, SubjectErased
from chatapi.ledger import Ledger
from chatapi.limits.admission import project_key
from chatapi.store.aliases import aliases
from chatapi.store.consents import WITHDRAWN, Consents
from chatapi.store.datasets import DataSetError, DataSets, Entrant
from chatapi.store.items import Item
from chatapi.store.project_states import ACTIVE
from chatapi.store.records import Records
from chatapi.vault import InvalidCiphertext, Vault
from chatapi.wiring import store_of
from chatapi_cli.say import AsJson, Stack, fail, say, say_all
from chatapi_cli.target import Target, find

IMPROVEMENT = "improvement"
datasets_app = typer.Typer(no_args_is_help=True, help="Data sets of samples that people allowed.")
Person = tuple[str, str, int]
"""(project, subject, generation)."""


def people(client: Caller, table: str) -> Iterator[Person]:
    """Everybody of whom there is a sample, by a scan of keys: the operators' own, as when a project is closed."""
    request: dict[str, Any] = {
        "TableName": table,
        "FilterExpression": "#k = :k",
        "ProjectionExpression": "pk",
        "ExpressionAttributeNames": {"#k": "kind"},
        "ExpressionAttributeValues": {":k": to_av("sample")},
    }
    seen: set[Person] = set()
    while True:
        page = client.call("Scan", request)
        for row in map(from_item, page.get("Items", ())):
            _, project, subject, generation = row["pk"].split("#")
            person = project, subject, int(generation)
            if person not in seen:
                seen.add(person)
                yield person
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@dataclass(frozen=True)
class Builder:
    """Builds a data set. `project` gives a project's item, None where there is none; `others` the other names of a
    person, whose objections count as well."""

    vault: Vault
    records: Records
    consents: Consents
    datasets: DataSets
    project: Callable[[str], Item | None]
    others: Callable[[str, str], Iterable[str]]
    clock: Clock

    def build(self, name: str, of: Iterable[Person], write: Callable[[bytes], object]) -> dict[str, Any]:
        """Write the lines of everybody who allows it, and the entry; what is shown of it. DataSetError."""
        self.datasets.free(name, self.clock.now())
        whole, entrants, left_out = hashlib.sha256(), list[Entrant](), set[tuple[str, str]]()
        for project, subject, generation in of:
            lines = self._samples(project, subject, generation) if self.allows(project, subject) else []
            if not lines:
                left_out.add((project, subject))
                continue
            own = hashlib.sha256()
            for line in lines:
                write(line)
                whole.update(line)
                own.update(line)
            entrants.append(Entrant(project, subject, len(lines), own.hexdigest()))
        left_out -= {(entrant.project, entrant.subject) for entrant in entrants}
        if not entrants:
            raise DataSetError("nobody allows improvement and has samples: nothing was built")
        return self.datasets.record(name, whole.hexdigest(), entrants, len(left_out), self.clock.now())

    def allows(self, project: str, subject: str) -> bool:
        """Whether the person allows it at this moment, and their project takes part."""
        item = self.project(project)
        taking_part = item is not None and item.get("st") == ACTIVE and bool(item.get("imp"))
        now = self.clock.now()
        if not taking_part or IMPROVEMENT not in self.consents.granted(project, subject, now):
            return False
        others = self.others(project, subject)
        return not any(IMPROVEMENT in self.consents.refused(project, other, now) for other in others)

    def _samples(self, project: str, subject: str, generation: int) -> list[bytes]:
        try:
            return list(self._lines(project, subject, generation))
        except InvalidCiphertext:
            text = f"a key or a sample of {subject} in {project} is damaged (docs/vault.md): nothing was built"
            raise DataSetError(text) from None

    def _lines(self, project: str, subject: str, generation: int) -> Iterator[bytes]:
        """The person's samples, a line each, without anything that says whose they are."""
        try:
            handle = self.vault.reader(project, subject, generation)
        except (SubjectErased, ProcessingRestricted):  # GDPR Art. 17, 18
            return
        after, more, term, withdrawn = None, True, expiry("sample", 0), self._withdrawn(project, subject)
        while more:
            page, more = self.records.page(handle, "sample", after=after, limit=50)
            for record in page:
                after = record.id
                # A legal hold kept what is of before: a consent given anew does not reach back (privacy/choosing).
                if record.expires - term < withdrawn:
                    continue
                yield record.body.replace(b"\n", b" ") + b"\n"
            more = more and bool(page)

    def _withdrawn(self, project: str, subject: str) -> int:
        """When the person has last withdrawn it, POSIX seconds; 0 where never."""
        row = self.consents.get(project, subject, IMPROVEMENT)
        events = row["events"] if row else ()
        return max((int(event["at"]) for event in events if event["state"] == WITHDRAWN), default=0)


def _datasets(target: Target) -> DataSets:
    ledger = Ledger(store_of(target.client("dynamodb"), "ledger", SystemClock(), target.output("LedgerTable")))
    return DataSets(target.requests(), ledger)


def _builder(target: Target) -> Builder:
    vault, table, records = target.vault(), target.projects_table(), target.records()
    consents = Consents(target.requests())
    return Builder(
        vault,
        target.sealed(vault),
        consents,
        _datasets(target),
        lambda project: table.get(project_key(project)),
        lambda project, subject: aliases(records, project, subject),
        SystemClock(),
    )


@datasets_app.command("build")
def build(
    name: Annotated[str, typer.Argument(help="The data set's name: small letters, digits and -.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: NAME.jsonl here.")] = None,
    project: Annotated[str | None, typer.Option(help="Of one project alone.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Build a data set of the samples of everybody who allows it now; the ledger says what entered."""
    target = find(stack)
    path = out or Path(f"{name}.jsonl")
    if path.exists():
        fail("the file is there already")
    of = people(target.client("dynamodb"), target.output("RecordsTable"))
    part = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        fail(f"another run is writing this file; if none is, delete {part}")
    except OSError:
        fail("the file cannot be written there")
    try:  # from here on the part is this run's own: that of another one is never deleted
        with os.fdopen(descriptor, "wb") as file:
            made = _builder(target).build(name, (one for one in of if project in (None, one[0])), file.write)
        part.rename(path)
    except DataSetError as error:
        fail(str(error))
    finally:
        part.unlink(missing_ok=True)
    say({"file": str(path), **made}, as_json)


@datasets_app.command("list")
def list_(stack: Stack = None, as_json: AsJson = False) -> None:
    """Every data set that was built."""

    def line(one: dict[str, Any]) -> str:
        return f"{one['name']}  samples {one['samples']}  people {one['people']}  left out {one['left_out']}"

    say_all(_datasets(find(stack)).all(), line, "data sets", as_json)


@datasets_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="The data set's name.")], stack: Stack = None, as_json: AsJson = False
) -> None:
    """One data set, its proof in the ledger, and how many of its people do not allow it any more."""
    target = find(stack)
    builder = _builder(target)
    try:
        found = builder.datasets.show(name)
        gone = sum(not builder.allows(*person) for person in builder.datasets.people(name))
    except DataSetError as error:
        fail(str(error))
    say({**found, "people_who_do_not_allow_it_now": gone}, as_json)
