"""The law's month or the policy's 30 days, whichever ends first."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.deadlines import acknowledge_by, ccpa_due, due, extended, may_extend

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 1), timezones=st.just(UTC))


def at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, 10, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (at(2027, 1, 31), at(2027, 2, 28)),  # the month is shorter
        (at(2027, 2, 1), at(2027, 3, 1)),
        (at(2027, 3, 1), at(2027, 3, 31)),  # the 30 days are shorter
        (at(2027, 4, 1), at(2027, 5, 1)),  # both alike
        (at(2028, 1, 31), at(2028, 2, 29)),  # a leap year
        (at(2027, 12, 31), at(2028, 1, 30)),
    ],
)
def test_known_dates(received: float, expected: float) -> None:
    assert due(received) == expected


@given(MOMENTS)
def test_it_is_never_later_than_either_promise(received: datetime) -> None:
    end = datetime.fromtimestamp(due(received.timestamp()), UTC)
    assert end - received <= timedelta(days=30)
    following = (received.year + received.month // 12, received.month % 12 + 1)
    assert (end.year, end.month) in ((received.year, received.month), following)
    if (end.year, end.month) == following:
        assert end.day <= received.day


@given(MOMENTS)
def test_it_is_one_of_the_two_to_the_second(received: datetime) -> None:
    end = datetime.fromtimestamp(due(received.timestamp()), UTC)
    assert end.time() == received.time()
    last = calendar.monthrange(end.year, end.month)[1]
    assert end - received == timedelta(days=30) or end.day in (received.day, last)


@given(MOMENTS, st.integers(0, 10**7))
def test_who_asks_on_a_later_day_is_never_due_on_an_earlier_one(received: datetime, seconds: int) -> None:
    # by the day: at a month's end two days of asking share one due day, and the time of day is each request's own
    later = received + timedelta(seconds=seconds)
    assert due(received.timestamp()) // 86400 <= due(later.timestamp()) // 86400


ZONES = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
NAMED = st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "UTC"]).map(ZoneInfo)


@given(MOMENTS, ZONES | NAMED)
def test_on_the_calendar_of_any_zone_it_is_never_later_than_a_month_and_never_under_four_weeks(
    received: datetime, zone: tzinfo
) -> None:
    created = received.timestamp()
    seconds = due(created, zone) - created
    assert 28 * 86400 - 7200 <= seconds <= 30 * 86400  # a change of the clocks may lie between
    start, end = (datetime.fromtimestamp(moment, zone).date() for moment in (created, due(created, zone)))
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) in (0, 1)


@given(MOMENTS, ZONES | NAMED)
def test_an_extension_adds_two_months_to_either_count_and_no_more(received: datetime, zone: tzinfo) -> None:
    created = received.timestamp()
    more = extended(created, zone) - due(created, zone)
    assert 56 * 86400 <= more <= 63 * 86400
    assert extended(created, zone) - created <= 92 * 86400 + 7200


@given(MOMENTS)
def test_an_extension_comes_before_the_term_has_run_out(received: datetime) -> None:
    end = due(received.timestamp())
    assert may_extend(end, end)
    assert not may_extend(end + 1, end)
    assert not may_extend(received.timestamp() + 31 * 86400, end)


@given(MOMENTS)
def test_the_ccpas_clock_runs_beside_it(received: datetime) -> None:
    created = received.timestamp()
    assert ccpa_due(created) - created == 45 * 86400
    end = datetime.fromtimestamp(acknowledge_by(created), UTC)
    assert end.weekday() < 5
    days = [received + timedelta(days=n) for n in range(1, (end.date() - received.date()).days + 1)]
    assert sum(day.weekday() < 5 for day in days) == 10
    assert acknowledge_by(created) < due(created) < ccpa_due(created)
