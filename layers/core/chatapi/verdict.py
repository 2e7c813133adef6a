"""The verdict: what the authorizer hands to the functions behind it, as API Gateway's flat strings.

The limiter has read the project's item anyway, so everything a request needs of it travels along and nobody reads it
again. (API Gateway, "Output from an API Gateway Lambda authorizer": context values are strings, numbers or booleans.)
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

OK = "ok"
INSUFFICIENT_SCOPE = "insufficient_scope"
REQUEST_TOO_LARGE = "request_too_large"
ADDRESS_NOT_ALLOWED = "address_not_allowed"

MAX_BODY_BYTES = 4 * 1024 * 1024
DEFAULT_OUTPUT_TOKENS = 1024
"""Reserved for a chat's answer, and its cap where the request names none."""


def estimate(content_length: int | None) -> int:
    """Tokens to reserve for an unread body: about four bytes make a token; an unknown length counts as full."""
    size = MAX_BODY_BYTES if content_length is None else min(content_length, MAX_BODY_BYTES)
    return size // 4 + DEFAULT_OUTPUT_TOKENS


class Verdict(NamedTuple):
    """Who calls and what is allowed. `reserved` in tokens, `spend` in micro-USD, each with the counters it was taken
    from; `slot` 12 bytes or empty; no `models`: all on offer. `retention` is the tighter one of project and key.
    `user_rpm` and `user_tpm`: the project's limits for each of its end users, 0 for none.
    `key`: the ARN of the KMS key that the project brought, None where it brought none.
    `purposes`: the optional purposes that some data subject of the project has allowed; whoever acts for one asks for
    the subject's own choice, and for no other it may (docs/choices.md).
    `guardrail`: a name of policy/guardrails.toml under which the project's chats are, or empty.
    `redact`: what project and key together demand to be redacted (chatapi/redaction.py)."""

    project: str
    kid: str
    outcome: str = OK
    scopes: frozenset[str] = frozenset()
    retention: str = "none"
    region: str = ""
    slot: bytes = b""
    token_windows: tuple[str, ...] = ()
    reserved: int = 0
    ratelimit: Mapping[str, str] = MappingProxyType({})
    models: tuple[str, ...] = ()
    spend_windows: tuple[str, ...] = ()
    spend: int = 0
    user_rpm: int = 0
    user_tpm: int = 0
    key: str | None = None
    purposes: tuple[str, ...] = ()
    guardrail: str = ""
    redact: str = ""

    def to_context(self) -> dict[str, str]:
        """The flat context. Rate limit headers keep their own names behind `rl.`."""
        out = {
            "project": self.project,
            "kid": self.kid,
            "outcome": self.outcome,
            "scopes": " ".join(sorted(self.scopes)),
            "retention": self.retention,
            "region": self.region,
            "slot": b2a_base64(self.slot, newline=False).decode(),
            "windows": ",".join(self.token_windows),
            "reserved": str(self.reserved),
            "models": " ".join(self.models),
            "spend_windows": ",".join(self.spend_windows),
            "spend": str(self.spend),
            "user_rpm": str(self.user_rpm),
            "user_tpm": str(self.user_tpm),
            "key": self.key or "",
            "purposes": " ".join(self.purposes),
            "guardrail": self.guardrail,
            "redact": self.redact,
        }
        out.update({"rl." + name.removeprefix("x-ratelimit-"): value for name, value in self.ratelimit.items()})
        return out

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> Verdict:
        """Read a context back. KeyError or ValueError where it was not made by `to_context`: a fault, fail closed."""
        return cls(
            project=context["project"],
            kid=context["kid"],
            outcome=context["outcome"],
            scopes=frozenset(context["scopes"].split()),
            retention=context["retention"],
            region=context["region"],
            slot=a2b_base64(context["slot"], strict_mode=True),
            token_windows=tuple(name for name in context["windows"].split(",") if name),
            reserved=int(context["reserved"]),
            ratelimit={"x-ratelimit-" + k[3:]: v for k, v in context.items() if k.startswith("rl.")},
            models=tuple(context["models"].split()),
            spend_windows=tuple(name for name in context["spend_windows"].split(",") if name),
            spend=int(context["spend"]),
            user_rpm=int(context["user_rpm"]),
            user_tpm=int(context["user_tpm"]),
            key=context["key"] or None,
            purposes=tuple(context["purposes"].split()),
            guardrail=context["guardrail"],
            redact=context["redact"],
        )
