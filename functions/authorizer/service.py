"""The decision: which scope a route needs, what it debits, and how a refusal reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from authorizer.restrictions import restrict
from chatapi.aws.av import from_item
from chatapi.aws.errors import AwsError
from chatapi.clock import Clock
from chatapi.keys import KeyParts, bearer, check_key, hash_key
from chatapi.limits import windows
from chatapi.limits.admission import Debit, Plan, Refusal, dead_slots, explain, heal, plan, ratelimit_headers
from chatapi.limits.refusals import Refusals
from chatapi.verdict import INSUFFICIENT_SCOPE, MAX_BODY_BYTES, OK, REQUEST_TOO_LARGE, Verdict, estimate

SLOT_SECONDS = 905
"""A slot's life: the chat function's timeout and 5 s (template.yaml; a test keeps them alike)."""

_STALE_PROJECTS = 256


class Unauthorized(Exception):
    """No key, or one that does not open anything."""


class Denied(Exception):
    """A limit refuses. `context` goes into the 429 gateway response."""

    def __init__(self, context: dict[str, str]) -> None:
        super().__init__("denied")
        self.context = context


class Store(Protocol):
    """What is needed of DynamoDB."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


def route_needs(method: str, resource: str) -> tuple[str, str]:
    """(scope, kind of debit) of a route template. Unknown routes need a scope nobody has: fail closed."""
    if resource == "/v1/chat/completions" and method == "POST":
        return "chat", "chat"
    if resource.startswith("/v1/chat/completions"):
        return "history", "read"
    if resource.startswith("/v1/models"):
        return "chat", "read"
    if resource in ("/v1/usage", "/v1/keys") or resource.startswith("/v1/keys/"):
        return resource.split("/")[2], "read"
    if resource.startswith("/v1/privacy/"):
        return "privacy", "rights"
    return "none", "read"


class Authorizer:
    """Keys and limits over one DynamoDB item. `mint` and `pepper` are read on first use, not at init."""

    def __init__(
        self, store: Store, *, table: str, mint: Callable[[], bytes], pepper: Callable[[], bytes], clock: Clock
    ) -> None:
        self._store = store
        self._table = table
        self._mint = mint
        self._pepper = pepper
        self._clock = clock
        self._stale: dict[str, tuple[str, ...]] = {}
        self._refusals = Refusals()

    def decide(
        self,
        authorization: str | None,
        *,
        method: str,
        resource: str,
        content_length: int | None,
        source_ip: str | None = None,
    ) -> Verdict:
        """Authenticate and debit. Unauthorized, Denied, or an error of the store (the caller fails closed)."""
        key = bearer(authorization)
        parts = check_key(self._mint(), key) if key else None
        if key is None or parts is None:
            raise Unauthorized
        scope, kind = route_needs(method, resource)
        too_large = kind == "chat" and content_length is not None and content_length > MAX_BODY_BYTES
        # A body that will be refused takes one request and neither tokens nor a slot.
        debit = Debit("read") if too_large else Debit(kind, estimate(content_length) if kind == "chat" else 0)
        key_hash = hash_key(self._pepper(), key)
        now = self._clock.now()
        attempt, item = self._admit(parts, key_hash, scope, debit, now)
        if attempt is not None:
            self._remember_stale(parts.project, item, now)
        verdict = Verdict(
            project=parts.project,
            kid=parts.kid,
            outcome=INSUFFICIENT_SCOPE if attempt is None else REQUEST_TOO_LARGE if too_large else OK,
            scopes=frozenset(item["k_" + parts.kid]["s"]),
            retention=item.get("ret", "none"),
            region=item.get("region", ""),
            slot=attempt.slot if attempt else b"",
            token_windows=tuple(w.name for w, _ in attempt.counters if w.limit.startswith("t")) if attempt else (),
            reserved=debit.tokens if attempt else 0,
            ratelimit={} if kind == "rights" else ratelimit_headers(item, now),
        )
        return restrict(verdict, item["k_" + parts.kid], source_ip)

    def _admit(
        self, parts: KeyParts, key_hash: bytes, scope: str, debit: Debit, now: float
    ) -> tuple[Plan | None, Mapping[str, Any]]:
        """What was debited, and the item. Without the scope nothing was: None, and the item as it stands."""
        remembered = self._refusals.recall(key_hash, scope, debit, now)
        if remembered is not None:
            raise _refused(*remembered, now)
        healed = False
        while True:
            stale = self._stale.get(parts.project, ())
            attempt = plan(self._table, *parts, key_hash, scope, debit, now, now + SLOT_SECONDS, stale)
            try:
                answer = self._store.call("UpdateItem", attempt.update)
                return attempt, from_item(answer["Attributes"])
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
                item = from_item(error.item) if error.item else {}
            refusal = explain(item, parts.kid, key_hash, attempt, now)
            if refusal.reason == "scope":
                return None, item
            dead = dead_slots(tuple(item.get("inf", ())), now)
            if refusal.reason != "concurrency" or not dead or healed:
                self._refusals.remember(key_hash, scope, debit, refusal, item, now)
                raise _refused(refusal, item, now)
            healed = True
            self._store.call("UpdateItem", heal(self._table, parts.project, dead))

    def _remember_stale(self, project: str, item: Mapping[str, Any], now: float) -> None:
        """Expired windows are removed by the next update; what is kept in memory is bounded."""
        if len(self._stale) >= _STALE_PROJECTS:
            self._stale.clear()
        self._stale[project] = tuple(name for name in item if windows.expired(name, now))[:20]


_MESSAGES = {
    "suspended": ("insufficient_quota", "This project is suspended. Its owner can tell more."),
    "quota": ("insufficient_quota", "The quota of this project is used up."),
    "requests": ("rate_limit_exceeded", "Rate limit reached for requests per minute. Try again after retry-after."),
    "tokens": ("rate_limit_exceeded", "Rate limit reached for tokens per minute. Try again after retry-after."),
    "size": (
        "rate_limit_exceeded",
        "This request alone is above the project's tokens per minute. Without content-length a body counts as 4 MiB.",
    ),
    "concurrency": ("rate_limit_exceeded", "Too many requests at the same time. Try again after retry-after."),
}


def _refused(refusal: Refusal, item: Mapping[str, Any], now: float) -> Unauthorized | Denied:
    return Unauthorized() if refusal.reason == "key" else Denied(denial(refusal, item, now))


def denial(refusal: Refusal, item: Mapping[str, Any], now: float) -> dict[str, str]:
    """The context of a Deny: what the ACCESS_DENIED gateway response says. retry-after stays at 60 s or less, since
    clients ignore more."""
    code, message = _MESSAGES["size" if refusal.final and refusal.reason == "tokens" else refusal.reason]
    wait = min(60.0, max(refusal.retry_after, 0.05))
    context = {
        "code": code,
        "message": message,
        "reason": refusal.reason,
        "retry_after": str(max(1, int(wait + 0.999))),
        "retry_after_ms": str(int(wait * 1000)),
        "should_retry": "false" if refusal.final else "true",
    }
    for name, value in ratelimit_headers(item, now).items():
        context[name.removeprefix("x-ratelimit-").replace("-", "_")] = value
    return context
