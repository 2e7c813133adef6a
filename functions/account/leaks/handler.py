"""Entry point of the reports of leaked keys: a public route, open to whoever the partner's signature proves."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response

from account.leaks.service import Leaks
from chatapi.buffered import answered, body_of, resolver, told
from chatapi.warm import Warm

app = resolver()


@Warm
def _service() -> Leaks:
    """The composition root: made once per warm function, at the first request, never at init."""
    from account.leaks.composition import compose

    return compose()


@app.post("/v1/leaked-keys")
def report() -> Response[str]:
    """Take a report: a label for each match."""
    event = app.current_event.raw_event
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    labels = _service().report(
        headers.get("github-public-key-identifier"), headers.get("github-public-key-signature"), body_of(event)
    )
    return told(labels)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One request through the REST API's proxy integration."""
    request_id = str(event["requestContext"]["requestId"])
    return answered("leaks", request_id, lambda: app.resolve(event, context))
