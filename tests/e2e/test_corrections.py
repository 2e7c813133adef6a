"""What a person has changed without erasing it, on the local stack: RGT-2, RGT-3, RGT-4, RGT-7, and their proofs."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.everywhere import found
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.support.canary import Canary


@pytest.fixture
def holds(stack: RunningStack, tmp_path: Path) -> Callable[[Person, dict[str, Any]], dict[str, Any]]:
    """Gets a request's receipt and verifies it offline, as its owner would."""
    root = stack.info.base_url.removesuffix("/v1")
    (tmp_path / "jwks.json").write_bytes(httpx.get(root + "/.well-known/jwks.json").content)

    def check(person: Person, request: dict[str, Any]) -> dict[str, Any]:
        raw = person.get(f"/privacy/requests/{request['id']}/certificate").content
        (tmp_path / "receipt.json").write_bytes(raw)
        command = person.command("verify", str(tmp_path / "receipt.json"), "--jwks", str(tmp_path / "jwks.json"))
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
        payload: dict[str, Any] = json.loads(raw)["payload"]
        return payload

    return check


def copy_of(person: Person) -> zipfile.ZipFile:
    """The person's own copy."""
    return zipfile.ZipFile(io.BytesIO(person.export(person.asks("access")["id"])))


def everything(archive: zipfile.ZipFile) -> bytes:
    return b"".join(archive.read(name) for name in archive.namelist())


Holds = Callable[[Person, dict[str, Any]], dict[str, Any]]


def test_a_corrected_text_is_everywhere_and_the_old_one_nowhere(
    stack: RunningStack, person: Callable[[str], Person], holds: Holds
) -> None:
    # given a stored chat with something wrong in it
    someone, old, new = person("corrected"), Canary("wrong"), Canary("right")
    chat = someone.chats(old.text)
    # when it is corrected
    change = {"record": chat, "path": "/messages/0/content", "value": new.text}
    request = someone.asks("correction", changes=[change])
    # then the API, a copy and the receipt say so
    assert request["result"] == {"changes": [{"record": chat, "outcome": "corrected"}]}
    (message,) = someone.get(f"/chat/completions/{chat}/messages").json()["data"]
    assert message["content"] == new.text
    copy = everything(copy_of(someone))
    assert new.found_in(copy)
    assert not old.found_in(copy)
    receipt = holds(someone, request)
    assert receipt["changes"][0]["before"] != receipt["changes"][0]["after"]
    # and neither text is in any store, but in the copy that was made of the right one
    assert set(found(stack, old, new)) == {new.text}
    assert {kind for kind, _ in found(stack, new)[new.text]} == {"object"}


def test_a_statement_stands_beside_its_record_and_goes_with_it(person: Callable[[str], Person], holds: Holds) -> None:
    someone, said = person("completed"), Canary("statement")
    chat = someone.chats("hello")
    request = someone.asks("completion", statements=[{"record": chat, "text": said.text}])
    assert request["result"] == {"changes": [{"record": chat, "outcome": "kept_beside"}]}
    holds(someone, request)
    (line,) = [json.loads(line) for line in copy_of(someone).read("chats.jsonl").splitlines()]
    assert (line["completion"]["id"], line["statements"][0]["text"]) == (chat, said.text)
    assert someone.http.delete(f"/chat/completions/{chat}").is_success
    assert not said.found_in(everything(copy_of(someone)))


def test_what_is_restricted_is_kept_and_not_used_until_it_is_lifted(
    stack: RunningStack, person: Callable[[str], Person], holds: Holds
) -> None:
    # given a stored chat
    someone, own = person("restricted"), Canary("kept")
    chat = someone.chats(own.text)
    # when processing is restricted
    request = someone.asks("restriction")
    assert (request["status"], request["result"]) == ("completed", {"restricted": True})
    assert "Art. 18" in request["explanation"]
    holds(someone, request)
    # then it is not read, not listed, not changed and not added to, at once and by warm functions
    body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    stored = {**body, "store": True, "user": someone.name}
    for answer in (
        someone.get(f"/chat/completions/{chat}"),
        someone.get(f"/chat/completions/{chat}/messages"),
        someone.http.post(f"/chat/completions/{chat}", json={"metadata": {"a": "b"}}),
        someone.http.delete(f"/chat/completions/{chat}"),
        someone.http.post("/chat/completions", json=stored),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "processing_restricted")
    assert chat not in someone.get("/chat/completions?limit=100&order=desc").text
    # what is not stored goes on, and so does the person's own copy
    assert someone.http.post("/chat/completions", json={**body, "user": someone.name}).is_success
    assert own.found_in(everything(copy_of(someone)))
    # and lifted it is as before
    assert someone.asks("restriction", restricted=False)["result"] == {"restricted": False}
    assert someone.get(f"/chat/completions/{chat}").is_success


