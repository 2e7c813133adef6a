"""`chatapi agents add|list|remove`: the authorised agents of the Data Rights Protocol that this stack listens to."""

from __future__ import annotations

import base64
import json
import time
from typing import Annotated

import typer

from chatapi.store.agents import Agents, BadAgent
from chatapi_cli.say import Stack, fail
from chatapi_cli.target import find

agents_app = typer.Typer(no_args_is_help=True, help="Authorised agents (Data Rights Protocol).")
Agent = Annotated[str, typer.Argument(help="The agent's id in the network, e.g. EXAMPLE_AGENT.")]


@agents_app.command("add")
def add(
    agent: Agent,
    name: Annotated[str, typer.Option(help="A name for people.")],
    verify_key: Annotated[str, typer.Option(help="Its Ed25519 public key, base64, as the network's directory has it.")],
    stack: Stack = None,
) -> None:
    """Register an agent, or replace its key, which ends its token."""
    try:
        made = Agents(find(stack).requests()).add(agent, name, verify_key, time.time())
    except BadAgent as error:
        fail(str(error))
    typer.echo(json.dumps({"agent": made.id, "name": made.name}))


@agents_app.command("list")
def list_(stack: Stack = None) -> None:
    """The registered agents, one JSON object a line."""
    for one in Agents(find(stack).requests()).list():
        key = base64.b64encode(one.key).decode()
        typer.echo(json.dumps({"agent": one.id, "name": one.name, "verify_key": key, "has_token": bool(one.token)}))


@agents_app.command("remove")
def remove(agent: Agent, stack: Stack = None) -> None:
    """End an agent: its key and its token open nothing any more."""
    Agents(find(stack).requests()).remove(agent)
    typer.echo(json.dumps({"removed": agent}))
