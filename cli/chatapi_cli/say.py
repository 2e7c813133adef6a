"""What the commands have in common: the options that mean the same everywhere, and how a result or an error is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn

import typer

from chatapi.redaction import KINDS

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Project = Annotated[str, typer.Argument(help="The project's id, 8 characters.")]
Request = Annotated[str, typer.Argument(help="The request's id, dsr_…")]
Stack = Annotated[
    str | None, typer.Option("--stack", help="A stack on AWS; default: the local one if it runs, see chatapi --help.")
]
Redact = Annotated[
    str | None,
    typer.Option(help="What no model may see: all, none, or some of " + ", ".join(KINDS) + " (docs/redaction.md)."),
]


def fail(text: str, code: int = 1) -> NoReturn:
    """One clear line on stderr."""
    typer.echo(text, err=True)
    raise SystemExit(code)


def say(record: Mapping[str, object], as_json: bool) -> None:
    """A record as JSON or as aligned lines."""
    if as_json:
        typer.echo(json.dumps(record))
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        typer.echo(f"{name:<{width}}  {value}")


def say_all(found: Sequence[dict[str, Any]], line: Callable[[dict[str, Any]], str], what: str, as_json: bool) -> None:
    """A list as JSON, or as a `line` each; where it is empty, that there are no `what`."""
    if as_json:
        typer.echo(json.dumps({"data": found}))
        return
    for each in found:
        typer.echo(line(each))
    if not found:
        typer.echo(f"no {what}")


def micro_usd(usd: float) -> int:
    """Dollars of the command line as whole micro-USD."""
    return round(usd * 1_000_000)
