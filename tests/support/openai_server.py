"""The OpenAI-compatible adapter at an address, as the composition root wires it."""

from __future__ import annotations

from chat.providers.dialects import DIALECTS
from chat.providers.openai_http import OpenAIProvider
from chat.providers.server import ApiKey, HttpServer


def at(
    url: str, dialect: str = "llama.cpp", key: ApiKey | None = None, *, query: str = "", read_timeout: float = 60.0
) -> OpenAIProvider:
    """A provider whose server is at `url`."""
    kind = DIALECTS[dialect]
    server = HttpServer(url, key, header=kind.header, scheme=kind.scheme, query=query, read_timeout=read_timeout)
    return OpenAIProvider(server, kind, read_timeout=read_timeout)


def fixed(key: str) -> ApiKey:
    """An API key that stays the same."""
    return ApiKey(lambda _: key.encode())
