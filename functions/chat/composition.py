"""The composition root of the chat function: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from chat.accounting import Account
from chat.entries import BEDROCK, LOOPBACK
from chat.idempotent import IdempotentChat
from chat.models import Model, Registry
from chat.providers.base import Provider
from chat.providers.dialects import DIALECTS
from chat.replays import Replays
from chat.service import Chat
from chat.stored import StoredChats
from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.secrets import Secrets
from chatapi.store.completions import Completions
from chatapi.store.days import Days
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.store.tags import tags_of
from chatapi.vault import project_pepper, subject_id
from chatapi.vault.subjects import Kind
from chatapi.verdict import Verdict
from chatapi.wiring import store_of, vault_when_needed

if TYPE_CHECKING:
    from chat.purposes import OptionalPurposes
    from chat.responses.routes import Surface


class Services(NamedTuple):
    """What the handler calls."""

    registry: Registry
    chat: Chat
    stored: StoredChats
    account: Callable[[Verdict], Account]
    idempotent: IdempotentChat
    surface: Callable[[], Surface]
    """Responses and conversations: their models are built when they are first asked for."""


def compose() -> Services:
    """Wire everything from the environment. Called at the first request, so that init leaves no secret in memory."""
    import os

    here, clock = region(), SystemClock()
    dynamodb, once = AwsClient("dynamodb", region=here), AwsClient("dynamodb", region=here, once=True)
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    vault = vault_when_needed(dynamodb, AwsClient("kms", region=here), clock)
    records = store_of(dynamodb, "records", clock)
    requests = store_of(dynamodb, "requests", clock)
    marks = Marks(requests, clock)
    completions = Completions(records, vault, marks, clock)
    model_url = os.environ.get("MODEL_URL", "")
    registry = Registry(setting("STAGE"), openai=_on_this_machine(model_url), region=here)
    projects, allowances = setting("PROJECTS_TABLE"), setting("RECORDS_TABLE")

    @lru_cache(maxsize=256)
    def pepper_of(project: str) -> bytes:
        return project_pepper(secrets.get(setting("SUBJECT_PEPPER_SECRET")), project)

    @lru_cache(maxsize=256)
    def owner_of(project: str) -> str:
        return subject_id(pepper_of(project), "owner", project)

    def subject_of(project: str, kind: Kind, value: str) -> str:
        if kind == "owner" and value == project:
            return owner_of(project)
        return subject_id(pepper_of(project), kind if kind in ("owner", "cache", "thoughts") else "user", value)

    def tags(project: str, metadata: Mapping[str, str]) -> frozenset[bytes]:
        if not metadata:
            return frozenset()
        return tags_of(pepper_of(project), metadata)

    @cache
    def purposes() -> OptionalPurposes:
        from chat.purposes import OptionalPurposes
        from chat.samples import Samples, redacted
        from chatapi.store.consents import Consents
        from chatapi.store.patterns import Patterns

        patterns = Patterns(store_of(dynamodb, "patterns", clock), clock)
        samples = Samples(Records(records, vault, marks, clock), redacted)
        return OptionalPurposes(Consents(requests), patterns, samples, clock)

    chat = Chat(
        registry=registry,
        providers=_providers(model_url, here, secrets),
        completions=completions,
        days=Days(records, clock),
        subject_of=subject_of,
        tags=tags,
        clock=clock,
        purposes=purposes,
    )

    @cache
    def surface() -> Surface:
        from chat.responses.routes import Surface

        return Surface.over(chat, Records(records, vault, marks, clock), vault, replays, clock)

    replays = Replays(records, pepper_of, clock)

    return Services(
        registry,
        chat,
        StoredChats(completions, tags),
        lambda verdict: Account(dynamodb, projects, verdict, once, allowances),
        IdempotentChat(chat, replays, completions),
        surface,
    )


def _on_this_machine(url: str) -> bool:
    """The register says of the models without a `base_url` that nobody else processes them (policy/processors.toml): at
    another host they are not offered, since receipts and disclosures would be false."""
    return urlsplit(url).hostname in LOOPBACK


def _providers(model_url: str, here: str, secrets: Secrets) -> Callable[[Model], Provider]:
    """Each provider is made once, when a model first needs it, and each API key once for its processor."""
    from chat.providers.server import ApiKey, HttpServer

    made: dict[tuple[str | None, ...], Provider] = {}
    keys: dict[str, ApiKey] = {}

    def key_of(secret: str) -> ApiKey:
        name = setting("PROVIDER_SECRETS") + secret
        return keys.setdefault(secret, ApiKey(lambda fresh: secrets.get(name, fresh=fresh)))

    def make(model: Model) -> Provider:
        if model.provider in BEDROCK:
            client = AwsClient("bedrock-runtime", region=here, timeout=60.0, attempts=2)
        if model.provider == "bedrock":
            from chat.providers.bedrock import BedrockProvider

            return BedrockProvider(client)
        from chat.providers.openai_http import OpenAIProvider

        dialect = DIALECTS[model.provider]
        if model.provider == "bedrock-openai":
            from chat.providers.bedrock_openai import BedrockServer

            return OpenAIProvider(BedrockServer(client), dialect)
        server = HttpServer(
            model.base_url or model_url,
            key_of(model.secret) if model.secret else None,
            header=dialect.header,
            scheme=dialect.scheme,
            query=f"api-version={model.api_version}" if model.api_version else "",
        )
        return OpenAIProvider(server, dialect)

    def of(model: Model) -> Provider:
        place = (model.provider, model.base_url, model.api_version, model.secret)
        if place not in made:
            made[place] = make(model)
        return made[place]

    return of
