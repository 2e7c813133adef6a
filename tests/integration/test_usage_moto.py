"""Usage through the real template: a chat's one update, the index, the gathering, the API; and through an erasure."""

from __future__ import annotations

import json

from account.gather import handler as gather
from chatapi.keys import SCOPES
from tests.support.deployed import InProcess, erase

CHAT = "/v1/chat/completions"
BODY = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_chat_is_in_the_usage_after_a_gathering_and_stays_there_when_its_subject_is_erased(
    functions: InProcess,
) -> None:
    # given two chats of two end users
    project, key = functions.project(scopes=SCOPES)
    sizes = [
        json.loads(functions.run(key, "POST", CHAT, {**BODY, "user": user})[2])["usage"] for user in ("alice", "bob")
    ]
    # when usage is gathered
    gather({}, None)

    def usage() -> list[dict[str, object]]:
        status, _, body = functions.run(key, "GET", "/v1/usage")
        assert status == 200, body
        lines: list[dict[str, object]] = json.loads(body)["data"]
        return lines

    (line,) = before = usage()
    # then it is what was answered
    assert (line["requests"], line["key_id"], line["model"]) == (2, "k1", "smollm2-135m")
    assert line["input_tokens"] == sum(size["prompt_tokens"] for size in sizes)
    assert line["output_tokens"] == sum(size["completion_tokens"] for size in sizes)
    # and the same after one of the two was erased
    created = functions.run(key, "POST", "/v1/privacy/requests", {"type": "erasure", "subject": {"user": "alice"}})
    erase(json.loads(created[2])["id"], project)
    gather({}, None)
    assert usage() == before
