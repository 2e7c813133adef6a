"""The arguments of calls that were made before, for upstreams that read them."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from chat.providers.base import ProviderRejected, Rejection


def read_arguments(text: str) -> dict[str, Any]:
    """The object that they are; empty ones are those of a call without any. ProviderRejected (call_arguments) for all
    else, such as those of a call that was cut off. How deep they nest is bounded, as it is not by `json`."""
    if not text.strip():
        return {}
    try:
        arguments = from_json(text)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):  # outside the handler: the cause quotes content
        raise ProviderRejected(Rejection.CALL_ARGUMENTS, "messages")
    return arguments
