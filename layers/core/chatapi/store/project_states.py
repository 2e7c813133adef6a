"""The life of a project, as an operator leads it: active, suspended, closing, closed.

A active ◀──▶ S suspended          its keys are refused with 429 until it is resumed; data rights stay open
│             │
└──▶ X closing ◀┘ ──▶ C closed     its keys are gone at once; it is closed when no data subject is left in it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapi.catalogue import read_policy
from chatapi.clock import Clock
from chatapi.limits.admission import project_key
from chatapi.retention import is_ceiling
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.key_fields import demanded
from chatapi.store.project_errors import ProjectError
from chatapi.store.project_limits import Limits

ACTIVE, SUSPENDED, CLOSING, CLOSED = "A", "S", "X", "C"
STATES = {ACTIVE: "active", SUSPENDED: "suspended", CLOSING: "closing", CLOSED: "closed"}
_OPEN = frozenset({ACTIVE, SUSPENDED})
_RACES = 8


class ProjectStates:
    """The repository. `table`: catalogued Projects."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def get(self, project: str) -> Item:
        """The project's item. ProjectError where there is none."""
        item = self._table.get(project_key(project))
        if item is None:
            raise ProjectError("no such project")
        return item

    def suspend(self, project: str) -> None:
        """Refuse its keys from the next request on, data rights apart."""
        self._move(project, SUSPENDED, _OPEN)

    def resume(self, project: str) -> None:
        """Let its keys in again."""
        self._move(project, ACTIVE, _OPEN)

    def update(
        self,
        project: str,
        limits: Mapping[str, int],
        *,
        name: str | None,
        retention: str | None,
        redact: str | None = None,
        guardrail: str | None = None,
        improve: bool | None = None,
    ) -> None:
        """Other limits, name, retention, redaction or guardrail (empty: none), and whether it takes part in
        improvement; what is not given stays. ProjectError where the whole would be no limits, or nobody knows the
        guardrail or a kind of what is redacted."""
        item = self.get(project)
        stands = {field: item[field] for field in vars(Limits()) if field in item}
        try:
            whole = Limits(**{"lease": 0, "urpm": 0, "utpm": 0, **stands, **limits}).checked()
        except ValueError as error:
            raise ProjectError(str(error)) from None
        if retention is not None and not is_ceiling(retention):
            raise ProjectError("retention is none, history or history:DAYS")
        if guardrail and guardrail not in read_policy("guardrails")["guardrails"]:
            raise ProjectError("policy/guardrails.toml has no such guardrail")
        given = {"name": name, "ret": retention, "guard": guardrail, "imp": improve}
        put = {**whole, **{field: value for field, value in given.items() if value is not None}}
        demand = None if redact is None else demanded(redact)
        put |= {"red": demand} if demand else {}
        gone = ["red"] if demand == "" and "red" in item else []
        gone += [field for field in ("lease", "urpm", "utpm") if field in item and field not in whole]
        self._change(project, Change(put=put, drop=gone, expect={"kind": "project", "st": _OPEN}))

    def begin_closing(self, project: str) -> None:
        """End every key at once, and let no new one be made. Doing it again changes nothing."""
        for _ in range(_RACES):
            item = self.get(project)
            keys = [name for name in item if name.startswith(("k_", "x_"))]
            if item["st"] in (CLOSING, CLOSED) and not keys:
                return
            revision = item.get("kv")
            expect = {"kind": "project", "kv": revision}  # no key that is made meanwhile is overlooked
            state = CLOSED if item["st"] == CLOSED else CLOSING
            change = Change(put={"st": state, "kv": (revision or 0) + 1}, drop=keys, expect=expect)
            try:
                self._table.update(project_key(project), None, change)
            except Collision:
                continue
            return
        raise ProjectError("the keys were changed by somebody else at the same time; try again")

    def close(self, project: str) -> None:
        """The end: it stays as a number, without its name."""
        expect = {"kind": "project", "st": frozenset({CLOSING, CLOSED})}
        self._change(project, Change(put={"st": CLOSED}, drop=["name"], expect=expect))

    def _move(self, project: str, state: str, source: frozenset[str]) -> None:
        self._change(project, Change(put={"st": state}, expect={"kind": "project", "st": source}))

    def _change(self, project: str, change: Change) -> None:
        try:
            self._table.update(project_key(project), None, change)
        except Collision as standing:
            state = (standing.item or {}).get("st")
            raise ProjectError(f"the project is {STATES[state]}" if state in STATES else "no such project") from None


def shown(item: Item) -> dict[str, Any]:
    """A project as an operator reads it; of its keys the number alone."""
    limits = {name: item[name] for name in vars(Limits()) if name in item}
    keys = sum(name.startswith("k_") for name in item)
    improves = {"improve": True} if item.get("imp") else {}
    rest = {"name": item.get("name"), "state": STATES[item["st"]], "created": item["created"], "retention": item["ret"]}
    if item.get("guard"):
        rest["guardrail"] = item["guard"]
    rest["redact"] = item.get("red") or "none"
    return {"project_id": item["pk"][2:], **rest, "region": item["region"], "keys": keys, **improves, **limits}
