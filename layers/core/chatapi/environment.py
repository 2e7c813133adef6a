"""Settings come from the environment, named once per function; a missing one stops it at its first request."""

from __future__ import annotations

import os
from collections.abc import Mapping


class MissingSetting(RuntimeError):
    """A variable that the template sets is not there. Names the variable, never a value."""


def setting(name: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of a required variable."""
    value = (os.environ if environ is None else environ).get(name)
    if not value:
        raise MissingSetting("missing environment variable: " + name)
    return value


def region() -> str:
    """The region of this function."""
    return os.environ.get("AWS_REGION") or setting("AWS_DEFAULT_REGION")