def test_an_objection_ends_the_purpose_with_a_receipt(person: Callable[[str], Person], holds: Holds) -> None:
    someone = person("objecting")
    request = someone.asks("objection", purpose="marketing")
    assert (request["status"], request["result"]) == ("completed", {"purpose": "marketing"})
    assert holds(someone, request)["purpose"] == "marketing"
    shown = someone.http.post("/privacy/consents/query", json={"subject": {"user": someone.name}}).json()["data"]
    (choice,) = [entry for entry in shown if entry["purpose"] == "marketing"]
    assert choice["record"]["event_state"] == "withdrawn"


@pytest.mark.parametrize(
    ("right", "more"),
    [
        ("access", {}),
        ("portability", {}),
        ("correction", {"changes": [{"record": "chatcmpl-" + "0" * 29, "path": "/messages/0/content", "value": "x"}]}),
        ("completion", {"statements": [{"record": "chatcmpl-" + "0" * 29, "text": "x"}]}),
        ("restriction", {}),
        ("objection", {"purpose": "analytics"}),
    ],
)
def test_a_person_of_whom_nothing_is_known_gets_a_signed_receipt(
    person: Callable[[str], Person], holds: Holds, right: str, more: dict[str, Any]
) -> None:
    nobody = person("nobody-" + right)
    request = nobody.asks(right, **more)
    assert request["status"] == "completed"
    outcomes = {line["store"]: line["outcome"] for line in holds(nobody, request)["stores"]}
    assert (outcomes["vault"], outcomes["records"]) == ("nothing_found", "nothing_found")


def test_a_copy_is_read_in_again_after_an_erasure_and_the_history_is_the_same(
    stack: RunningStack, person: Callable[[str], Person], holds: Holds
) -> None:
    # given a chat, a conversation and a copy of both
    someone = person("returning")
    chat = someone.chats("what was said")
    made = {"items": [{"role": "user", "content": "first"}], "metadata": {"a": "b"}, "user": someone.name}
    conversation = someone.http.post("/conversations", json=made).raise_for_status().json()["id"]
    paths = (f"/chat/completions/{chat}", f"/chat/completions/{chat}/messages", f"/conversations/{conversation}")
    paths += (f"/conversations/{conversation}/items",)
    before = [someone.get(path).raise_for_status().json() for path in paths]
    copy = someone.export(someone.asks("portability")["id"])
    # when the person is erased, and the copy is put and read in
    assert someone.asks("erasure")["status"] == "completed"
    assert [someone.get(path).status_code for path in paths] == [404] * 4
    who = {"subject": {"user": someone.name}}
    place = someone.http.post("/privacy/imports", json={**who, "size": len(copy)}).raise_for_status().json()
    httpx.put(place["url"], content=copy, headers=place["headers"]).raise_for_status()
    restored = someone.asks("import", archive=place["archive"])
    # then it is the same history
    assert restored["result"]["imported"] == {"completion": 1, "conversation": 1, "item": 1}
    assert [someone.get(path).raise_for_status().json() for path in paths] == before
    assert holds(someone, restored)["imported"] == restored["result"]["imported"]
    listed = stack.aws("s3").list_objects_v2(Bucket=stack.info.outputs["ExportsBucket"]).get("Contents", [])
    assert not [entry for entry in listed if place["archive"] in entry["Key"]]
    # and nothing else is
    for data, code in ((copy[:-9], "archive_invalid"), (b"x", "archive_invalid")):
        place = someone.http.post("/privacy/imports", json={**who, "size": len(data)}).raise_for_status().json()
        httpx.put(place["url"], content=data, headers=place["headers"]).raise_for_status()
        body = {"type": "import", "archive": place["archive"], **who}
        refused = someone.http.post("/privacy/requests", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
