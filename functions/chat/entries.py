"""What policy/models.toml and policy/processors.toml may say of a model, checked before it is offered.

A wrong entry stops the function (and tests/unit/test_policy.py before that): it must not become a false receipt or a
request to somewhere else. Where requests go is written there and pinned; nothing of a request takes part in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from chat.caches import CACHES
from chat.capabilities import KNOWN
from chat.providers.dialects import DIALECTS
from chat.providers.guardrail import Guardrail

BEDROCK = frozenset({"bedrock", "bedrock-openai"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})")
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?|preview|latest")
_SECRET = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ID = re.compile(r"[a-z0-9]{1,64}")
_TOLD = re.compile(r"[ -:<-~]+")
"""What may stand in the header of a receipt: printable ASCII without a semicolon."""


class BadEntry(ValueError):
    """policy/ contradicts itself. The text names the entry, which is the operator's own word."""


def check_model(
    name: str, model: Mapping[str, Any], processor: Mapping[str, Any], known: Mapping[str, Guardrail]
) -> None:
    """BadEntry where an entry of a model cannot be, by itself, with its processor or with the `known` guardrails."""
    kind, url = model["provider"], model.get("base_url")
    dialect = kind in DIALECTS and kind not in BEDROCK
    held = "grammars" in model["capabilities"]
    loose = kind == "llama.cpp" and "tool_choice" in model["capabilities"]
    for wrong, why in (
        (not dialect and kind not in BEDROCK, "an unknown provider"),
        (not set(model["capabilities"]) <= KNOWN, "an unknown capability"),
        ("embeddings" in model["capabilities"] and bool(model.get("fallback")), "vectors cannot have a fallback"),
        (url is not None and not dialect, "a base_url, which its provider does not have"),
        (url is not None and not is_address(url, local=processor["region"] == "local"), "no https address of a server"),
        (url is None and dialect and processor["region"] != "local", "no base_url, and it is not on this machine"),
        (url is None and kind.startswith("azure"), "no base_url"),
        (kind in BEDROCK and processor["region"] != "home", "Bedrock is called in the home region"),
        (kind == "bedrock-openai" and "embeddings" in model["capabilities"], "an endpoint without embeddings"),
        ("guardrail" in model and kind not in BEDROCK, "a guardrail, which Bedrock alone has"),
        ("guardrail" in model and model["guardrail"] not in known, "a guardrail that policy/guardrails.toml lacks"),
        (loose and not model.get("call_begins"), "tool_choice, which its server keeps only behind call_begins"),
        (held and not (kind in DIALECTS and DIALECTS[kind].grammars), "grammars, which its server does not take"),
        *_caching(model),
        ("api_version" in model and not kind.startswith("azure"), "an api_version, which Azure alone has"),
        ("api_version" not in model and kind == "azure-deployment", "no api_version"),
        ("api_version" in model and not _VERSION.fullmatch(model["api_version"]), "an api_version that is none"),
    ):
        if wrong:
            raise BadEntry(f"policy/models.toml, {name}: {why}")


def _caching(model: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """What an entry may say of prompt caches: it has to say something, and nothing that keeps no projects apart."""
    cache, can = model.get("cache"), model["capabilities"]
    dialect = DIALECTS.get(model["provider"])
    if "embeddings" in can:
        yield cache is not None, "a cache, and embeddings have none"
        return
    yield cache not in CACHES, "no cache: off, key or salt"
    yield cache == "key" and not (dialect and dialect.isolates), "a cache key that keeps no projects apart"
    points = model["provider"] == "bedrock" and cache == "salt"
    yield "cache_points" in can and not points, "cache points, which need Bedrock and a salt"
    yield model["price"].get("written", 1e9) < model["price"]["input"], "written tokens cheaper than input"


def guardrails(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Guardrail]:
    """The guardrails of policy/guardrails.toml. BadEntry for one that cannot be."""
    found = {}
    for name, entry in entries.items():
        given = Guardrail(str(entry["id"]), str(entry["version"]), entry.get("mode", "sync"))
        # A draft changes under its name; an id of another region or account would be an ARN.
        fine = _ID.fullmatch(given.id) and given.version.isdecimal() and given.mode in ("sync", "async")
        if not fine or not _SECRET.fullmatch(name):
            raise BadEntry(f"policy/guardrails.toml, {name}: an id, a numbered version, and mode sync or async")
        found[name] = given
    return found


def check_processors(processors: Mapping[str, Mapping[str, Any]], transfers: Mapping[str, Mapping[str, Any]]) -> None:
    """BadEntry where the registers cannot be told in a receipt, or two processors share an API key."""
    secrets = [entry["secret"] for entry in processors.values() if "secret" in entry]
    if len(secrets) != len(set(secrets)) or not all(map(_SECRET.fullmatch, secrets)):
        raise BadEntry("policy/processors.toml: a secret belongs to one processor and has a plain name")
    if not all(_TOLD.fullmatch(entry["region"]) for entry in processors.values()):
        raise BadEntry("policy/processors.toml: a region that no header can tell")
    if any(entry.get("retention_days", 0) < 0 for entry in processors.values()):
        raise BadEntry("policy/processors.toml: retention_days below zero")
    if not all(_TOLD.fullmatch(record["basis"]) for record in transfers.values()):
        raise BadEntry("policy/transfers.toml: a basis that no header can tell")


def is_address(url: str, *, local: bool) -> bool:
    """Whether requests may be sent to this URL: https to a DNS name, or this machine for a `local` processor alone."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = _PATH.fullmatch(parts.path) and url == f"{parts.scheme}://{parts.netloc}{parts.path}"
    if not plain or "@" in parts.netloc or not url.isascii():
        return False
    if host in LOOPBACK:
        return local and parts.scheme in ("http", "https")
    return not local and parts.scheme == "https" and bool(_NAME.fullmatch(host)) and len(host) <= 253
