"""The `chatapi` command. Exit code 0 only on success; `--json` prints one object for scripts."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from chatapi.aws.errors import AwsError
from chatapi.errors import NotFound, Unavailable
from chatapi.mail import is_address
from chatapi.store.contacts import NoAddress
from chatapi.store.project_errors import ProjectError
from chatapi.store.project_limits import MAX_LEASE
from chatapi.store.projects import Limits
from chatapi_cli import restore, vault
from chatapi_cli.agents import agents_app
from chatapi_cli.datasets import datasets_app
from chatapi_cli.dialects import dialects_app
from chatapi_cli.keys import keys_app
from chatapi_cli.mail import mail_app
from chatapi_cli.patterns import patterns
from chatapi_cli.projects import add_projects
from chatapi_cli.providers import providers_app
from chatapi_cli.rights import add_rights, begin
from chatapi_cli.say import AsJson, Project, Redact, Request, Stack, fail, micro_usd, say, say_all
from chatapi_cli.target import TargetError, find
from privacy.intake.service import INTAKE

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Operate a ChatAPI stack, and verify what it signed.\n\n"
    "Which stack: --stack NAME on AWS; else the local one, by .local/stack.json or the file that CHATAPI_STACK_FILE "
    "names; else the stack CHATAPI_STACK, or 'chatapi', of your AWS profile.",
)
projects_app = typer.Typer(no_args_is_help=True, help="Projects and their limits.")
signals_app = typer.Typer(no_args_is_help=True, help="Signals of abuse.")
requests_app = typer.Typer(no_args_is_help=True, help="Data-rights requests.")
app.add_typer(projects_app, name="projects")
app.add_typer(keys_app, name="keys")
app.add_typer(signals_app, name="signals")
app.add_typer(requests_app, name="requests")
app.add_typer(vault.app, name="vault")
app.add_typer(agents_app, name="agents")
app.add_typer(datasets_app, name="datasets")
app.add_typer(dialects_app, name="dialects")
app.add_typer(mail_app, name="mail")
app.add_typer(restore.app, name="restore")
app.add_typer(providers_app, name="providers")
add_rights(app, requests_app)
add_projects(projects_app)
app.command()(patterns)


@projects_app.command("create")
def projects_create(
    name: Annotated[str, typer.Option(help="A name for people.")],
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens a minute.")] = None,
    rpd: Annotated[int | None, typer.Option(min=1, help="Requests a day.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Chats at the same time; 0: any number.")
    ] = None,
    tpmo: Annotated[int | None, typer.Option(min=1, help="Tokens a month.")] = None,
    prm: Annotated[int | None, typer.Option(min=1, help="Data-rights requests a minute.")] = None,
    spend: Annotated[float | None, typer.Option(min=0.000001, help="USD a month, e.g. 25 or 0.50.")] = None,
    lease: Annotated[
        int, typer.Option(min=0, max=MAX_LEASE, help="Requests debited at once, with --concurrency 0 alone.")
    ] = 0,
    user_rpm: Annotated[int, typer.Option(min=0, help="Requests a minute of each end user; 0: no limit.")] = 0,
    user_tpm: Annotated[int, typer.Option(min=0, help="Tokens a minute of each end user; 0: no limit.")] = 0,
    retention: Annotated[
        str, typer.Option(help="none, history ('store: true' is permitted) or history:DAYS.")
    ] = "none",
    redact: Redact = None,
    region: Annotated[str, typer.Option(help="Home region; default: the stack's.")] = "",
    contact: Annotated[
        str, typer.Option(help="The owner's mail address: sign-in codes of the portal, news of a leaked key.")
    ] = "",
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Create a project and its first key, which is printed this once. A limit that is not given is the stage's
    (policy/limits.toml)."""
    target = find(stack)
    if region not in ("", target.region):
        raise ProjectError(f"this stack is in {target.region}; create the project on the stack of its home region")
    if contact and not is_address(contact):
        raise NoAddress
    limits = Limits.of_stage(
        target.output("Stage"),
        rpm=rpm,
        tpm=tpm,
        rpd=rpd,
        conc=concurrency,
        tpmo=tpmo,
        prm=prm,
        smo=None if spend is None else micro_usd(spend),
        lease=lease,
        urpm=user_rpm,
        utpm=user_tpm,
    )
    project, key = target.projects().create(
        name, limits, retention=retention, redact=redact or "", region=target.region
    )
    if contact:
        target.contacts().set(project, contact)
    say({"project_id": project, "api_key": key}, as_json)


