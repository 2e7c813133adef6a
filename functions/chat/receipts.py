"""How long content may be kept, and the receipt: what is retained and until when, who processes it, where, and that
nobody trains on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from chatapi import retention
from chatapi.clock import iso
from chatapi.errors import RetentionNotPermitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.embeddings import EmbeddingsRequest
    from chat.models import Model
    from chat.requests import ChatRequest
    from chatapi.verdict import Verdict

HEADER = "data-handling"
NO_CONTENT = "retained=none; processor=none; training=no"
"""Of a request that carried no content, or whose content was refused before it went anywhere."""
FROM_STORE = "retained=content; processor=none; training=no"
"""Of content that is read from our own store: nobody else sees it, and its expiry does not change."""


SIGNALS = "privacy-signals"
HONOURED = "gpc=honored; sale=no; sharing=no"
"""The answer to a Global Privacy Control signal. Nothing is sold or shared of anybody, with the signal or without it:
no processor of the register has such a purpose (tests/unit/test_policy.py), so it is true of every request."""


def signalled(headers: Mapping[str, str] | None) -> bool:
    """Whether the caller's browser sends the signal: exactly `Sec-GPC: 1` (W3C, Global Privacy Control)."""
    return any(name.lower() == "sec-gpc" and value == "1" for name, value in (headers or {}).items())


def signals(request: ChatRequest | EmbeddingsRequest) -> dict[str, str]:
    """The header that answers a signal which somebody between passed on in the body."""
    return {SIGNALS: HONOURED} if request.data_handling is not None and request.data_handling.gpc else {}


class Told(Protocol):
    """Something more that a receipt says."""

    def header(self) -> str:
        """In the header, from its `; ` on."""

    def body(self) -> dict[str, Any]:
        """Fields in the body."""


def header(model: Model, expires: int | None, *told: Told) -> str:
    """The receipt as a header's value. `told`: of the optional purposes, where the project has any, and of what was
    redacted, where that is demanded."""
    retained = f"content; until={iso(expires)}" if expires else "none"
    training = "yes" if model.training else "no"
    abroad = f"; transfer={model.transfer}" if model.transfer else ""
    kept = f"; processor-retention={model.retention_days}d" if model.retention_days else ""
    head = f"retained={retained}; processor={model.processor}; region={model.region}; training={training}{abroad}{kept}"
    return head + "".join(each.header() for each in told)


def body(model: Model, expires: int | None, *told: Told, gpc: bool | None = None) -> dict[str, Any]:
    """The receipt as the field `data_handling` of an answer, for callers that cannot read headers."""
    more = {"transfer": model.transfer, "processor_retention_days": model.retention_days}
    signal = {"gpc": HONOURED.partition("; ")[0].removeprefix("gpc="), "sale": False, "sharing": False} if gpc else {}
    return {
        **signal,
        "retained": "content" if expires else "none",
        "expires_at": expires,
        "processor": model.processor,
        "region": model.region,
        "training": model.training,
        **{name: value for name, value in more.items() if value},
        **{name: value for each in told for name, value in each.body().items()},
    }


def ceiling(request: ChatRequest | EmbeddingsRequest, caller: Verdict) -> int | None:
    """The tightest of the ceilings of project, key and request, in seconds. RetentionNotPermitted where the request
    wants something kept and one of them permits nothing."""
    asked = request.data_handling
    own = (retention.seconds(asked.retention or "history"), asked.ttl_seconds) if asked else ()
    tightest = retention.tighter(retention.seconds(caller.retention), *own)
    if request.store and tightest == 0:
        raise RetentionNotPermitted
    return tightest
