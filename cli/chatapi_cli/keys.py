"""`chatapi keys create | list | revoke | rotate`. A key is printed once, when it is made; only its hash is stored."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from chatapi.grants import Grant
from chatapi.keys import SCOPES
from chatapi.store.key_fields import DAY, demanded
from chatapi.store.projects import MAX_OVERLAP
from chatapi_cli.say import AsJson, Project, Redact, Stack, micro_usd, say
from chatapi_cli.target import find

keys_app = typer.Typer(no_args_is_help=True, help="API keys of a project.")


@keys_app.command("create")
def create(
    project: Project,
    scope: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(SCOPES)}; repeatable.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    model: Annotated[list[str] | None, typer.Option(help="A model that it may use; repeatable. Default: all.")] = None,
    cidr: Annotated[
        list[str] | None, typer.Option(help="Addresses that it may be used from; repeatable. Default: any.")
    ] = None,
    retention: Annotated[str | None, typer.Option(help="A ceiling below the project's: none, or history:DAYS.")] = None,
    redact: Redact = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute with this key.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens a minute with this key.")] = None,
    spend: Annotated[float | None, typer.Option(min=0.000001, help="USD a month with this key.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Add a key; the counters are shared with the other keys of the project."""
    grant = Grant(
        scopes=tuple(scope or SCOPES[:3]),
        expires=int(time.time()) + days * DAY if days else None,
        models=tuple(model) if model else None,
        retention=retention,
        cidrs=tuple(cidr) if cidr else None,
        rpm=rpm,
        tpm=tpm,
        spend=None if spend is None else micro_usd(spend),
        redact=None if redact is None else demanded(redact),
    )
    key, _ = find(stack).projects().add_key(project, grant, name)
    say({"project_id": project, "api_key": key}, as_json)


@keys_app.command("list")
def list_(project: Project, stack: Stack = None, as_json: AsJson = False) -> None:
    """List the keys of a project, never their secrets."""
    keys = find(stack).projects().keys(project)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "kid": key.kid,
                        "created": key.created,
                        "name": key.name,
                        "last_used_on": key.last_used,
                        "revoked": key.revoked,
                        "revoked_reason": key.reason,
                        **vars(key.grant),
                    }
                    for key in keys
                ]
            )
        )
        return
    for key in keys:
        grant = key.grant
        expires = time.strftime("%Y-%m-%d", time.gmtime(grant.expires)) if grant.expires else "never"
        created = time.strftime("%Y-%m-%d", time.gmtime(key.created))
        line = f"{key.kid}  created {created}  last used {key.last_used or 'never'}  expires {expires}"
        line += f"  scopes {' '.join(grant.scopes)}"
        for what, entries in (("models", grant.models), ("from", grant.cidrs)):
            line += f"  {what} {' '.join(entries)}" if entries else ""
        line += f"  retention {grant.retention}" if grant.retention else ""
        line += f"  redact {grant.redact}" if grant.redact else ""
        if key.revoked:
            line += f"  REVOKED {time.strftime('%Y-%m-%d', time.gmtime(key.revoked))}: {key.reason}"
        for what, limit in (("requests/min", grant.rpm), ("tokens/min", grant.tpm), ("micro-USD/month", grant.spend)):
            line += f"  {what} {limit}" if limit else ""
        typer.echo(line + (f"  {key.name}" if key.name else ""))


@keys_app.command("revoke")
def revoke(
    project: Project, kid: Annotated[str, typer.Argument(help="The key's id, see 'keys list'.")], stack: Stack = None
) -> None:
    """End a key; its next request is refused."""
    find(stack).projects().revoke(project, kid)
    typer.echo(f"revoked {kid}")


@keys_app.command("rotate")
def rotate(
    project: Project,
    kid: Annotated[str, typer.Argument(help="The key to replace.")],
    overlap: Annotated[int, typer.Option(min=0, max=MAX_OVERLAP, help="Seconds that the old key still works.")] = DAY,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key by one with the same fields. Both work until the overlap has passed, then the new one alone."""
    key, _ = find(stack).projects().rotate(project, kid, overlap)
    say({"project_id": project, "api_key": key}, as_json)
