"""Where a person's own copy is put to be read in again (GDPR Art. 20): a place for one object of a stated size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from chatapi.clock import Clock
from chatapi.ids import random62
from privacy.requests import ImportRequest, Subject

LINK_SECONDS = 900


class Places(Protocol):
    """Places for objects."""

    def place(self, key: str, size: int, seconds: int) -> str:
        """A URL to which `size` bytes of a ZIP may be PUT for `seconds`."""
        ...


def archive_key(project: str, subject: str, name: str) -> str:
    """Where an archive lies: among the person's exports, so an erasure and the bucket's seven days end it."""
    return f"{project}/{subject}/import-{name}.zip"


class Imports:
    """The service behind /v1/privacy/imports. `pseudonym` turns a selector into the id of the data subject."""

    def __init__(self, places: Places, clock: Clock, pseudonym: Callable[[str, Subject], str]) -> None:
        self._places = places
        self._clock = clock
        self._pseudonym = pseudonym

    def begin(self, project: str, asked: ImportRequest) -> dict[str, Any]:
        """A place for an archive, and the name under which a request of type `import` names it."""
        name = "imp_" + random62(24)
        key = archive_key(project, self._pseudonym(project, asked.subject), name)
        return {
            "object": "privacy.import",
            "archive": name,
            "url": self._places.place(key, asked.size, LINK_SECONDS),
            "headers": {"content-type": "application/zip"},
            "expires_at": int(self._clock.now()) + LINK_SECONDS,
        }
