"""What a project's webhook is told, and how (Standard Webhooks; the shape is that of the Ketch forwarder).

    webhook-id          the case's own, so that a repeat is known as one
    webhook-timestamp   POSIX seconds of this try
    webhook-signature   v1,base64(HMAC-SHA256(secret, "{id}.{timestamp}.{body}"))

The body has opaque ids alone; a corrected text is read where it is stored. The project knows the request by the id
that it was given when it asked; the value of `user` is not known here any more, and would be personal data on its way
through another network.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from chatapi.clock import Clock, iso
from chatapi.errors import BadRequest, RequestTooLarge
from chatapi.outbound import BadUrl, NotReached, Outbound
from chatapi.store.cases import Case
from chatapi.store.consents import WITHDRAWN
from chatapi.store.items import Item
from chatapi.store.webhooks import Webhook, Webhooks

API_VERSION = "chatapi/v1"
KINDS = {
    "erasure": "DeleteRequest",
    "access": "AccessRequest",
    "portability": "AccessRequest",
    "correction": "CorrectionRequest",
    "completion": "CorrectionRequest",
    "restriction": "RestrictProcessingRequest",
    "objection": "RestrictProcessingRequest",
    "opt_out": "RestrictProcessingRequest",
}
MAX_BODY_BYTES = 4096


def body_of(case: Case) -> bytes:
    """The body of a notice about a case: the same bytes at every try."""
    message = {
        "apiVersion": API_VERSION,
        "kind": KINDS[case.type],
        "metadata": {"uid": case.id, "tenant": case.project},
        "request": {
            "right": case.type,
            "subjects": case.subjects,
            "submittedTimestamp": case.created,
            "dueTimestamp": int(case.get("due")),
            **_details(case),
        },
    }
    return json.dumps(message, separators=(",", ":"), sort_keys=True).encode()


def choice_body(row: Item) -> bytes:
    """The body of a notice about a choice: the same bytes at every try. An objection restricts (GDPR Art. 21): the
    receiver obeys it for what it has of the person itself."""
    _, project, subject = row["pk"].split("#")
    objects = row["state"] == WITHDRAWN
    message = {
        "apiVersion": API_VERSION,
        "kind": "RestrictProcessingRequest" if objects else "ConsentRequest",
        "metadata": {"uid": f"{row['id']}.{row['rev']}", "tenant": project},
        "request": {
            "right": "opt_out" if objects else "consent",
            "purpose": row["sk"],
            "state": row["state"],
            "subjects": [subject],
            "submittedTimestamp": row["at"],
        },
    }
    return json.dumps(message, separators=(",", ":"), sort_keys=True).encode()


def _details(case: Case) -> dict[str, Any]:
    """What of the person's data it is about, by opaque ids and fixed words: the project reads the new text here."""
    found: dict[str, Any] = {"restricted": case.get("restricted")} if case.type == "restriction" else {}
    if changes := case.get("changes"):
        done = [change["record"] for change in changes if change["outcome"] != "nothing_found"]
        found["records"] = list(dict.fromkeys(done))
    return found


def sign(key: bytes, name: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a notice."""
    signature = hmac.digest(key, f"{name}.{timestamp}.".encode() + body, "sha256")
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


class Teller:
    """Tells a project's webhook of a case, or of a choice."""

    def __init__(self, webhooks: Webhooks, outbound: Outbound) -> None:
        self._webhooks = webhooks
        self._outbound = outbound

    def webhook(self, project: str) -> Webhook | None:
        """The project's webhook, if it has one."""
        return self._webhooks.get(project)

    def tell(self, webhook: Webhook, case: Case, now: int) -> bool:
        """One try; whether it was acknowledged: a status of 2xx, and nothing else is."""
        return self.post(webhook, case.id, body_of(case), now)

    def post(self, webhook: Webhook, uid: str, body: bytes, now: int) -> bool:
        """The same of any notice, by its own id."""
        headers = sign(self._webhooks.key(webhook), f"msg_{uid}", now, body)
        try:
            return 200 <= self._outbound.post(webhook.url, headers, body) < 300
        except (BadUrl, NotReached):
            return False


class Recipients:
    """The service behind /v1/privacy/recipients."""

    def __init__(self, webhooks: Webhooks, outbound: Outbound, clock: Clock) -> None:
        self._webhooks = webhooks
        self._outbound = outbound
        self._clock = clock

    def show(self, project: str) -> dict[str, Any]:
        """The project's webhook, without its secret."""
        return self._shown(self._webhooks.get(project))

    def set(self, project: str, raw: bytes) -> dict[str, Any]:
        """Set or replace the webhook; the secret is shown this once. BadRequest for a URL that is never called."""
        if len(raw) > MAX_BODY_BYTES:
            raise RequestTooLarge("The request body is larger than 4 KiB.")
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise BadRequest("The body is not valid JSON.", code="invalid_json") from None
        url = body.get("webhook_url") if isinstance(body, dict) and len(body) == 1 else None
        if not isinstance(url, str):
            raise BadRequest('The body is {"webhook_url": URL}.', code="invalid_type", param="webhook_url")
        try:
            self._outbound.check(url)
        except BadUrl:
            raise BadRequest(
                "A webhook is https to a public DNS name.", code="invalid_value", param="webhook_url"
            ) from None
        webhook, secret = self._webhooks.put(project, url, self._clock.now())
        return {**self._shown(webhook), "secret": secret}

    def end(self, project: str) -> dict[str, Any]:
        """No webhook any more."""
        self._webhooks.put(project, "", self._clock.now())
        return self._shown(None)

    @staticmethod
    def _shown(webhook: Webhook | None) -> dict[str, Any]:
        shown = {"webhook_url": webhook.url, "created_at": iso(webhook.created)} if webhook else {"webhook_url": None}
        return {"object": "privacy.recipients", **shown}
