"""The clocks of a data-rights request: the GDPR's and the policy's, and the CCPA's beside them.

    GDPR    due: min(one calendar month, the policy's 30 days)   Art. 12(3); a pause while identity is in doubt, 12(6)
            extended once, with a reason, while it is not yet due: two further months
    CCPA    acknowledged in 10 business days, answered in 45 days (11 CCR 7021; verification does not pause them); an
            opt-out, which has 15 (7026), needs no clock: it is obeyed at once

Times are POSIX seconds. A calendar month is counted on the calendar of `zone`, the controller's (policy/rights.toml).
Business days are Monday to Friday: a public holiday would only lengthen the term, so leaving it out is the safe side.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from chatapi.catalogue import read_policy

TERM_DAYS = 30
CCPA_DAYS = 45
ACKNOWLEDGE_BUSINESS_DAYS = 10
EXTENSION_MONTHS = 2


def controller_zone() -> tzinfo:
    """The zone on whose calendar a month is counted (policy/rights.toml). UTC needs no time zone data."""
    name = read_policy("rights")["controller"]["zone"]
    return UTC if name == "UTC" else ZoneInfo(name)


def due(created: float, zone: tzinfo = UTC) -> float:
    """The deadline of a request received at `created`.

    The earlier of one calendar month (GDPR Art. 12(3)) and the 30 days of the policy. A month ends on the day of the
    same number, or on the next month's last day where it has no such day: received on 31 January 2027 it is due on
    28 February, received on 1 February on 1 March.
    """
    return min(_months(created, 1, zone), created + timedelta(days=TERM_DAYS).total_seconds())


def extended(created: float, zone: tzinfo = UTC) -> float:
    """The deadline after the one extension (GDPR Art. 12(3)): two months more than either count."""
    term = created + timedelta(days=TERM_DAYS).total_seconds()
    return min(_months(created, 1 + EXTENSION_MONTHS, zone), _months(term, EXTENSION_MONTHS, zone))


def may_extend(now: float, due_at: float) -> bool:
    """Whether the controller may still extend: the reason has to be given before the term has run out."""
    return now <= due_at


def ccpa_due(created: float) -> float:
    """When the CCPA wants the answer: 45 days from receipt, whatever the verification takes."""
    return created + timedelta(days=CCPA_DAYS).total_seconds()


def acknowledge_by(created: float) -> float:
    """When the CCPA wants the receipt confirmed: 10 business days."""
    return _business_days(created, ACKNOWLEDGE_BUSINESS_DAYS)


def _months(start: float, months: int, zone: tzinfo) -> float:
    local = datetime.fromtimestamp(start, zone)
    index = local.month - 1 + months
    year, month = local.year + index // 12, index % 12 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).timestamp()


def _business_days(start: float, days: int) -> float:
    moment = datetime.fromtimestamp(start, UTC)
    while days:
        moment += timedelta(days=1)
        days -= moment.weekday() < 5
    return moment.timestamp()
