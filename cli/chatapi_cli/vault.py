"""`chatapi vault …`: the keys behind what is stored. Documentation: docs/vault.md, "Operating"."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Annotated

import typer

from chatapi.clock import SystemClock
from chatapi.limits.admission import project_key
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import Change, Collision
from chatapi.vault import Conflict, KeyUnavailable
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.epochs import SEEN_SECONDS, EpochError, Epochs
from chatapi.vault.kms import KmsKeys
from chatapi.vault.rotation import FAILURES, Progress, Stuck, Target, census, rewrap, rotate
from chatapi.vault.turn import own_key, targets
from chatapi_cli.say import AsJson, Project, Stack, fail
from chatapi_cli.target import Target as Deployed
from chatapi_cli.target import find

app = typer.Typer(no_args_is_help=True, help="Data keys, the KMS keys that wrap them, and their rotation.")

_NAMED = 100
"""How many keys that could not be moved are named one by one; with a KMS key gone it may be all."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


class Keys:
    """What the commands work on, of one stack."""

    def __init__(self, stack: Deployed) -> None:
        self.wraps = DynamoWraps(stack.client("dynamodb"), stack.output("VaultTable"))
        self.kms = KmsKeys(stack.client("kms"), stack.output("EpochAlias"))
        self.epochs = Epochs(stack.client("kms"), stack.output("EpochAlias"), time.time)
        self._own = own_key(stack.client("dynamodb"), stack.output("ProjectsTable"))
        self.projects = DynamoTable(stack.client("dynamodb"), stack.output("ProjectsTable"), sort=None)

    def targets(self) -> Callable[[str], Target]:
        """Which KMS key each project is to be under: its own, or the current epoch."""
        return targets(self._own, self.epochs.current())


@app.command("status")
def status(stack: Stack = None, as_json: AsJson = False) -> None:
    """Count the items of the Vault by state and wrapping key. Reads the whole table."""
    keys = Keys(find(stack))
    current, epochs = keys.epochs.current(), keys.epochs.all()
    rows = [
        {
            "state": state,
            "key_arn": arn,
            "whose": "tenant" if own else "current" if arn == current else "old epoch" if arn else "unknown",
            "key_state": epochs.get(arn),
            "items": count,
        }
        for (state, arn, own), count in sorted(census(keys.wraps).items())
    ]
    if as_json:
        typer.echo(json.dumps({"current_epoch": current, "epochs": epochs, "items": rows}))
        return
    typer.echo(f"current epoch  {current}")
    for arn, state in sorted(epochs.items()):
        if arn != current:
            typer.echo(f"old epoch      {arn}  {state}")
    for row in rows:
        typer.echo(f"{row['items']:>9}  {row['state']:<7}  {row['whose']:<9}  {row['key_arn']}")
    if not rows:
        typer.echo("the Vault is empty")


