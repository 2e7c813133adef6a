"""The windows of the limiter: names, ends, and the bound on a burst."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatapi.limits import windows as w

times = st.floats(1_700_000_000, 4_000_000_000)


@given(now=times)
def test_a_windows_name_lasts_exactly_until_its_end(now: float) -> None:
    # given the windows of a moment, when their remaining time has passed, then the next ones count
    for of in (w.requests_per_minute, w.tokens_per_minute, w.rights_per_minute):
        for index, window in enumerate(of(now)):
            assert 0 < window.remaining <= 60
            assert of(now + window.remaining - 0.01)[index].name == window.name
            assert of(now + window.remaining + 0.01)[index].name != window.name


@given(now=times, skew=st.floats(-5, 5))
def test_a_live_window_is_never_called_expired(now: float, skew: float) -> None:
    # given clocks that differ by up to 5 s, then no window of one is expired for the other
    names = [x.name for x in (*w.requests_per_minute(now), *w.tokens_per_minute(now), w.requests_per_day(now))]
    assert not any(w.expired(name, now + skew) for name in [*names, w.tokens_per_month(now).name])


@given(now=times)
def test_old_windows_are_expired_and_other_attributes_never(now: float) -> None:
    assert all(w.expired(x.name, now + 400) for x in w.requests_per_minute(now))
    assert w.expired(w.requests_per_day(now).name, now + 2 * 86400)
    assert not any(w.expired(name, now) for name in ("pk", "rpm", "tpm", "st", "k_d1", "inf", "name", "ret"))


@given(offset=st.floats(0, 60), limit=st.integers(1, 50))
def test_a_burst_across_a_boundary_stays_below_twice_the_limit(offset: float, limit: int) -> None:
    # given a caller that asks all the time, 100 times a second, from any moment on
    start, admitted, counters = 1_800_000_000 + offset, [], {}
    for tick in range(9_000):
        now = start + tick / 100
        pair = w.requests_per_minute(now)
        if all(counters.get(x.name, 0) < limit for x in pair):
            admitted.append(now)
            for x in pair:
                counters[x.name] = counters.get(x.name, 0) + 1
    # then no 30 seconds see more than the limit, and no 60 more than twice
    for begin in admitted:
        assert sum(begin <= t < begin + 29.9 for t in admitted) <= limit
        assert sum(begin <= t < begin + 60 for t in admitted) <= 2 * limit


def test_durations_read_as_openais_do() -> None:
    assert [w.duration(s) for s in (0.012, 1.5, 59, 360, 61.4)] == ["12ms", "1.5s", "59s", "6m0s", "1m1s"]
