"""What changes are made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chatapi.mail import Mail
from chatapi.store.completions import Completions
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.vault import State, SubjectHandle
from privacy.tasks.ports import Objects, Work
from privacy.webhooks import Teller

Tags = Callable[[str, Mapping[str, str]], frozenset[bytes]]
"""(project, metadata) → the digests by which a list finds a completion."""


@dataclass(frozen=True)
class Ports(Work):
    """One per function."""

    marks: Marks
    exports: Objects
    tags: Tags
    teller: Teller | None = None
    mail: Mail | None = None

    @property
    def kept(self) -> Records:
        """The sealed records."""
        return Records(self.records, self.vault, self.marks, self.clock)

    @property
    def completions(self) -> Completions:
        """The stored completions."""
        return Completions(self.records, self.vault, self.marks, self.clock)

    def handle(self, project: str, subject: str) -> SubjectHandle | None:
        """To read and write with in the generation that is alive; None where there is none."""
        item = self.wraps.get(project, subject)
        if item is None or item.state is State.ERASED:
            return None
        return self.vault.reader(project, subject, item.generation)
