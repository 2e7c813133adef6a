"""openai-python, unchanged, does its work with conversations."""

from __future__ import annotations

import json

import openai
import pytest
from openai import OpenAI
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem, ConversationItemList

from tests.contract.sdk.asking import shape
from tests.support.live_stack import MODEL, Live
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.strict import strictly

ANSWER = "Hello from the scripted upstream."


def test_a_conversation_lives_as_openais_does(client: OpenAI) -> None:
    raw = client.conversations.with_raw_response.create(
        items=[{"type": "message", "role": "user", "content": "a"}], metadata={"k": "v"}
    )
    made = raw.parse()

    strictly(Conversation, json.loads(raw.text))
    assert client.conversations.retrieve(made.id) == made
    assert client.conversations.update(made.id, metadata={"k": "w"}).metadata == {"k": "w"}
    added = client.conversations.items.create(
        made.id,
        items=[
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": str(n)}]} for n in range(5)
        ],
    )
    assert len(added.data) == 5
    page = client.conversations.items.with_raw_response.list(made.id, limit=2, order="asc")
    strictly(ConversationItemList, json.loads(page.text))
    # the pages follow each other to the end
    everything = list(client.conversations.items.list(made.id, limit=2, order="asc"))
    assert [item.content[0].text for item in everything if item.type == "message"] == ["a", "0", "1", "2", "3", "4"]
    one = client.conversations.items.with_raw_response.retrieve(everything[1].id or "", conversation_id=made.id)
    assert strictly(ConversationItem, json.loads(one.text)) == everything[1]
    assert client.conversations.items.delete(everything[1].id or "", conversation_id=made.id).id == made.id
    assert len(list(client.conversations.items.list(made.id))) == 5
    gone = client.conversations.with_raw_response.delete(made.id)
    strictly(ConversationDeletedResource, json.loads(gone.text))
    with pytest.raises(openai.NotFoundError) as missing:
        client.conversations.retrieve(made.id)
    assert shape(missing.value) == (404, "invalid_request_error", "not_found", None)


def test_responses_continue_a_conversation(client: OpenAI, upstream: ScriptedUpstream) -> None:
    made = client.conversations.create()
    client.responses.create(model=MODEL, input="One", conversation=made.id, user="ann")
    with client.responses.stream(model=MODEL, input="Two", conversation=made.id, user="bob") as stream:
        response = stream.get_final_response()

    assert response.conversation
    assert response.conversation.id == made.id
    sent = [message["content"] for message in upstream.requests[1].body["messages"]]
    assert sent == ["One", ANSWER, "Two"]
    items = client.conversations.items.list(made.id, order="asc")
    assert [item.role for item in items if item.type == "message"] == ["user", "assistant", "user", "assistant"]
    assert client.conversations.items.retrieve(response.output[0].id or "", conversation_id=made.id).type == "message"


def test_nobody_else_sees_it(client: OpenAI, live: Live) -> None:
    made = client.conversations.create()
    with OpenAI(base_url=live.base_url, api_key=live.project().api_key) as stranger:
        for call in (
            lambda: stranger.conversations.retrieve(made.id),
            lambda: stranger.conversations.delete(made.id),
            lambda: stranger.conversations.items.list(made.id),
            lambda: stranger.conversations.items.retrieve("msg_x", conversation_id=made.id),
        ):
            with pytest.raises(openai.NotFoundError) as missing:
                call()
            assert shape(missing.value) == (404, "invalid_request_error", "not_found", None)
        with pytest.raises(openai.NotFoundError) as missing:
            stranger.responses.create(model=MODEL, input="x", conversation=made.id)
        assert shape(missing.value) == (404, "invalid_request_error", "not_found", "conversation")
    assert client.conversations.retrieve(made.id) == made


def test_a_key_for_chats_alone_makes_none(live: Live) -> None:
    with OpenAI(base_url=live.base_url, api_key=live.project(scopes=["chat"]).api_key) as client:
        for call in (
            client.conversations.create,
            lambda: client.responses.create(model=MODEL, input="x", conversation="conv_x"),
            lambda: client.responses.retrieve("resp_x"),
        ):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                call()
            assert refused.value.code == "insufficient_scope"