@projects_app.command("contact")
def projects_contact(
    project: Project,
    address: Annotated[str, typer.Argument(help="The owner's mail address; '-' reads it from standard input.")],
    stack: Stack = None,
) -> None:
    """Set where the owner of a project is reached. It is kept encrypted, and erased with the owner."""
    target = find(stack)
    target.projects().keys(project)  # no such project: said so, and nothing is kept
    target.contacts().set(project, sys.stdin.readline().strip() if address == "-" else address)
    typer.echo("the contact is set")


@requests_app.command("resume")
def requests_resume(
    project: Project,
    request: Request,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Start the workflow of a failed or interrupted request again: it goes on where it stopped."""
    target = find(stack)
    try:
        case = target.cases().get(project, request)  # the execution of a case that is not there would fail, unseen
    except NotFound:
        fail("no such request in this project")
    if project == INTAKE:
        fail("a request by mail has no workflow: see chatapi mail")
    begin(target, case)
    say({"resumed": request, "was": case.status}, as_json)


@signals_app.command("list")
def signals_list(
    least: Annotated[int, typer.Option("--min", min=1, help="Leave out addresses with fewer failures.")] = 1,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Failures by address and day, most first. An address is a hash that means nothing on another day."""
    found = [each for each in find(stack).signals() if sum(each["failures"].values()) >= least]

    def line(each: dict[str, Any]) -> str:
        counts = "  ".join(
            f"{name} {count}" for what in ("failures", "clients") for name, count in sorted(each[what].items())
        )
        return f"{each['date']}  {each['address']}  {counts}"

    say_all(found, line, "signals", as_json)


@app.command()
def usage(
    project: Project,
    start: Annotated[str | None, typer.Option(help="First day, like 2026-11-01 (UTC); default: 30 days.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day; default: today.")] = None,
    group_by: Annotated[str, typer.Option(help="Some of day, key, model, with commas.")] = "day,key,model",
    stack: Stack = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """What a project used, by day, key and model."""
    from chatapi.usage import GROUPS, BadPeriod, days_between, report, to_csv
    from chatapi_cli.usage import table

    groups = group_by.split(",")
    if not set(groups) <= set(GROUPS):
        fail("--group-by is one or more of day, key, model")
    try:
        dates = days_between(start, end, time.time())
    except BadPeriod as error:
        fail(str(error))
    rows, gathered = find(stack).usage().read(project, dates)
    lines = report(rows, groups)
    if as_csv:
        typer.echo(to_csv(lines, groups), nl=False)
    elif as_json:
        typer.echo(json.dumps({"project_id": project, "gathered_at": gathered, "data": lines}))
    else:
        typer.echo(table(lines, gathered))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A certificate, a receipt, or an export.")],
    jwks: Annotated[
        str | None, typer.Option(help="The signer's keys: a file or URL; default: those of the stack.")
    ] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Check a certificate, a receipt or an export (a ZIP), offline where --jwks names a file."""
    from chatapi_cli.verify import verify_file

    source = jwks or find(stack).base_url.removesuffix("/v1") + "/.well-known/jwks.json"
    findings = verify_file(file, source)
    if as_json:
        typer.echo(json.dumps({"valid": not findings, "findings": findings}))
        raise typer.Exit(1 if findings else 0)
    for finding in findings:
        typer.echo(f"NOT VALID: {finding}", err=True)
    if findings:
        raise typer.Exit(1)
    typer.echo("valid: the signature and all that it covers hold")


def main() -> None:
    """Entry point: faults become one line."""
    try:
        app()
    except (NoAddress, ProjectError, TargetError, Unavailable) as error:
        fail(str(error))
    except AwsError as error:
        fail(f"AWS refused or did not answer: {error.code}")


if __name__ == "__main__":
    main()
