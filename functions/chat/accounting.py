"""The account of one chat: what the authorizer reserved, topped up where needed, settled exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chat.allowance import Allowance, tighter
from chatapi.aws.av import from_item
from chatapi.aws.errors import AwsError
from chatapi.errors import RateLimited
from chatapi.limits.settlement import settle, top_up
from chatapi.limits.windows import NO_LIMIT
from chatapi.logs import log_error
from chatapi.prices import Price
from chatapi.verdict import Verdict

if TYPE_CHECKING:
    from chatapi.aws.calling import Caller


class Account:
    """The reservation of one request. Without one (routes other than chat) all of it does nothing.

    `once`: a store that never repeats a call. It settles what was reserved without a slot (docs/limits.md). `records`:
    the table of end users' allowances.
    """

    def __init__(
        self, store: Caller, table: str, verdict: Verdict, once: Caller | None = None, records: str = ""
    ) -> None:
        self._store = store
        self._table = table
        self._verdict = verdict
        self._once = once or store
        self._records = records
        self._allowance: Allowance | None = None
        self._price = Price(0, 0, 0)
        self.reserved = verdict.reserved
        self.spend = verdict.spend
        self.settled = not (verdict.slot or verdict.reserved)

    def cover(self, prompt_estimate: int, output_tokens: int, price: Price | None = None) -> None:
        """Reserve more where the request may use more than the authorizer, which sees no body, assumed. `price` is the
        model's: by it the chat is settled."""
        self._price = price or self._price
        tokens = max(0, prompt_estimate + output_tokens - self.reserved)
        spend = max(0, self._price.cost(prompt_estimate, 0, output_tokens, prompt_estimate) - self.spend)
        if self.settled or not (tokens or spend):
            return
        verdict = self._verdict
        update = top_up(self._table, verdict.project, verdict.slot, self._deltas(tokens, spend))
        try:
            self._store.call("UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            refusal = self._refusal(from_item(error.item or {}), tokens, spend)
        else:
            self.reserved += tokens
            self.spend += spend
            return
        raise refusal

    def allow(self, subject: str, tokens: int, now: float) -> dict[str, str]:
        """Take what the chat may use from the end user's own limits, of which the project has one or both: the headers
        that tell of them where they are tighter. RateLimited where they are met."""
        verdict = self._verdict
        allowance = Allowance(self._store, self._records, verdict.project, subject, verdict.user_rpm, verdict.user_tpm)
        told = allowance.debit(tokens, now)
        self._allowance = allowance
        return tighter(told, dict(verdict.ratelimit))

    def _deltas(self, tokens: int, spend: int) -> dict[str, int]:
        verdict = self._verdict
        deltas = dict.fromkeys(verdict.token_windows, tokens) | dict.fromkeys(verdict.spend_windows, spend)
        return {name: more for name, more in deltas.items() if more}

    def _refusal(self, item: Mapping[str, Any], tokens: int, spend: int) -> RateLimited:
        """Why so much more is not to be had, from the project's item. Where waiting does not help it says so."""
        final = {"x-should-retry": "false"}
        short = [name for name, more in self._deltas(tokens, spend).items() if item.get(name, more) < more]
        if any(name[:2] in ("m_", "s_") for name in short):
            return RateLimited("The quota of this project is used up.", code="insufficient_quota", headers=final)
        own = item.get("k_" + self._verdict.kid, {}).get("l", {})
        if self.reserved + tokens > min(holder.get("tpm", NO_LIMIT) for holder in (item, own)):
            return RateLimited("max_tokens asks for more than this project's tokens per minute.", headers=final)
        return RateLimited(
            "Rate limit reached for tokens per minute: max_tokens asks for more than is left.",
            headers={"retry-after": "30"},
        )

    def settle(self, tokens_in: int, tokens_out: int = 0, cached: int = 0, written: int = 0) -> None:
        """Give back or debit the difference and free the slot. `cached` and `written` are parts of `tokens_in`.

        Never raises: the answer is already made, and a slot that stays behind heals by its deadline; the fault is
        logged for the alarm.
        """
        if self.settled:
            return
        self.settled = True
        if self._allowance:
            self._allowance.settle(tokens_in + tokens_out)
        verdict = self._verdict
        tokens = tokens_in + tokens_out - self.reserved
        spend = self._price.cost(tokens_in, cached, tokens_out, written) - self.spend
        if not (verdict.slot or tokens or spend):
            return
        deltas = dict.fromkeys(verdict.token_windows, tokens) | dict.fromkeys(verdict.spend_windows, spend)
        update = settle(self._table, verdict.project, verdict.slot, deltas)
        try:
            (self._store if verdict.slot else self._once).call("UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":  # a repeated settle, or a slot healed by its age
                log_error("settle_failed", error, function="chat", project=verdict.project, code=error.code)
