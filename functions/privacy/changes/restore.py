"""Re-import (GDPR Art. 20): the person's own copy gives the same history back, under the same ids.

    inspect   at the desk, before there is a case: signed by us, whole, of a known shape, and a copy of this very person
    restore   record by record; what is there already stays as it is, so a run that was cut off is simply repeated

No term begins anew: each record ends when it would have ended, and the key's and project's ceilings only tighten it.
Records of ours about the person (requests, disclosures, consents, holds) are not read in, nor is the owner's address.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from chatapi import retention
from chatapi.archives import DAMAGED, findings, is_small, manifest_of
from chatapi.certificates import Unsigned
from chatapi.errors import BadRequest, ProcessingRestricted
from chatapi.ids import is_completion_id, token_of
from chatapi.store.cases import Case
from chatapi.store.keys import locator_pk
from chatapi.store.records import Stale
from chatapi.store.sealed import Record
from chatapi.vault import SubjectErased, SubjectFrozen, SubjectHandle
from privacy.changes.ports import Ports
from privacy.imports import archive_key
from privacy.requests import MOST_ARCHIVE_BYTES
from privacy.tasks.ports import NotReady, SubjectBusy

MOST_UNPACKED = 256 * 1024 * 1024
_PAGE = 100
"""Lines between two looks at whether processing was restricted."""
_COPIES = ("access", "portability")
Line = dict[str, Any]


class BadArchive(BadRequest):
    """400: the archive is not read in. The code says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code, param="archive")


def inspect(ports: Ports, event: Mapping[str, Any]) -> dict[str, Any]:
    """Look at an archive for a request that is about to be made. BadArchive, ProcessingRestricted."""
    item = ports.wraps.get(event["project"], event["subject"])
    if item is not None and item.restricted is not None:
        raise ProcessingRestricted
    _checked(ports, event["project"], event["subject"], event["archive"])
    return {}


def _checked(ports: Ports, project: str, subject: str, name: str) -> zipfile.ZipFile:
    data = ports.exports.read(archive_key(project, subject, name), MOST_ARCHIVE_BYTES)
    if data is None:
        raise BadArchive("archive_not_found", "There is no such archive: it was not put there, or not for this person.")
    if len(data) > MOST_ARCHIVE_BYTES:
        raise BadArchive("archive_too_large", "The archive has more than 32 MiB.")
    damaged = BadArchive("archive_invalid", "The archive is not a whole export.")
    if not is_small(data):
        raise damaged
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        wrong = findings(archive, {"keys": [ports.signer.jwk()]}, MOST_UNPACKED)
        payload = (manifest_of(archive) or {}).get("payload") if not wrong else None
    except DAMAGED:
        wrong, payload = ["damaged"], None
    if not isinstance(payload, dict):
        forged = any(isinstance(finding, Unsigned) for finding in wrong)
        raise BadArchive("archive_not_signed", "This stack did not sign the archive.") if forged else damaged
    case = ports.cases.find(project, str(payload["request"]))
    if case is None or case.subject != subject or case.type not in _COPIES:
        raise BadArchive("archive_of_another", "The archive is not a copy of this person's data.")
    return archive


def restore(ports: Ports, case: Case) -> dict[str, Any]:
    """Read an archive in; the facts of the case: `{imported, made}`, how many records of it stand now, by kind."""
    try:
        archive = _checked(ports, case.project, case.subject, case.get("archive"))
    except BadArchive:  # gone, with an erasure or its seven days, or another one was put in its place
        return {"imported": {}, "made": 0}
    try:
        handle = ports.vault.writer(case.project, case.subject, key=case.get("tenant_key"))
        done = _Restoring(ports, case, handle).run(archive)
    except DAMAGED:
        raise NotReady from None
    except (SubjectErased, SubjectFrozen):
        raise SubjectBusy from None
    return {"imported": dict(done), "made": sum(done[kind] for kind, _, _ in _FILES)}


