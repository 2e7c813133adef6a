"""The decision: which scope a route needs, what it debits, and how a refusal reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from authorizer.faults import WithoutStore
from authorizer.leases import Leases
from authorizer.restrictions import restrict
from chatapi.aws.av import from_item
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.clock import Clock
from chatapi.keys import KeyParts, bearer, check_key, hash_key
from chatapi.limits import windows
from chatapi.limits.admission import (
    USUAL,
    Debit,
    Plan,
    Refusal,
    Shape,
    dead_slots,
    explain,
    heal,
    how_many,
    plan,
    ratelimit_headers,
    shape_of,
)
from chatapi.limits.refusals import Refusals
from chatapi.prices import Price
from chatapi.store.project_flags import allowed_by_some
from chatapi.verdict import (
    DEFAULT_OUTPUT_TOKENS,
    INSUFFICIENT_SCOPE,
    MAX_BODY_BYTES,
    OK,
    REQUEST_TOO_LARGE,
    Verdict,
    estimate,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chatapi.aws.calling import Caller

SLOT_SECONDS = 905
"""A slot's life: the chat function's timeout and 5 s (template.yaml; a test keeps them alike)."""

_STALE_PROJECTS = 256
_SHAPES = 1024
_TRIES = 6
"""Updates for one decision: a shape learned, a lease made smaller, dead slots healed. Each happens about once."""


class Unauthorized(Exception):
    """No key, or one that does not open anything."""


class Denied(Exception):
    """A limit refuses. `context` goes into the 429 gateway response."""

    def __init__(self, context: dict[str, str]) -> None:
        super().__init__("denied")
        self.context = context


def route_needs(method: str, resource: str) -> tuple[str, str]:
    """(scope, kind of debit) of a route template. Unknown routes need a scope nobody has: fail closed."""
    if resource in ("/v1/chat/completions", "/v1/responses", "/v1/embeddings") and method == "POST":
        return "chat", "chat"
    if resource.startswith(("/v1/chat/completions", "/v1/responses/", "/v1/conversations")):
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
        self,
        store: Caller,
        *,
        table: str,
        mint: Callable[[], bytes],
        pepper: Callable[[], bytes],
        clock: Clock,
        dearest: Price = Price(0, 0, 0),  # noqa: B008 - immutable
        open_without_store: bool = False,
    ) -> None:
        self._store = store
        self._table = table
        self._mint = mint
        self._pepper = pepper
        self._clock = clock
        self._dearest = dearest
        self._stale: dict[str, tuple[tuple[str, ...], frozenset[bytes]]] = {}
        self._shapes: dict[bytes, Shape] = {}
        self._refusals = Refusals()
        self._leases = Leases(clock)
        self._without_store = WithoutStore(chosen=open_without_store)

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
        debit = self._chat_debit(content_length) if kind == "chat" and not too_large else Debit(_kind(kind))
        key_hash = hash_key(self._pepper(), key)
        now = self._clock.now()
        try:
            attempt, item, debit = self._admit(parts, key_hash, scope, debit, now)
        except AwsUnavailable:
            # A write that was not answered may have happened: then it is debited, the safe side.
            known = self._without_store.admit(key_hash, parts.project, parts.kid, scope, now)
            if known is None or too_large:
                raise
            return restrict(*known, source_ip)
        touched = [window for window, _ in attempt.counters] if attempt else []
        verdict = Verdict(
            project=parts.project,
            kid=parts.kid,
            outcome=INSUFFICIENT_SCOPE if attempt is None else REQUEST_TOO_LARGE if too_large else OK,
            scopes=frozenset(item["k_" + parts.kid]["s"]),
            retention=item.get("ret", "none"),
            region=item.get("region", ""),
            key=item.get("kms"),
            redact=item.get("red", ""),
            slot=attempt.slot if attempt else b"",
            token_windows=tuple(w.name for w in touched if w.limit in ("tpm", "tpmo")),
            reserved=debit.tokens if attempt else 0,
            spend_windows=tuple(w.name for w in touched if w.limit == "smo"),
            spend=debit.spend if attempt else 0,
            ratelimit={} if kind == "rights" else ratelimit_headers(item, now, parts.kid),
            user_rpm=item.get("urpm", 0),
            user_tpm=item.get("utpm", 0),
            purposes=allowed_by_some(item),
            guardrail=item.get("guard", ""),
        )
        return restrict(verdict, item["k_" + parts.kid], source_ip)

    def _chat_debit(self, content_length: int | None) -> Debit:
        tokens = estimate(content_length)
        prompt = tokens - DEFAULT_OUTPUT_TOKENS
        return Debit("chat", tokens, self._dearest.cost(prompt, 0, DEFAULT_OUTPUT_TOKENS))

    def _admit(
        self, parts: KeyParts, key_hash: bytes, scope: str, debit: Debit, now: float
    ) -> tuple[Plan | None, Mapping[str, Any], Debit]:
        """What was debited, the item, and the debit of this request. Without the scope nothing was: None, and the item
        as it stands."""
        remembered = self._refusals.recall(key_hash, scope, debit, now)
        if remembered is not None:
            raise _refused(*remembered, now, parts.kid)
        leased = self._leases.take(key_hash, scope, debit, now)
        if leased is not None:
            return leased
        began, healed = self._clock.monotonic(), False
        shape = self._shapes.get(key_hash, USUAL)
        count = self._leases.size(key_hash, scope, debit, shape.lease)
        for _ in range(_TRIES):
            attempt = self._plan(parts, key_hash, scope, debit._replace(times=count), now, shape)
            admitted, item = self._try(attempt)
            if admitted:
                self._remember(parts, key_hash, attempt, item, now)
                self._leases.keep(key_hash, scope, debit._replace(times=count), attempt, item, now, began)
                return attempt, item, debit
            refusal = explain(item, parts.kid, key_hash, attempt, now)
            if refusal.reason == "scope":
                return None, item, debit
            if refusal.reason in ("key", "suspended"):
                self._without_store.forget(key_hash)
                break
            actual = shape_of(item, parts.kid)
            if actual != shape:
                # it was seen for the first time, or changed: try again with the limits that there are
                shape, count = actual, min(count, actual.lease)
                continue
            if count > 1:
                fits, count = how_many(item, attempt, count), 1
                if fits > 0:
                    count = fits
                    continue
                attempt = self._plan(parts, key_hash, scope, debit, now, shape)
                refusal = explain(item, parts.kid, key_hash, attempt, now)
                break
            dead = dead_slots(tuple(item.get("inf", ())), now)
            if refusal.reason != "concurrency" or not dead or healed:
                break
            healed = True
            self._store.call("UpdateItem", heal(self._table, parts.project, dead))
        self._refusals.remember(key_hash, scope, debit, refusal, item, now)
        raise _refused(refusal, item, now, parts.kid)

    def _try(self, attempt: Plan) -> tuple[bool, Mapping[str, Any]]:
        """Whether the update was done, and the item: after it, or as it stood."""
        try:
            return True, from_item(self._store.call("UpdateItem", attempt.update)["Attributes"])
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            item = from_item(error.item) if error.item else {}
        # With its own slot in it, it was done before: the answer was lost, and the client sent it again.
        return attempt.slot in item.get("inf", ()), item

    def _plan(self, parts: KeyParts, key_hash: bytes, scope: str, debit: Debit, now: float, shape: Shape) -> Plan:
        stale, dead = self._stale.get(parts.project, ((), frozenset()))
        return plan(self._table, *parts, key_hash, scope, debit, now, now + SLOT_SECONDS, stale, shape, dead)

    def _remember(self, parts: KeyParts, key_hash: bytes, attempt: Plan, item: Mapping[str, Any], now: float) -> None:
        """The key's shape; and expired windows and dead slots, which the next update removes. All bounded."""
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        self._shapes[key_hash] = shape_of(item, parts.kid)
        self._without_store.remember(key_hash, parts.kid, item, now)
        if len(self._stale) >= _STALE_PROJECTS:
            self._stale.clear()
        current = {window.name for window, _ in attempt.counters}
        stale = tuple(windows.all_expired(item, now, current)[:20])
        self._stale[parts.project] = stale, dead_slots(tuple(item.get("inf", ())), now)


def _kind(kind: str) -> str:
    return "read" if kind == "chat" else kind


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


def _refused(refusal: Refusal, item: Mapping[str, Any], now: float, kid: str) -> Unauthorized | Denied:
    return Unauthorized() if refusal.reason == "key" else Denied(denial(refusal, item, now, kid))


def denial(refusal: Refusal, item: Mapping[str, Any], now: float, kid: str = "") -> dict[str, str]:
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
    for name, value in ratelimit_headers(item, now, kid).items():
        context[name.removeprefix("x-ratelimit-").replace("-", "_")] = value
    return context
