"""The law's month or the policy's 30 days, whichever ends first."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.deadlines import due

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
