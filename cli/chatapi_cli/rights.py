"""`chatapi requests pause|continue|extend|deny|restrict|lift` and `chatapi holds add|list|release`: what the data
protection officer decides about data-rights requests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from chatapi.catalogue import read_policy
from chatapi.errors import Conflict, NotFound
from chatapi.ids import request_id
from chatapi.store.cases import Case, Cases, NotAllowed
from chatapi.store.holds import HoldError, Holds, announce
from chatapi.store.keys import HELD, open_pk
from chatapi.store.timers import HOLDS, set_timer
from chatapi_cli.say import Project, Request, Stack, fail
from chatapi_cli.target import Target, find
from privacy.intake.service import INTAKE

User = Annotated[str | None, typer.Option(help="The end user's id; '-' reads it from standard input.")]
Owner = Annotated[bool, typer.Option("--owner", help="The project's owner.")]

holds_app = typer.Typer(no_args_is_help=True, help="Legal holds: what an erasure has to keep, and until when.")


def add_rights(app: typer.Typer, requests_app: typer.Typer) -> None:
    """Hang the commands below the given ones."""
    app.add_typer(holds_app, name="holds")
    requests_app.command("pause")(pause)
    requests_app.command("continue")(go_on)
    requests_app.command("extend")(extend)
    requests_app.command("deny")(deny)
    requests_app.command("restrict")(restrict)
    requests_app.command("lift")(lift)


def _decided(stack: str | None, project: str, request: str, act: Callable[[Cases, Case], Case]) -> Target:
    target = find(stack)
    cases = target.cases()
    try:
        case = act(cases, cases.get(project, request))
    except NotFound:
        fail("no such request in this project")
    except (NotAllowed, Conflict):
        fail("the request is in a state that does not allow this")
    typer.echo(json.dumps({"request": case.id, "status": case.status, "due_at": case.get("due")}))
    return target


def pause(project: Project, request: Request, stack: Stack = None) -> None:
    """Stop the clock while it is in doubt who is asking (GDPR Art. 12(6)). Nothing else stops it."""
    _decided(stack, project, request, lambda cases, case: cases.pause(case, time.time()))


def go_on(project: Project, request: Request, stack: Stack = None) -> None:
    """Identity is established: the clock runs again, and so does the work."""
    target = _decided(stack, project, request, lambda cases, case: cases.resume(case, time.time()))
    if project != INTAKE:  # the officer answers that by hand: it has no workflow
        begin(target, target.cases().get(project, request))


def extend(
    project: Project,
    request: Request,
    reason: Annotated[str, typer.Option(help=", ".join(read_policy("rights")["extensions"]))],
    stack: Stack = None,
) -> None:
    """Extend the term once by two months (GDPR Art. 12(3)). Refused once it has run out."""
    _known(reason, "extensions")
    _decided(stack, project, request, lambda cases, case: cases.extend(case, reason, time.time()))


def deny(
    project: Project,
    request: Request,
    reason: Annotated[str, typer.Option(help=", ".join(read_policy("rights")["denials"]))],
    stack: Stack = None,
) -> None:
    """Refuse a request for a reason that its subject is told, with the way to complain (GDPR Art. 12(4))."""
    _known(reason, "denials")
    _decided(stack, project, request, lambda cases, case: cases.deny(case, reason, time.time()))


def restrict(project: Project, user: User = None, owner: Owner = False, stack: Stack = None) -> None:
    """Keep what is stored of a subject and use none of it, until it is lifted (GDPR Art. 18)."""
    _restriction(project, user, owner, stack, restricted=True)


def lift(project: Project, user: User = None, owner: Owner = False, stack: Stack = None) -> None:
    """Lift a restriction. Tell the subject before (GDPR Art. 18(3)); the request is in the subject's own list."""
    _restriction(project, user, owner, stack, restricted=False)


def _restriction(project: str, user: str | None, owner: bool, stack: str | None, *, restricted: bool) -> None:
    target, now = find(stack), time.time()
    subject, slot = _subject(target, project, user, owner), "on" if restricted else "off"
    facts = {"restricted": restricted, "by": "operator"}
    case = target.cases().create(project, request_id(), "restriction", subject, now, target=slot, **facts)
    begin(target, case)
    typer.echo(json.dumps({"request": case.id, "status": case.status, "restricted": restricted}))


def _known(reason: str, table: str) -> None:
    if reason not in read_policy("rights")[table]:
        fail("reasons are: " + ", ".join(read_policy("rights")[table]))


def _subject(target: Target, project: str, user: str | None, owner: bool) -> str:
    if owner == (user is not None):
        fail("select with exactly one of --user and --owner")
    # A command line is seen by others on the machine: the id may come from standard input.
    return target.subject(project, sys.stdin.readline().rstrip("\n") if user == "-" else user)


@holds_app.command("add")
def holds_add(
    project: Project,
    kind: Annotated[list[str], typer.Option(help="A kind of record, of policy/catalogue.toml; repeatable.")],
    basis: Annotated[str, typer.Option(help="The law or order that demands it.")],
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it ends; reviewed half-way.")],
    user: User = None,
    owner: Owner = False,
    stack: Stack = None,
) -> None:
    """Keep some kinds of a subject's records through an erasure. Prints the hold, and the requests that are past the
    point of no return: for those it comes too late."""
    target = find(stack)
    subject = _subject(target, project, user, owner)
    try:
        hold = Holds(target.requests()).add(project, subject, kind, basis, by, days=days, now=time.time())
    except HoldError as error:
        fail(str(error))
    for row in target.requests().query(open_pk(project, subject), HELD):  # what is kept already waits for this one too
        set_timer(target.requests(), int(time.time()), project, row["case"], HOLDS)
    late = announce(target.requests(), target.records(), project, subject, hold["sk"])
    shown = {"hold": hold["sk"], "kinds": hold["kinds"], "expires_at": hold["expires"], "too_late_for": late}
    typer.echo(json.dumps(shown))


@holds_app.command("list")
def holds_list(project: Project, user: User = None, owner: Owner = False, stack: Stack = None) -> None:
    """The holds on a subject, one JSON object a line; those that have ended too."""
    target = find(stack)
    for hold in Holds(target.requests()).all(project, _subject(target, project, user, owner)):
        shown = {name: hold[name] for name in ("kinds", "basis", "owner", "review", "expires")}
        typer.echo(json.dumps({"hold": hold["sk"], **shown, "in_force": hold["expires"] > time.time()}))


@holds_app.command("release")
def holds_release(
    project: Project,
    hold: Annotated[str, typer.Argument(help="The hold's id, see 'holds list'.")],
    user: User = None,
    owner: Owner = False,
    stack: Stack = None,
) -> None:
    """End a hold now. What it alone kept of finished erasures is erased at once."""
    target, now = find(stack), time.time()
    subject, table = _subject(target, project, user, owner), target.requests()
    try:
        Holds(table).release(project, subject, hold, now)
    except NotFound:
        fail("no such hold on this subject")
    waiting = [row["case"] for row in table.query(open_pk(project, subject), HELD)]
    for case in waiting:
        set_timer(table, int(now), project, case, HOLDS)  # should the start below be lost
        begin(target, target.cases().get(project, case))
    typer.echo(json.dumps({"released": hold, "erasing": waiting}))


def begin(target: Target, case: Case) -> None:
    """Start the workflow of a request under a name of its own: one that was used starts nothing, and says nothing."""
    target.executions().start(f"{case.id}-{time.time_ns() // 10**6}", case)
