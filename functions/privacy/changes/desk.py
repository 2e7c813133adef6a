"""The desk: what the API hands in and is told at once. It is called by the API's function alone, and waited for.

What a person wants written is personal data. So it is sealed here under the person's own key, in a row that ends with
the request; the request's own row and the execution have its opaque name. The function that strangers reach has no key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from chatapi.ids import base62
from chatapi.store.records import Stale
from privacy.changes.ports import Ports
from privacy.changes.restore import inspect

CHANGE = "change"


def deposit(ports: Ports, event: Mapping[str, Any]) -> dict[str, Any]:
    """Keep `content` for the request that is about to be made: `{deposit, generation}`.

    The same content again has the same name while the key lives. `deposit` is None where nothing is stored of the
    subject: then there is nothing to change, and nothing is kept. SubjectFrozen during an erasure.
    """
    handle = ports.handle(event["project"], event["subject"])
    if handle is None:
        return {"deposit": None, "generation": 0}
    body = json.dumps(event["content"], separators=(",", ":"), sort_keys=True).encode()
    name = base62(int.from_bytes(handle.tag("chatapi/deposit/v1", body), "big") % 62**24, 24)
    with suppress(Stale):  # it is here already
        ports.kept.put(handle, CHANGE, [(name, body)], absent=True)
    return {"deposit": name, "generation": handle.generation}


def discard(ports: Ports, event: Mapping[str, Any]) -> dict[str, Any]:
    """Forget what was handed in for a request that was taken back."""
    if handle := ports.handle(event["project"], event["subject"]):
        ports.kept.delete(handle, CHANGE, event["deposit"])
    return {}


DESK = {"deposit": deposit, "discard": discard, "inspect": inspect}
