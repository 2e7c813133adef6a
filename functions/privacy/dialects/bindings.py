"""Which case stands behind a request's name in another dialect, and whom to tell when its status changes.

A row holds opaque ids, addresses that the other side chose for its own callbacks, and times: nothing about the data
subject. It ends with the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatapi.catalogue import expiry
from chatapi.errors import NotFound
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import dialect_pk, dialect_sk

OPENDSR, DRP = "opendsr", "drp"


@dataclass(frozen=True)
class Binding:
    """One row. `told` gives for each callback (by its place in `callbacks`) the last status it has acknowledged,
    `tries` how often the current one was tried in vain; `reference` is an agent's own id of the request."""

    project: str
    dialect: str
    external: str
    case: str
    root: str
    created: int
    callbacks: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    tries: tuple[int, ...] = ()
    agent: str = ""
    reference: str = ""


class Bindings:
    """The rows in the Requests table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def bind(
        self,
        project: str,
        dialect: str,
        external: str,
        case: str,
        *,
        root: str,
        now: float,
        callbacks: Sequence[str] = (),
        told: str = "",
        agent: str = "",
        reference: str = "",
    ) -> Binding:
        """A new row, or the one that stands. `told`: the status that the answer to the request tells itself."""
        item: Item = {
            "pk": dialect_pk(project),
            "sk": dialect_sk(dialect, external),
            "kind": "dialect",
            "case": case,
            "root": root,
            "created": int(now),
            "callbacks": list(callbacks),
            "told": [told] * len(callbacks),
            "tries": [0] * len(callbacks),
            "agent": agent,
            "reference": reference,
            "ttl": expiry("dialect", now),
        }
        try:
            self._table.put(item, absent=True)
        except Collision:
            return self.get(project, dialect, external)
        return _binding(project, item)

    def get(self, project: str, dialect: str, external: str) -> Binding:
        """The row of a request's name; NotFound otherwise."""
        item = self._table.get(dialect_pk(project), dialect_sk(dialect, external))
        if item is None:
            raise NotFound
        return _binding(project, item)

    def note(self, binding: Binding, told: Sequence[str], tries: Sequence[int]) -> Binding:
        """What the callbacks have acknowledged by now."""
        put: dict[str, Any] = {"told": list(told), "tries": list(tries)}
        sk = dialect_sk(binding.dialect, binding.external)
        item = self._table.update(dialect_pk(binding.project), sk, Change(put=put, expect={"kind": "dialect"}))
        return _binding(binding.project, item)


def _binding(project: str, item: Item) -> Binding:
    dialect, _, external = str(item["sk"]).partition("#")
    return Binding(
        project,
        dialect,
        external,
        str(item["case"]),
        str(item["root"]),
        int(item["created"]),
        tuple(item["callbacks"]),
        tuple(item["told"]),
        tuple(int(number) for number in item["tries"]),
        str(item["agent"]),
        str(item["reference"]),
    )
