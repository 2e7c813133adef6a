"""`chatapi patterns`: how people who allowed it used the service, day by day; nobody can be told from it."""

from __future__ import annotations

from typing import Any

from chatapi.clock import SystemClock
from chatapi.store.patterns import FEWEST, by_day
from chatapi.store.signals import every_row
from chatapi_cli.say import AsJson, Stack, say_all
from chatapi_cli.target import find


def patterns(stack: Stack = None, as_json: AsJson = False) -> None:
    """Usage patterns of people who consented to analytics, by day. Days of fewer than five people are not counted."""
    target = find(stack)
    days = by_day(every_row(target.client("dynamodb"), target.output("PatternsTable")), SystemClock().now())

    def line(day: dict[str, Any]) -> str:
        if day["people"] is None:
            return f"{day['date']}  fewer than {FEWEST} people"
        counts = "  ".join(f"{name} {count}" for what in ("features", "models") for name, count in day[what].items())
        return f"{day['date']}  people {day['people']}  requests each {day['requests_median']}  {counts}"

    say_all(days, line, "patterns", as_json)
