"""A project's webhook: where it is told of erasures and choices, since what it keeps of the person itself is its own.

Its secret is not stored: it is derived from a secret of the stack and a random number in the row, so a copy of the
table signs nothing. Standard Webhooks (github.com/standard-webhooks): `whsec_` and base64 of 32 bytes.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass

from chatapi.store.items import Table
from chatapi.vault import lp


@dataclass(frozen=True)
class Webhook:
    """`nonce` chooses the secret; a webhook that is set again has another one."""

    project: str
    url: str
    nonce: bytes
    created: int


class Webhooks:
    """The rows in the Requests table. `secret` gives the stack's secret of webhooks, read at the first use."""

    def __init__(self, table: Table, secret: Callable[[], bytes]) -> None:
        self._table = table
        self._secret = secret

    def get(self, project: str) -> Webhook | None:
        """A project's webhook, or None."""
        item = self._table.get(f"w#{project}", "-")
        if item is None or not item["url"]:
            return None
        return Webhook(project, str(item["url"]), bytes(item["nonce"]), int(item["created"]))

    def put(self, project: str, url: str, now: float) -> tuple[Webhook, str]:
        """Set or replace it; the webhook, and its secret as the receiver takes it. An empty URL ends it."""
        made = Webhook(project, url, os.urandom(32), int(now))
        row = {"pk": f"w#{project}", "sk": "-", "kind": "webhook", "url": url, "nonce": made.nonce}
        self._table.put({**row, "created": made.created})
        return made, "whsec_" + base64.b64encode(self.key(made)).decode()

    def key(self, webhook: Webhook) -> bytes:
        """The 32 bytes of its secret."""
        return hmac.digest(self._secret(), lp("chatapi/webhook/v1", webhook.project, webhook.nonce.hex()), "sha256")
