"""Where a person's own copy is put to be read in again (GDPR Art. 20): a place for one object of a stated size."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from chatapi.clock import Clock
from chatapi.ids import ALPHABET, base62, random62
from privacy.requests import MOST_ARCHIVE_BYTES, ImportRequest, Subject

LINK_SECONDS = 600
"""How long an archive may be put. It ends before the late scan of an erasure that began meanwhile (LateWriterSeconds of
the template; a test keeps them apart), so no archive of before comes after it."""
_KEY = re.compile(r"/import-imp_([0-9A-Za-z]{8})[0-9A-Za-z]{16}\.zip\Z")


class Places(Protocol):
    """Places for objects."""

    def place(self, key: str, size: int, seconds: int) -> str:
        """A URL to which `size` bytes of a ZIP may be PUT for `seconds`."""
        ...

    def form(self, key: str, most: int, seconds: int, back: str) -> tuple[str, dict[str, str]]:
        """(URL, fields) of an HTML form that may POST a ZIP of 1 to `most` bytes for `seconds`, and leads `back`."""
        ...


class Form(NamedTuple):
    """An HTML form for an upload: where it posts to, its hidden fields, and when it ends (POSIX seconds)."""

    url: str
    fields: dict[str, str]
    expires: int


def archive_key(project: str, subject: str, name: str) -> str:
    """Where an archive lies: among the person's exports, so an erasure and the bucket's seven days end it."""
    return f"{project}/{subject}/import-{name}.zip"


def begun_at(key: str) -> float | None:
    """When an archive's place was given out, POSIX seconds, from its key; None for other objects."""
    found = _KEY.search(key)
    if found is None:
        return None
    number = 0
    for letter in found[1]:
        number = number * 62 + ALPHABET.index(letter)
    return number / 1000


class Imports:
    """The service behind /v1/privacy/imports. `pseudonym` turns a selector into the id of the data subject."""

    def __init__(self, places: Places, clock: Clock, pseudonym: Callable[[str, Subject], str]) -> None:
        self._places = places
        self._clock = clock
        self._pseudonym = pseudonym

    def form(self, project: str, subject: str, page: str) -> Form:
        """The same for a browser, which comes back to `page`/NAME when the archive was put: it needs no script."""
        now, name = self._named()
        key = archive_key(project, subject, name)
        url, fields = self._places.form(key, MOST_ARCHIVE_BYTES, LINK_SECONDS, f"{page}/{name}")
        return Form(url, fields, int(now) + LINK_SECONDS)

    def _named(self) -> tuple[float, str]:
        now = self._clock.now()
        return now, "imp_" + base62(int(now * 1000), 8) + random62(16)

    def begin(self, project: str, asked: ImportRequest) -> dict[str, Any]:
        """A place for an archive, and the name under which a request of type `import` names it."""
        now, name = self._named()
        key = archive_key(project, self._pseudonym(project, asked.subject), name)
        return {
            "object": "privacy.import",
            "archive": name,
            "url": self._places.place(key, asked.size, LINK_SECONDS),
            "headers": {"content-type": "application/zip"},
            "expires_at": int(now) + LINK_SECONDS,
        }
