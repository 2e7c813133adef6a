"""What ends a start of the local stack: one line for the user and an exit code."""

from __future__ import annotations


class LocalError(Exception):
    """The stack cannot start or go on. `str()` is the one line to show; `exit_code` is the command's."""

    exit_code = 1


class Refused(LocalError):
    """The machine's state forbids the start: a port is taken, or a stack already runs from this directory."""

    exit_code = 3
