"""`chatapi providers list|key`: who may receive messages, and the API keys under which they are asked."""

from __future__ import annotations

import datetime
import json
import sys
import uuid
from typing import Annotated, Any

import typer

from chatapi.aws.errors import AwsError
from chatapi.catalogue import read_policy
from chatapi_cli.say import AsJson, Stack, fail, say_all
from chatapi_cli.target import Target, find

providers_app = typer.Typer(no_args_is_help=True, help="Providers of models: the register and their API keys.")
LONGEST = 4096


@providers_app.command("list")
def list_(stack: Stack = None, as_json: AsJson = False) -> None:
    """Each processor: its models, its agreement and its API key, which is never shown."""
    target, today = find(stack), datetime.datetime.now(datetime.UTC).date()
    models = read_policy("models")["models"]
    found = [
        {
            "processor": name,
            "models": sorted(model for model, told in models.items() if told["processor"] == name),
            "region": entry["region"],
            "agreement": "in force" if _in_force(entry["agreement"], today) else "not in force",
            "expires": entry["agreement"]["expires"].isoformat(),
            "key": _state(target, entry.get("secret")),
        }
        for name, entry in read_policy("processors")["processors"].items()
    ]

    def line(each: dict[str, Any]) -> str:
        return "  ".join(f"{key}={_plain(value)}" for key, value in each.items())

    say_all(found, line, "providers", as_json)


@providers_app.command("key")
def key(processor: Annotated[str, typer.Argument(help="A processor of the register.")], stack: Stack = None) -> None:
    """Set or replace the API key of a provider, from standard input. Functions that know the old one read it again when
    the provider refuses that."""
    entry = read_policy("processors")["processors"].get(processor)
    if entry is None or "secret" not in entry:
        fail("policy/processors.toml names no secret for this processor.")
    value = typer.prompt("API key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(LONGEST + 2)
    value = value.strip()
    if not value or len(value) > LONGEST or not value.isascii() or not value.isprintable() or " " in value:
        fail("That is no API key: one line of printable ASCII without spaces.")
    target = find(stack)
    client, name = target.client("secretsmanager"), target.output("ProviderSecrets") + entry["secret"]
    if _state(target, entry["secret"]) == "set":
        client.call("PutSecretValue", {"SecretId": name, "SecretString": value, "ClientRequestToken": _token()})
    else:
        request = {"Name": name, "SecretString": value, "KmsKeyId": target.output("StoreKey")}
        client.call("CreateSecret", {**request, "ClientRequestToken": _token()})
    typer.echo(json.dumps({"processor": processor, "secret": name}))


def _in_force(agreement: dict[str, Any], today: datetime.date) -> bool:
    return bool(agreement["signed"] <= today < agreement["expires"])


def _state(target: Target, secret: str | None) -> str:
    if secret is None:
        return "none needed"
    try:
        name = target.output("ProviderSecrets") + secret
        target.client("secretsmanager").call("DescribeSecret", {"SecretId": name})
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return "missing"
    return "set"


def _token() -> str:
    return str(uuid.uuid4())  # the API demands one; its SDKs make it


def _plain(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
