"""Self-service of a project's keys without HTTP: list, create, read, rotate, revoke.

A key with the scope `keys` manages those of its own project. It hands out nothing that it does not have: what it makes
or rotates opens no more than it does itself. Revoking is open to it for every key, its own included.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from account.requests import KeyCreate, show
from account.usage import Usage
from chatapi.clock import Clock
from chatapi.errors import BadRequest, Conflict, Forbidden, InvalidApiKey, NotFound, Unavailable
from chatapi.store.project_errors import KeysChanged, MakerGone, TooManyKeys, TooWide, UnknownKey
from chatapi.store.projects import Projects


@dataclass(frozen=True)
class Services:
    """What the handler calls."""

    keys: Keys
    usage: Usage


class Keys:
    """The service. In every method `project` and `caller` (the id of the calling key) come from the verdict."""

    def __init__(self, projects: Projects, clock: Clock) -> None:
        self._projects = projects
        self._clock = clock

    def list(self, project: str) -> list[dict[str, Any]]:
        """The project's keys, oldest first; at most a few, so there are no pages."""
        return [show(project, key) for key in self._projects.keys(project)]

    def get(self, project: str, kid: str) -> dict[str, Any]:
        """One key, or NotFound."""
        for key in self._projects.keys(project):
            if key.kid == kid:
                return show(project, key)
        raise NotFound

    def create(self, project: str, caller: str, request: KeyCreate) -> dict[str, Any]:
        """A new key, its secret shown this once. Forbidden where it would open more than the calling key."""
        if request.expires_at is not None and request.expires_at <= self._clock.now():
            raise BadRequest("The key would have expired already.", code="invalid_value", param="expires_at")
        with _refusals():
            key, info = self._projects.add_key(project, request.grant(), request.name, maker=caller)
        return {**show(project, info), "key": key}

    def rotate(self, project: str, caller: str, kid: str, overlap: int) -> dict[str, Any]:
        """A new key like `kid`, which ends after `overlap` seconds. The secret is shown this once."""
        with _refusals():
            key, info = self._projects.rotate(project, kid, overlap, maker=caller)
        return {**show(project, info), "key": key}

    def revoke(self, project: str, kid: str) -> dict[str, Any]:
        """End a key, the caller's own too. Its next request is refused."""
        with _refusals():
            self._projects.revoke(project, kid)
        return {"id": kid, "object": "api_key.deleted", "deleted": True}


@contextmanager
def _refusals() -> Iterator[None]:
    """What Projects refuses, as the caller reads it."""
    try:
        yield
    except UnknownKey:
        raise NotFound from None
    except TooManyKeys:
        raise Conflict("A project has at most 8 live keys. Revoke one first.", code="too_many_keys") from None
    except TooWide as error:
        raise Forbidden(
            "A key cannot grant more than the key that makes it.", code="exceeds_own_key", param=error.field
        ) from None
    except MakerGone:
        raise InvalidApiKey from None
    except KeysChanged:
        raise Unavailable("The project's keys were changed at the same time; nothing was done. Try again.") from None
