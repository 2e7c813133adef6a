"""What a request carries besides its type, on the way to its case: personal data goes to the desk and comes back as an
opaque name, a choice is written, and the rest are words of our own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from chatapi import retention
from chatapi.aws.errors import AwsError
from chatapi.errors import RetentionNotPermitted
from chatapi.store.cases import Case
from privacy.changes.client import Desk
from privacy.consents import Choices
from privacy.requests import Wish


class Terms(NamedTuple):
    """On which terms the project stores: the tighter ceiling of project and key, and the KMS key that it brought."""

    ceiling: str = "none"
    key: str | None = None


NOTHING_KEPT = Terms()


class Asking:
    """Prepares cases. `choices` gives what writes a person's choices, made at the first objection."""

    def __init__(self, desk: Desk, choices: Callable[[], Choices]) -> None:
        self._desk = desk
        self._choices = choices

    def prepare(
        self, project: str, subject: str, wish: Wish, terms: Terms = NOTHING_KEPT
    ) -> tuple[str, dict[str, Any]]:
        """(target, facts) of the case of a wish. The target tells requests of one type apart: the same asked for again
        while it is open is one case, something else is another."""
        if wish.type == "restriction":
            return "on" if wish.restricted else "off", {"restricted": wish.restricted}
        if wish.type == "objection":
            assert wish.purpose is not None
            self._choices().withdraw(project, subject, wish.purpose)
            return wish.purpose, {"purpose": wish.purpose}
        if wish.archive is not None:
            if retention.seconds(terms.ceiling) == 0:
                raise RetentionNotPermitted("archive")
            self._desk.inspect(project, subject, wish.archive)
            mine = {"tenant_key": terms.key} if terms.key else {}
            return wish.archive, {"archive": wish.archive, "ceiling": terms.ceiling, **mine}
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
