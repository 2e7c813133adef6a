"""`GET /v1/usage`: the query, and what it answers as JSON or CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response

from chatapi.buffered import told
from chatapi.clock import Clock
from chatapi.errors import BadRequest
from chatapi.store.usage import UsageRows
from chatapi.usage import GROUPS, BadPeriod, By, days_between, report, spelled, to_csv

CSV = "text/csv; charset=utf-8"
_PARAMETERS = ("start", "end", "group_by", "format")


@dataclass(frozen=True)
class Found:
    """Usage of some days; `dates` as `YYYYMMDD`, `gathered_at` in POSIX seconds or None."""

    dates: Sequence[str]
    rows: Mapping[str, By]
    gathered_at: int | None


@dataclass(frozen=True)
class Query:
    """A query of usage. `start` and `end` as they came; `group_by` some of day, key, model."""

    start: str | None = None
    end: str | None = None
    group_by: tuple[str, ...] = GROUPS
    csv: bool = False

    def answer(self, found: Found) -> Response[str]:
        """The answer, in the form that was asked for."""
        lines = report(found.rows, self.group_by)
        gathered = found.gathered_at
        first, last = spelled(found.dates[0]), spelled(found.dates[-1])
        if self.csv:
            headers: dict[str, str | list[str]] = {
                "content-disposition": f'attachment; filename="usage-{first}-{last}.csv"',
                "x-gathered-at": "" if gathered is None else str(gathered),
            }
            return Response(200, CSV, to_csv(lines, self.group_by), headers=headers)
        body = {
            "object": "usage",
            "start": first,
            "end": last,
            "group_by": list(self.group_by),
            "gathered_at": gathered,
            "data": lines,
        }
        return told(body)


class Usage:
    """The service."""

    def __init__(self, rows: UsageRows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    def read(self, project: str, query: Query) -> Found:
        """What a project used. BadRequest where the period is none, or has more than 92 days."""
        try:
            dates = days_between(query.start, query.end, self._clock.now())
        except BadPeriod as error:
            refusal = BadRequest(str(error), code="invalid_value", param=error.field)
        else:
            return Found(dates, *self._rows.read(project, dates))
        raise refusal  # outside the handler: the cause would quote the input


def parse_query(parameters: Mapping[str, Sequence[str]] | None, headers: Mapping[str, str] | None) -> Query:
    """The query of a REST API event. BadRequest for an unknown or repeated parameter, or a value that is none."""
    given: dict[str, str] = {}
    for name, values in (parameters or {}).items():
        if name not in _PARAMETERS:
            raise BadRequest("The request has a parameter that is not known.", code="unknown_parameter")
        if len(values) != 1:
            raise BadRequest("The parameter was given more than once.", code="invalid_value", param=name)
        given[name] = values[0]
    groups = tuple(given["group_by"].split(",")) if "group_by" in given else GROUPS
    if len(groups) > len(GROUPS) or len(set(groups)) != len(groups) or not set(groups) <= set(GROUPS):
        raise BadRequest("group_by is one or more of day, key, model.", code="invalid_value", param="group_by")
    form = given.get("format")
    if form not in (None, "json", "csv"):
        raise BadRequest("format is json or csv.", code="invalid_value", param="format")
    accept = next((value for name, value in (headers or {}).items() if name.lower() == "accept"), "")
    return Query(
        given.get("start"),
        given.get("end"),
        tuple(name for name in GROUPS if name in groups),
        form == "csv" or (form is None and _prefers_csv(accept)),
    )


def _prefers_csv(accept: str) -> bool:
    return any(part.partition(";")[0].strip().lower() == "text/csv" for part in accept.split(","))
