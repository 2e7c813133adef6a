"""The other names of a data subject: `user` and `safety_identifier` of one request may differ (docs/erasure.md)."""

from __future__ import annotations

from chatapi.store.items import Table
from chatapi.store.keys import ALIAS, UNDATED, subject_pk


def aliases(records: Table, project: str, subject: str) -> frozenset[str]:
    """The other pseudonyms of a subject; one query of the catalogued Records. They are written both ways, and followed
    one step."""
    rows = records.query(subject_pk(project, subject, UNDATED), ALIAS)
    return frozenset(row["sk"].removeprefix(ALIAS) for row in rows) - {subject}