@app.command("rotate")
def rotate_subject(
    project: Project,
    subject: Annotated[str, typer.Argument(help="The subject's pseudonym, sub_…")],
    stack: Stack = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give a data subject a new key for new messages. What is stored stays readable under the older ones."""
    keys = Keys(find(stack))
    target = keys.targets()(project)
    try:
        item = keys.wraps.get(project, subject)
        if item is None:
            raise Conflict
        version = max(item.wraps, default=0) + 1 if dry_run else rotate(keys.wraps, keys.kms, project, subject, target)
    except (Conflict, ValueError):
        fail("this subject has no open generation, or an erasure is at work on it")
    except KeyUnavailable:
        fail("the wrapping key cannot be used now; nothing was changed")
    done = {"project": project, "subject": subject, "keyver": version, "dry_run": dry_run}
    typer.echo(json.dumps(done) if as_json else f"{'would be' if dry_run else 'now'} at version {version}")


@app.command("rewrap")
def rewrap_all(
    per_second: Annotated[float, typer.Option(min=0.1, max=5000, help="Items moved a second, at most.")] = 100,
    after: Annotated[
        str | None, typer.Option(help="Resume behind this cursor, as an interrupted run prints it.")
    ] = None,
    stack: Stack = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Move every data key to its project's KMS key: the current epoch, or the one that the project brought.

    Interrupt it at any time. A run that starts anew passes over what was moved.
    """
    keys, clock = Keys(find(stack)), SystemClock()
    progress, stuck = Progress(cursor=after), list[Stuck]()
    try:
        for progress in rewrap(
            keys.wraps,
            keys.kms,
            keys.targets(),
            clock=clock,
            sleep=time.sleep,
            per_second=per_second,
            after=after,
            dry_run=dry_run,
        ):
            if sys.stderr.isatty():
                typer.echo(f"\r{progress.seen} seen, {_counts(progress.outcomes)}   ", err=True, nl=False)
            stuck += progress.stuck[: _NAMED - len(stuck)]
    except KeyboardInterrupt:
        typer.echo(f"\ninterrupted; resume with --after '{progress.cursor or ''}'", err=True)
        raise typer.Exit(130) from None
    named = [one._asdict() for one in stuck]
    record = {"seen": progress.seen, **dict(progress.outcomes), "stuck": named, "dry_run": dry_run}
    typer.echo(json.dumps(record) if as_json else f"{progress.seen} seen: {_counts(progress.outcomes)}")
    for one in () if as_json else stuck:
        typer.echo(f"{one.why:<10}  {one.project}  {one.subject}  generation {one.generation or '?'}")
    left = sum(progress.outcomes[why] for why in FAILURES)
    if left:
        fail(f"{left} keys could not be moved, all others were; what to do: docs/vault.md, 'A key that does not move'")


def _counts(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "none"


@app.command("new-epoch")
def new_epoch(stack: Stack = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make the next KMS key and, five minutes later, use it for new data keys. Then run 'chatapi vault rewrap' until
    nothing is moved. Interrupt it at any time: the next run uses the key that was made."""
    target = find(stack)
    keys, new = Keys(target), None
    old = keys.epochs.current()
    if not dry_run:
        keys.epochs.prepare()
        if target.output("Stage") != "local":  # where nobody waits for IAM to see a key's name
            typer.echo("the key is made; waiting until IAM has seen its name everywhere", err=True)
            time.sleep(SEEN_SECONDS)
        new = keys.epochs.begin()
    done = {"old": old, "new": new, "dry_run": dry_run}
    typer.echo(json.dumps(done) if as_json else f"old epoch  {old}\nnew epoch  {new or '(dry run)'}")


@app.command("retire-epoch")
def retire_epoch(
    arn: Annotated[str, typer.Argument(help="The old KMS key's ARN, see 'chatapi vault status'.")],
    stack: Stack = None,
) -> None:
    """Disable an old epoch that nothing is under any more; run again seven days later to schedule its deletion."""
    keys = Keys(find(stack))
    counted = census(keys.wraps).items()
    left = sum(count for (state, key, _), count in counted if key in (arn, "") and state != "erased")
    try:
        typer.echo(keys.epochs.retire(arn, left))
    except EpochError as error:
        fail(str(error))


@app.command("tenant-key")
def tenant_key(
    project: Project,
    arn: Annotated[str | None, typer.Argument(help="The ARN of a KMS key in the tenant's account.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Back to the deployment's key.")] = False,
    stack: Stack = None,
) -> None:
    """Have a project's data keys wrapped under a KMS key that the tenant brought (the stack's parameter TenantKeyArns
    names it as well). New subjects are under it at once; 'chatapi vault rewrap' moves the others."""
    if (arn is None) != remove:
        fail("give either an ARN or --remove")
    target = find(stack)
    keys = Keys(target)
    if arn:
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "kms" or parts[3] != target.region or not parts[5].startswith("key/"):
            fail(f"this is not the ARN of a KMS key in {target.region}, the home region")
        try:
            keys.kms.arn(arn)
        except KeyUnavailable:
            fail("the key does not answer, is disabled, or its policy does not let this account use it")
    change = Change(drop=["kms"]) if remove else Change(put={"kms": arn})
    try:
        keys.projects.update(
            project_key(project), None, Change(change.put, drop=change.drop, expect={"kind": "project"})
        )
    except Collision:
        fail("no such project")
    typer.echo("the deployment's key" if remove else "the tenant's key")
