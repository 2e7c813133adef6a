"""Entry point of the schedule: day rows, which name a data subject, become usage rows, which name nobody.

Each run adds a date up whole, so a run that is repeated, doubled or late changes nothing. Yesterday is gathered again
all day long: a chat counts on the day on which it ends, and the index is a moment behind.
"""

from __future__ import annotations

from typing import Any

from chatapi.clock import Clock, day_of
from chatapi.logs import log, log_error
from chatapi.store.usage import DayIndex, UsageRows
from chatapi.usage import By, Counts, counted
from chatapi.warm import Warm

DAY = 86_400
MOST_DAYS = 40
"""How far a run goes back after an outage of the schedule."""


class GatheringFailed(Exception):
    """What Lambda gets to see of any failure."""

    def __init__(self) -> None:
        super().__init__("the gathering failed; the log names the error's type and place")


def gather(index: DayIndex, rows: UsageRows, clock: Clock) -> int:
    """Gather from the day before the last gathering until today; the number of usage rows written."""
    now, last = clock.now(), rows.gathered_at()
    back = 1 if last is None else 1 + int(max(0, now // DAY - last // DAY))
    written = 0
    for number in range(min(back, MOST_DAYS), -1, -1):
        date = day_of(now - number * DAY)
        for project, by in _totals(index, date).items():
            rows.put(project, date, by, now)
            written += 1
    rows.mark(now)
    return written


def _totals(index: DayIndex, date: str) -> dict[str, By]:
    totals: dict[str, By] = {}
    for row in index.rows(date):
        project = totals.setdefault(row["pk"].split("#")[1], {})
        for by, counts in counted(row).items():
            project[by] = project.get(by, Counts()).plus(counts)
    return {project: by for project, by in totals.items() if by}


@Warm
def _composed() -> tuple[DayIndex, UsageRows, Clock]:
    """The composition root: made once per warm function, at the first run, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting
    from chatapi.store.usage import DynamoDayIndex
    from chatapi.wiring import store_of

    # Nobody waits for these calls, so they may be patient.
    dynamodb = AwsClient("dynamodb", region=region(), timeout=5.0, attempts=4)
    clock = SystemClock()
    rows = UsageRows(store_of(dynamodb, "projects", clock))
    return DynamoDayIndex(dynamodb, setting("RECORDS_TABLE")), rows, clock


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """One run. The event says nothing that is needed."""
    del event, context
    try:
        written = gather(*_composed())
    except Exception as error:  # noqa: BLE001 - an error's text could quote a key
        log_error("gathering_failed", error, function="usage", code=getattr(error, "code", None))
        raise GatheringFailed from None
    log("gathered", function="usage", count=written)
    return {"rows": written}
