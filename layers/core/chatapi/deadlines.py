"""When a data-rights request is due: the law's month and the policy's 30 days, whichever ends first."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

_TERM = timedelta(days=30)


def due(created: float) -> float:
    """The deadline of a request received at `created`, both in POSIX seconds (UTC).

    The earlier of one calendar month (GDPR Art. 12(3)) and the 30 days of the policy. A month ends on the day of the
    same number, or on the next month's last day where it has no such day: received on 31 January 2027 it is due on
    28 February, received on 1 February on 1 March.
    """
    start = datetime.fromtimestamp(created, UTC)
    year, month = start.year + start.month // 12, start.month % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return min(start.replace(year=year, month=month, day=day), start + _TERM).timestamp()
