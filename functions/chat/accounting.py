"""The account of one chat: what the authorizer reserved, topped up where needed, settled exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from chatapi.aws.av import from_item
from chatapi.aws.errors import AwsError
from chatapi.errors import RateLimited
from chatapi.limits.settlement import settle, top_up
from chatapi.logs import log_error
from chatapi.verdict import Verdict


class Store(Protocol):
    """What is needed of DynamoDB."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


class Account:
    """The reservation of one request. Without a slot (routes other than chat) all of it does nothing."""

    def __init__(self, store: Store, table: str, verdict: Verdict) -> None:
        self._store = store
        self._table = table
        self._verdict = verdict
        self.reserved = verdict.reserved
        self.settled = not verdict.slot

    def cover(self, prompt_estimate: int, output_tokens: int) -> None:
        """Reserve more where the request may use more than the authorizer, which sees no body, assumed."""
        more = prompt_estimate + output_tokens - self.reserved
        if more <= 0 or self.settled:
            return
        verdict = self._verdict
        update = top_up(self._table, verdict.project, verdict.slot, verdict.token_windows, more)
        try:
            self._store.call("UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            refusal = self._refusal(from_item(error.item or {}), more)
        else:
            self.reserved += more
            return
        raise refusal

    def _refusal(self, item: Mapping[str, Any], more: int) -> RateLimited:
        """Why `more` tokens are not to be had, from the project's item. Where waiting does not help it says so."""
        final = {"x-should-retry": "false"}
        month = next((name for name in self._verdict.token_windows if name.startswith("m_")), "")
        if item.get(month, more) < more:
            return RateLimited("The quota of this project is used up.", code="insufficient_quota", headers=final)
        if self.reserved + more > item.get("tpm", self.reserved + more):
            return RateLimited("max_tokens asks for more than this project's tokens per minute.", headers=final)
        return RateLimited(
            "Rate limit reached for tokens per minute: max_tokens asks for more than is left.",
            headers={"retry-after": "30"},
        )

    def settle(self, used: int) -> None:
        """Give back or debit the difference and free the slot.

        Never raises: the answer is already made, and a slot that stays behind heals by its deadline; the fault is
        logged for the alarm.
        """
        if self.settled:
            return
        self.settled = True
        verdict = self._verdict
        update = settle(self._table, verdict.project, verdict.slot, verdict.token_windows, used - self.reserved)
        try:
            self._store.call("UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":  # a repeated settle, or a slot healed by its age
                log_error("settle_failed", error, function="chat", project=verdict.project, code=error.code)
