"""Creating a chat completion under an Idempotency-Key: the claim before it, the replay in its place."""

from __future__ import annotations

import json

from chat import answers, receipts, sse
from chat.accounting import Account
from chat.redaction import guarded
from chat.replays import Replays
from chat.requests import ChatRequest
from chat.service import Chat
from chat.started import Answer
from chatapi.store.completions import Completions
from chatapi.verdict import Verdict


class IdempotentChat:
    """The service, for requests that carry a key. `Chat.create` is that of all others, which pay nothing for it."""

    def __init__(self, chat: Chat, replays: Replays, completions: Completions) -> None:
        self._chat = chat
        self._replays = replays
        self._completions = completions

    def create(
        self, request: ChatRequest, body: bytes, caller: Verdict, account: Account, timeout: float, key: str
    ) -> Answer:
        """As `Chat.create`, once: BadRequest for what is no key, Conflict where it stands for another body or for a
        request that is under way, NotFound where what was stored under it has been deleted since."""
        subject = self._chat.subject(caller.project, request.user, request.safety_identifier)
        claim = self._replays.claim(caller.project, subject, key, body, timeout)
        if claim.completion is not None:
            answer = self._again(request, caller, claim.completion)
            account.settle(0)
            return answer
        try:
            return self._chat.create(request, len(body), caller, account, timeout, claim)
        except BaseException:
            self._replays.end(claim)  # nothing, where the generation has ended it already
            raise

    def _again(self, request: ChatRequest, caller: Verdict, completion_id: str) -> Answer:
        """What was stored, in the form that the request asks for; the values that it held itself are put back."""
        completion = json.loads(self._completions.load(caller.project, completion_id).body)["completion"]
        guard, _ = guarded(request, caller)
        if guard is not None:
            completion["choices"] = guard.again(completion["choices"])
        headers = {receipts.HEADER: receipts.FROM_STORE, "idempotency-replayed": "true"}
        if not request.stream:
            headers["content-type"] = "application/json"
            return Answer(headers, iter([sse.compact(answers.plain(completion))]))
        headers["content-type"] = "text/event-stream; charset=utf-8"
        return Answer(headers, answers.restream(completion, usage=request.include_usage))
