"""Authorised agents of the Data Rights Protocol: companies that an operator registered, their keys and their tokens.

A token is `AGENT.random`, so the agent is found by one read; only a hash of it is kept. A new one ends the one before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from chatapi.errors import NotFound
from chatapi.ids import random62
from chatapi.store.items import Change, Collision, Table
from chatapi.store.keys import asked_pk

_PK = "a#agents"
_HOUR = 3600
_ID = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_TOKEN = re.compile(r"([A-Z][A-Z0-9_]{0,63})\.[0-9A-Za-z]{43}")


class BadAgent(ValueError):
    """The text says what is wrong, and repeats nothing."""


@dataclass(frozen=True)
class Agent:
    """One agent: its Ed25519 public key (32 bytes), and when it last set up a token, POSIX seconds by its own clock."""

    id: str
    name: str
    key: bytes
    created: int
    issued: int
    token: str = ""


def is_agent_id(text: str) -> bool:
    """Whether an agent may be called so (Data Rights Protocol, section 3.05.1: upper case and underscores)."""
    return bool(_ID.fullmatch(text))


class Agents:
    """The register in the Requests table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, agent: str, name: str, key: str, now: float) -> Agent:
        """Register an agent, or give it another key, which ends its token. BadAgent where it cannot be one."""
        if not is_agent_id(agent):
            raise BadAgent("an agent's id is upper case letters, digits and underscores, a letter first")
        if not (1 <= len(name) <= 128 and name.isprintable()):
            raise BadAgent("an agent's name is 1 to 128 printable characters")
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            raise BadAgent("a verify key is the base64 of 32 bytes")
        item = {"pk": _PK, "sk": agent, "kind": "agent", "name": name, "key": raw, "created": int(now), "issued": 0}
        self._table.put({**item, "token": ""})
        return Agent(agent, name, raw, int(now), 0)

    def remove(self, agent: str) -> None:
        """End an agent: its key and its token open nothing any more."""
        self._table.delete_all([(_PK, agent)])

    def list(self) -> list[Agent]:
        """All of them; a few."""
        return [self._agent(item["sk"], item) for item in self._table.query(_PK)]

    def get(self, agent: str) -> Agent | None:
        """An agent, or None."""
        item = self._table.get(_PK, agent) if is_agent_id(agent) else None
        return self._agent(agent, item) if item else None

    def by_token(self, token: str) -> Agent | None:
        """The agent whose present token this is, or None."""
        named = _TOKEN.fullmatch(token)
        agent = self.get(named[1]) if named else None
        return agent if agent and hmac.compare_digest(agent.token, _hash(token)) else None

    def count(self, agent: Agent, now: float) -> int:
        """Count one more call of an agent; how many this hour. One update: of many at once none goes uncounted."""
        hour = int(now) - int(now) % _HOUR
        change = Change(put={"kind": "asking", "ttl": hour + 2 * _HOUR}, add={"n": 1})
        return int(self._table.update(asked_pk("agent." + agent.id), str(hour), change)["n"])

    def issue(self, agent: Agent, issued: int) -> str:
        """A new token. `issued` is the time in the agent's signed message, which must be later than the last one's:
        NotFound otherwise, so that a message that was overheard sets up nothing."""
        token = f"{agent.id}.{random62(43)}"
        change = Change(put={"token": _hash(token), "issued": issued}, expect={"kind": "agent", "issued": agent.issued})
        if issued <= agent.issued:
            raise NotFound
        try:
            self._table.update(_PK, agent.id, change)
        except Collision:
            raise NotFound from None
        return token

    @staticmethod
    def _agent(name: str, item: dict[str, object]) -> Agent:
        return Agent(
            name,
            str(item["name"]),
            bytes(item["key"]),  # type: ignore[call-overload]
            int(str(item["created"])),
            int(str(item["issued"])),
            str(item["token"]),
        )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