class _Restoring:
    """One archive on its way in."""

    def __init__(self, ports: Ports, case: Case, handle: SubjectHandle) -> None:
        self._ports, self._handle, self._now = ports, handle, ports.now()
        self._ceiling = retention.seconds(case.get("ceiling", "none"))
        self._parents: dict[str, Record | None] = {}

    def run(self, archive: zipfile.ZipFile) -> Counter[str]:
        done: Counter[str] = Counter()
        files = [
            (kind, file, take) for kind, file, take in _FILES if file in archive.namelist()
        ]  # older ones lack some
        lines = ((kind, take, line) for kind, file, take in files for line in _lines(archive, file))
        for number, (kind, take, line) in enumerate(lines):
            if number % _PAGE == 0 and self._restricted():
                done["restricted"] += 1 + sum(1 for _ in lines)
                break
            if int(line["expires_at"]) <= self._now:
                done["expired"] += 1
            else:
                done[kind if take(self, line) else "left_out"] += 1
        return done

    def _restricted(self) -> bool:
        """Whether processing was restricted by now (GDPR Art. 18): what is not read in yet is to be asked for again."""
        item = self._ports.wraps.get(self._handle.project, self._handle.subject)
        return item is not None and item.restricted is not None

    def _until(self, line: Line, created: float) -> int:
        """When a line's record ends: as it would have, or earlier where the ceiling is tighter."""
        ends = int(line["expires_at"])
        return ends if self._ceiling is None else min(ends, int(created) + self._ceiling)

    def completion(self, line: Line) -> bool:
        completion = line["completion"]
        name, created = completion["id"], completion["created"]
        if not is_completion_id(name):
            return False
        if self._stands(name):
            return True
        until = self._until(line, created)
        if until <= self._now:
            return False
        body = json.dumps(
            {"messages": line["messages"], "completion": completion}, separators=(",", ":"), ensure_ascii=False
        ).encode()
        metadata = completion.get("metadata") or {}
        self._ports.completions.save(
            self._handle,
            name,
            body,
            created=created,
            ceiling_seconds=until - int(created),
            model=completion["model"],
            tags=self._ports.tags(self._handle.project, metadata),
        )
        return True

    def conversation(self, line: Line) -> bool:
        # Who else was in it is not this person's to bring back.
        data = {**line["data"], "people": [(self._handle.subject, self._handle.generation)]}
        return self._located("conversation", "conv_", line, data, data["created"])

    def response(self, line: Line) -> bool:
        return self._located("response", "resp_", line, line["data"], line["data"]["response"]["created_at"])

    def item(self, line: Line) -> bool:
        parent = self._parent(line["parent"])
        if parent is None:
            return False
        return self._put("item", line, line["data"], parent=parent.id, until=min(line["expires_at"], parent.expires))

    def statement(self, line: Line) -> bool:
        locator = self._ports.records.get(locator_pk(self._handle.project), line["parent"])
        if locator is None or locator["subject"] != self._handle.subject:
            return False
        until = min(line["expires_at"], locator["ttl"])
        return self._put("statement", line, line["data"], parent=line["parent"], until=until)

    def _parent(self, conversation: str) -> Record | None:
        if conversation not in self._parents:
            if len(self._parents) > 1000:
                self._parents.clear()  # items come conversation by conversation
            found = list(self._ports.kept.get_many(self._handle, "conversation", [conversation]))
            self._parents[conversation] = found[0] if found else None
        return self._parents[conversation]

    def _located(self, kind: str, prefix: str, line: Line, data: Any, created: float) -> bool:
        if token_of(prefix, line["id"]) is None:
            return False
        until = self._until(line, created)
        return self._stands(line["id"]) or (until > self._now and self._put(kind, line, data, until=until))

    def _put(self, kind: str, line: Line, data: Any, *, until: int, parent: str = "") -> bool:
        body = json.dumps(data, separators=(",", ":")).encode()
        with suppress(Stale):  # it is there
            self._ports.kept.put(self._handle, kind, [(line["id"], body)], parent=parent, until=until, absent=True)
        return True

    def _stands(self, name: str) -> bool:
        """Whether something has this id already, whosever it is: it stays."""
        return self._ports.records.get(locator_pk(self._handle.project), name) is not None


_FILES: tuple[tuple[str, str, Callable[[_Restoring, Line], bool]], ...] = (
    ("completion", "chats.jsonl", _Restoring.completion),
    ("conversation", "conversations.jsonl", _Restoring.conversation),
    ("item", "conversation-items.jsonl", _Restoring.item),
    ("response", "responses.jsonl", _Restoring.response),
    ("statement", "statements.jsonl", _Restoring.statement),
)
"""Parents before what lies below them."""


def _lines(archive: zipfile.ZipFile, name: str) -> Iterator[Line]:
    with archive.open(name) as file:
        for line in file:
            yield json.loads(line)


def forget(ports: Ports, case: Case) -> None:
    """The archive has been read in: it goes."""
    ports.exports.delete([archive_key(case.project, case.subject, case.get("archive"))])
