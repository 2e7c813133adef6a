"""Where the owner of a project can be reached: one mail address, encrypted under the owner's own data key.

It is asked for by the project alone, and erased with the owner. No index by address is kept: nobody can ask which
projects an address has.
"""

from __future__ import annotations

from collections.abc import Callable

from chatapi.errors import NotFound, SubjectErased
from chatapi.mail import is_address
from chatapi.store.records import Records
from chatapi.vault import project_pepper, subject_id

_KIND = _ID = "contact"


class NoAddress(ValueError):
    """The text is no mail address. It does not repeat it."""

    def __init__(self) -> None:
        super().__init__("a contact is one mail address, like owner@example.com")


class Contacts:
    """The repository. `pepper` gives the secret of the data subjects' pseudonyms, read at the first write."""

    def __init__(self, records: Records, pepper: Callable[[], bytes]) -> None:
        self._records = records
        self._pepper = pepper

    def get(self, project: str) -> str | None:
        """The address, or None where there is none, or it was erased."""
        try:
            _, record = self._records.find(project, _KIND, _ID)
        except (NotFound, SubjectErased):
            return None
        return record.body.decode()

    def set(self, project: str, address: str) -> None:
        """Write or replace it. NoAddress where it is none; SubjectFrozen while the owner is being erased."""
        if not is_address(address):
            raise NoAddress
        handle = self._records.writer(project, self.owner(project))
        try:
            record = self._records.get(handle, _KIND, _ID)
        except NotFound:
            self._records.put(handle, _KIND, [(_ID, address.encode())], absent=True)
        else:
            self._records.update(handle, record, address.encode())

    def owner(self, project: str) -> str:
        """The data subject's id of the project's owner."""
        return subject_id(project_pepper(self._pepper(), project), "owner", project)
