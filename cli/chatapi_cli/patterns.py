"""`chatapi patterns`: how people who allowed it used the service, day by day; nobody can be told from it."""

from __future__ import annotations

import json

import typer

from chatapi.clock import SystemClock
from chatapi.store.patterns import FEWEST, by_day
from chatapi.store.signals import every_row
from chatapi_cli.say import AsJson, Stack
from chatapi_cli.target import find


def patterns(stack: Stack = None, as_json: AsJson = False) -> None:
    """Usage patterns of people who consented to analytics, by day. Days of fewer than five people are not counted."""
    target = find(stack)
    days = by_day(every_row(target.client("dynamodb"), target.output("PatternsTable")), SystemClock().now())
    if as_json:
        typer.echo(json.dumps({"data": days}))
        return
    for day in days:
        if day["people"] is None:
            typer.echo(f"{day['date']}  fewer than {FEWEST} people")
            continue
        counts = "  ".join(f"{name} {count}" for what in ("features", "models") for name, count in day[what].items())
        typer.echo(f"{day['date']}  people {day['people']}  requests each {day['requests_median']}  {counts}")
    if not days:
        typer.echo("no patterns")
