"""Providers' prompt caches: no project shares one with another, by the `cache` of a model in policy/models.toml.

    off    the provider caches nothing of ours, or is told not to
    key    its cache takes a key that it mixes into every lookup: a pseudonym of project and `prompt_cache_key`
    salt   its cache finds prompts by how they begin: so each begins with a line that no other project has

A shared cache tells one project, by the time that an answer takes, what another one has asked. A key which merely
routes (OpenAI's `prompt_cache_key`) keeps no projects apart by itself: there it goes along, and the salt separates.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Cache: TypeAlias = Literal["off", "key", "salt"]
CACHES = frozenset({"off", "key", "salt"})


def salted(messages: tuple[dict[str, Any], ...], cache_key: str) -> tuple[dict[str, Any], ...]:
    """`messages` behind a line made of `cache_key` (a pseudonym): 80 bits of it, about ten tokens.

    It becomes the beginning of the instructions that stand first, since many models take those in one message alone,
    and instructions of its own where there are none.
    """
    line = f"[{cache_key[-16:]}]"
    first = messages[0]
    if first["role"] not in ("system", "developer"):
        return ({"role": "system", "content": line}, *messages)
    content = first.get("content")
    whole: Any = f"{line}\n{content or ''}"
    if isinstance(content, list):
        whole = [{"type": "text", "text": line}, *content]
    return ({**first, "content": whole}, *messages[1:])
