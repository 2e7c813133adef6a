"""A developer chats through the whole system, and an end user is erased from it (RGT-5)."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.everywhere import found
from tests.e2e.local_stack import RunningStack
from tests.support.canary import Canary
from tests.support.transformed import ROOT

ASK: Any = [{"role": "user", "content": "Name three colours."}]


def client(stack: RunningStack, key: str | None = None) -> OpenAI:
    """The SDK as a developer makes it. It is closed at the end of the test."""
    made = OpenAI(base_url=stack.info.base_url, api_key=key or stack.info.api_key, max_retries=0)
    _open.append(made)
    return made


def rest(stack: RunningStack) -> httpx.Client:
    """Plain HTTP with the first key."""
    headers = {"authorization": f"Bearer {stack.info.api_key}"}
    made = httpx.Client(base_url=stack.info.base_url, headers=headers, timeout=30)
    _open.append(made)
    return made


def followed(http: httpx.Client, asked: httpx.Response) -> dict[str, Any]:
    """Follow a data-rights request to its end."""
    assert asked.status_code == 202, asked.text
    deadline, request = time.monotonic() + 240, asked.json()
    while request["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, request
        time.sleep(0.2)
        answer = http.get(f"/privacy/requests/{asked.json()['id']}")
        if answer.status_code == 429:  # the tests of a suite share the project's limit
            time.sleep(float(answer.headers["retry-after"]))
            continue
        request = answer.raise_for_status().json()
    result: dict[str, Any] = request
    return result


_open: list[OpenAI | httpx.Client] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def other_key(stack: RunningStack) -> str:
    """A key of another project, made by the command line."""
    command = [str(ROOT / ".venv" / "bin" / "chatapi"), "projects", "create", "--name", "other", "--json"]
    done = subprocess.run(
        [*command, "--retention", "history"], env=stack.cli_environment(), capture_output=True, text=True, check=True
    )
    key: str = json.loads(done.stdout)["api_key"]
    return key


@pytest.mark.parametrize("model", ["smollm2-135m", "bedrock-smollm2-135m"])
def test_tokens_of_a_real_model_arrive_one_by_one(stack: RunningStack, model: str) -> None:
    # when a stream is asked for
    stream = client(stack).chat.completions.create(
        model=model, messages=ASK, stream=True, max_tokens=24, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    # then real text arrives in pieces, is counted, and ends for a reason
    pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(pieces) > 3
    assert not "".join(pieces).startswith("[ministack mock")
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.completion_tokens <= 24
    assert chunks[-2].choices[0].finish_reason in ("stop", "length")


def test_a_stored_chat_is_read_by_its_project_and_gone_after_the_erasure(stack: RunningStack, tmp_path: Path) -> None:
    # given a stored chat of an end user
    canary, api = Canary("e2e"), client(stack)
    messages: Any = [{"role": "user", "content": canary.text}]
    done = api.chat.completions.create(
        model="smollm2-135m",
        messages=messages,
        store=True,
        user="end-user-7",
        max_tokens=8,
        metadata={"k": canary.text},
    )
    assert api.chat.completions.retrieve(done.id).metadata == {"k": canary.text}
    with pytest.raises(openai.NotFoundError):
        client(stack, other_key(stack)).chat.completions.retrieve(done.id)
    assert found(stack, canary) == {}

    # when the end user is erased
    http = rest(stack)
    erasure = {"type": "erasure", "subject": {"user": "end-user-7"}}
    request = followed(http, http.post("/privacy/requests", json=erasure))

    # then it says what was done, store by store, and the chat is gone
    assert request["status"] == "completed"
    outcomes = {entry["store"]: entry["outcome"] for entry in request["stores"]}
    assert (outcomes["vault"], outcomes["records"]) == ("shredded", "deleted")
    with pytest.raises(openai.NotFoundError):
        api.chat.completions.retrieve(done.id)
    places = found(stack, canary, Canary("id", done.id))
    assert canary.text not in places
    assert {kind for kind, _ in places.get(done.id, ())} <= {"file"}  # the edge's access log, by the path

    # and the certificate verifies offline, and is the same bytes each time
    path = f"/privacy/requests/{request['id']}/certificate"
    certificate, again = http.get(path).content, http.get(path).content
    assert certificate == again
    (tmp_path / "certificate.json").write_bytes(certificate)
    root = stack.info.base_url.removesuffix("/v1")
    (tmp_path / "jwks.json").write_bytes(httpx.get(root + "/.well-known/jwks.json").content)
    verify = [str(ROOT / ".venv" / "bin" / "chatapi"), "verify", str(tmp_path / "certificate.json")]
    verify += ["--jwks", str(tmp_path / "jwks.json")]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    (tmp_path / "certificate.json").write_bytes(certificate.replace(b'"count":', b'"count":1', 1))
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 1

    # and the person may come back: a new generation, a new key
    back = api.chat.completions.create(model="smollm2-135m", messages=ASK, store=True, user="end-user-7", max_tokens=4)
    assert api.chat.completions.retrieve(back.id).id == back.id


def test_a_subject_without_data_completes_with_nothing_found(stack: RunningStack) -> None:
    http = rest(stack)
    request = followed(http, http.post("/privacy/requests", json={"type": "erasure", "subject": {"user": "nobody"}}))
    outcomes = {entry["store"]: entry["outcome"] for entry in request["stores"]}
    assert (outcomes["vault"], outcomes["records"]) == ("nothing_found", "nothing_found")
    assert http.get(f"/privacy/requests/{request['id']}/certificate").status_code == 200


def test_an_erasure_that_failed_is_resumed_by_an_operator(stack: RunningStack) -> None:
    # given a stored chat, and a hold that cannot be honoured: the erasure fails before the point of no return
    api, http = client(stack), rest(stack)
    done = api.chat.completions.create(model="smollm2-135m", messages=ASK, store=True, user="held-7", max_tokens=4)
    dynamo, table = stack.aws("dynamodb"), stack.info.outputs["RequestsTable"]
    locator = {"pk": {"S": "l#" + stack.info.project_id}, "sk": {"S": done.id}}
    subject = dynamo.get_item(TableName=stack.info.outputs["RecordsTable"], Key=locator)["Item"]["subject"]["S"]
    hold: Any = {"pk": {"S": f"h#{stack.info.project_id}#{subject}"}, "sk": {"S": "hold_1"}}
    far = {"N": "4000000000"}
    words = {name: {"S": "x"} for name in ("basis", "owner")}
    dynamo.put_item(
        TableName=table,
        Item={**hold, "kind": {"S": "hold"}, "kinds": {"L": [{"S": "alias"}]}, **words, "review": far, "expires": far},
    )
    with stack.without_waits():  # between the attempts at the task that fails
        asked = http.post("/privacy/requests", json={"type": "erasure", "subject": {"user": "held-7"}})
        request = followed(http, asked)
    assert request["status"] == "failed"
    assert api.chat.completions.retrieve(done.id).id == done.id
    # when the hold is gone and an operator resumes it
    dynamo.delete_item(TableName=table, Key=hold)
    resume = [str(ROOT / ".venv" / "bin" / "chatapi"), "requests", "resume", stack.info.project_id, request["id"]]
    subprocess.run(resume, env=stack.cli_environment(), check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while http.get(f"/privacy/requests/{request['id']}").json()["status"] != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # then it went to its end
    with pytest.raises(openai.NotFoundError):
        api.chat.completions.retrieve(done.id)


def test_no_log_of_any_process_holds_what_was_sent(stack: RunningStack) -> None:
    canary = Canary("logs")
    messages: Any = [{"role": "user", "content": canary.text}]
    for model in ("smollm2-135m", "bedrock-smollm2-135m"):
        client(stack).chat.completions.create(model=model, messages=messages, user=canary.text, max_tokens=4)
    with pytest.raises(openai.NotFoundError):
        client(stack).chat.completions.create(model=canary.text, messages=messages)
    logs = {path.name: path.read_bytes() for path in Path(stack.info.log_dir).glob("*.log")}
    assert {"edge.log", "ChatFunction.log", "ministack.log", "model.log"} <= set(logs)
    assert not [name for name, text in logs.items() if canary.found_in(text)]


def test_embeddings_are_of_the_real_model(stack: RunningStack) -> None:
    # given the local model that embeds, asked as the SDK does by itself (base64) and for numbers
    api, near, far = client(stack), "The cat sits on the mat.", "Stock markets fell sharply today."
    packed = api.embeddings.create(model="smollm2-135m-embeddings", input=[near, far], user="end-user-embeds")
    plain = api.embeddings.create(model="smollm2-135m-embeddings", input=near, encoding_format="float")
    # then a text has its own vector of length one, whichever way it travels
    first, second = (one.embedding for one in packed.data)
    assert len(first) == len(second) == 576
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-3)
    assert plain.data[0].embedding == pytest.approx(first, abs=1e-3)
    assert sum(a * b for a, b in zip(first, second, strict=True)) < 0.99
    assert 0 < plain.usage.prompt_tokens < packed.usage.prompt_tokens < 40
    # and one that is too long is the caller's to mend
    with pytest.raises(openai.BadRequestError) as caught:
        api.embeddings.create(model="smollm2-135m-embeddings", input="word " * 9000)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
