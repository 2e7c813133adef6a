"""What a request carries besides its type, on the way to its case: personal data goes to the desk and comes back as an
opaque name, a choice is written, and the rest are words of our own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chatapi.aws.errors import AwsError
from chatapi.store.cases import Case
from privacy.changes.client import Desk
from privacy.consents import Choices
from privacy.requests import Wish


class Asking:
    """Prepares cases. `choices` gives what writes a person's choices, made at the first objection."""

    def __init__(self, desk: Desk, choices: Callable[[], Choices]) -> None:
        self._desk = desk
        self._choices = choices

    def prepare(self, project: str, subject: str, wish: Wish) -> tuple[str, dict[str, Any]]:
        """(target, facts) of the case of a wish. The target tells requests of one type apart: the same asked for again
        while it is open is one case, something else is another."""
        if wish.type == "restriction":
            return "on" if wish.restricted else "off", {"restricted": wish.restricted}
        if wish.type == "objection":
            assert wish.purpose is not None
            self._choices().withdraw(project, subject, wish.purpose)
            return wish.purpose, {"purpose": wish.purpose}
        content = wish.content()
        if content is None:
            return "", {}
        name, generation = self._desk.deposit(project, subject, content)
        if name is None:
            return "", {}
        return name, {"deposit": name, "generations": {subject: generation}}

    def forget(self, case: Case) -> None:
        """What was handed in for a case that was taken back. Where the desk does not answer it ends with its term."""
        if name := case.get("deposit"):
            with suppress(AwsError):
                self._desk.discard(case.project, case.subject, name)
