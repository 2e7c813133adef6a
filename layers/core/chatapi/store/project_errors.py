"""Why an operator or a key of the project cannot have what was asked of it. Fixed texts: no user's content."""

from __future__ import annotations


class ProjectError(Exception):
    """What was asked for is not possible. The text says why; no user's content reaches it."""


class UnknownKey(ProjectError):
    """The project has no such key, or it has expired."""

    def __init__(self) -> None:
        super().__init__("no such key")


class TooManyKeys(ProjectError):
    """There are eight live keys already."""

    def __init__(self) -> None:
        super().__init__("a project has at most 8 live keys; revoke one first")


class MakerGone(ProjectError):
    """The key that asks has expired or was revoked in the meantime."""

    def __init__(self) -> None:
        super().__init__("the key that asks is gone")


class TooWide(ProjectError):
    """The new key would open more than the one that makes it, by this field."""

    def __init__(self, field: str) -> None:
        super().__init__("a key cannot grant more than the key that makes it: " + field)
        self.field = field


class KeysChanged(ProjectError):
    """Somebody else changed the project's keys at the same time; nothing was done. Safe to try again."""

    def __init__(self) -> None:
        super().__init__("the keys were changed by somebody else at the same time; try again")
