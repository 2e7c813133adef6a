"""`chatapi projects list | show | update | suspend | resume | close`."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, NoReturn

import typer

from chatapi.clock import SystemClock
from chatapi.outbound import BadUrl
from chatapi.store.project_errors import ProjectError
from chatapi.store.project_limits import MAX_LEASE
from chatapi.store.project_states import ProjectStates, shown
from chatapi.store.signals import every_row
from chatapi_cli.closing import Closing, Progress, Scan
from chatapi_cli.say import AsJson, Project, Redact, Stack, micro_usd, say_all
from chatapi_cli.target import Target, find


def add_projects(app: typer.Typer) -> None:
    """Hang the commands below `chatapi projects`."""
    for name, command in (
        ("list", list_),
        ("show", show),
        ("update", update),
        ("suspend", suspend),
        ("resume", resume),
        ("close", close),
    ):
        app.command(name)(command)


def _states(target: Target) -> ProjectStates:
    return ProjectStates(target.projects_table(), SystemClock())


def list_(stack: Stack = None, as_json: AsJson = False) -> None:
    """Every project: its state, its name, its keys."""
    target = find(stack)
    items = every_row(target.client("dynamodb"), target.output("ProjectsTable"))
    found = sorted((shown(item) for item in items if item.get("kind") == "project"), key=lambda each: each["created"])

    def line(each: dict[str, Any]) -> str:
        created = time.strftime("%Y-%m-%d", time.gmtime(each["created"]))
        told = f"{each['project_id']}  {each['state']:<9}  created {created}  keys {each['keys']}"
        return f"{told}  {each['name'] or ''}".rstrip()

    say_all(found, line, "projects", as_json)


def show(project: Project, stack: Stack = None, as_json: AsJson = False) -> None:
    """One project: state, limits, retention, and whether its owner can be told about a leaked key."""
    target = find(stack)
    record: dict[str, Any] = shown(_states(target).get(project))
    record["contact"] = target.contacts().get(project) is not None
    if as_json:
        typer.echo(json.dumps(record))
        return
    width = max(map(len, record))
    for name, value in record.items():
        typer.echo(f"{name:<{width}}  {'yes' if value is True else 'no' if value is False else value}")


def update(
    project: Project,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    retention: Annotated[str | None, typer.Option(help="none, history or history:DAYS.")] = None,
    redact: Redact = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens a minute.")] = None,
    rpd: Annotated[int | None, typer.Option(min=1, help="Requests a day.")] = None,
    tpmo: Annotated[int | None, typer.Option(min=1, help="Tokens a month.")] = None,
    prm: Annotated[int | None, typer.Option(min=1, help="Data-rights requests a minute.")] = None,
    spend: Annotated[float | None, typer.Option(min=0.000001, help="USD a month, e.g. 25 or 0.50.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=0, max=1000, help="Chats at the same time; 0: any.")] = None,
    lease: Annotated[int | None, typer.Option(min=0, max=MAX_LEASE, help="Requests debited at once.")] = None,
    user_rpm: Annotated[int | None, typer.Option(min=0, help="Requests a minute of each end user.")] = None,
    user_tpm: Annotated[int | None, typer.Option(min=0, help="Tokens a minute of each end user.")] = None,
    guardrail: Annotated[str | None, typer.Option(help="A name of policy/guardrails.toml; '' for none.")] = None,
    improve: Annotated[
        bool | None,
        typer.Option(help="Whether it takes part in improvement, for people who consent."),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Where it is told of erasures and choices, https://…; 'none' ends it.")
    ] = None,
    stack: Stack = None,
) -> None:
    """Change limits, name, retention, redaction, guardrail or webhook. A window under way keeps its first limit."""
    target = find(stack)
    url = "" if webhook == "none" else webhook
    if url:
        try:
            target.outbound().check(url)
        except BadUrl:
            raise ProjectError("a webhook is https to a public DNS name") from None
    given = {
        "rpm": rpm,
        "tpm": tpm,
        "rpd": rpd,
        "tpmo": tpmo,
        "prm": prm,
        "smo": None if spend is None else micro_usd(spend),
        "conc": concurrency,
        "lease": lease,
        "urpm": user_rpm,
        "utpm": user_tpm,
    }
    limits = {field: value for field, value in given.items() if value is not None}
    _states(target).update(
        project, limits, name=name, retention=retention, redact=redact, guardrail=guardrail, improve=improve
    )
    typer.echo(f"updated {project}")
    if url is not None:
        _, secret = target.webhooks().put(project, url, time.time())
        typer.echo(f"the webhook's secret, this once: {secret}" if url else "the webhook is ended")


def suspend(project: Project, stack: Stack = None) -> None:
    """Refuse the project's keys with 429, data rights apart, until it is resumed."""
    _states(find(stack)).suspend(project)
    typer.echo(f"suspended {project}")


def resume(project: Project, stack: Stack = None) -> None:
    """Let the project's keys in again."""
    _states(find(stack)).resume(project)
    typer.echo(f"resumed {project}")


def close(
    project: Project,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the erasures; run it again to go on.")] = 600,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """End a project for good: its keys at once, then the data of every subject. Usage numbers stay.

    Exit code 0 only when all is done; run it again to go on. What a legal hold keeps is told, and keeps it open.
    """
    target = find(stack)
    states = _states(target)
    states.get(project)
    if not yes:
        typer.confirm(f"Close {project}? Its keys end at once and the data of all its subjects is erased", abort=True)
    dynamodb = target.client("dynamodb")
    closing = Closing(
        project,
        states,
        target.cases(),
        target.executions(),
        Scan(dynamodb, target.output("VaultTable"), target.output("RecordsTable")),
    )
    said: list[Progress] = []

    def tell(progress: Progress) -> None:
        if not as_json and progress not in said[-1:]:
            typer.echo(_line(progress))
        said.append(progress)

    progress = closing.run(wait, tell)
    if as_json:
        typer.echo(json.dumps({"project_id": project, "closed": progress.closed, **vars(progress)}))
    elif progress.closed:
        typer.echo(f"closed {project}")
    if not progress.closed:
        _not_closed(progress)


def _line(progress: Progress) -> str:
    parts = [f"erased {progress.done}", f"under way {progress.waiting}"]
    for name, count in (("under a legal hold", progress.held), ("failed", progress.failed)):
        parts += [f"{name} {count}"] if count else []
    return ", ".join(parts)


def _not_closed(progress: Progress) -> NoReturn:
    why = []
    if progress.held:
        why.append(
            f"{progress.held} subjects have data under a legal hold, which is kept until it ends (chatapi holds)"
        )
    if progress.failed:
        why.append(f"{progress.failed} erasures failed")
    if progress.waiting:
        why.append(f"{progress.waiting} erasures are under way")
    if progress.chats:
        why.append(f"{progress.chats} chats still run")
    typer.echo("not closed yet: " + "; ".join(why) + ". The keys are dead. Run it again to go on.", err=True)
    raise SystemExit(1)
