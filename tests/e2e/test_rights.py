"""The rights of a data subject on the local stack, as an operator and a developer see them: RGT-1, 2 and 6."""

from __future__ import annotations

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.local_stack import RunningStack
from tests.support.canary import Canary
from tests.support.transformed import ROOT

ENDED = ("completed", "failed", "cancelled", "on_hold")


class Person:
    """An end user of the first project."""

    def __init__(self, stack: RunningStack, name: str) -> None:
        self.stack, self.name = stack, name
        self.http = httpx.Client(
            base_url=stack.info.base_url, headers={"authorization": f"Bearer {stack.info.api_key}"}, timeout=30
        )

    def chats(self, text: str) -> str:
        messages: Any = [{"role": "user", "content": text}]
        with OpenAI(base_url=self.stack.info.base_url, api_key=self.stack.info.api_key, max_retries=0) as api:
            done = api.chat.completions.create(
                model="smollm2-135m", messages=messages, store=True, user=self.name, max_tokens=4
            )
        return done.id

    def asks(self, right: str, **more: Any) -> dict[str, Any]:
        asked = self.http.post("/privacy/requests", json={"type": right, "subject": {"user": self.name}, **more})
        assert asked.status_code == 202, asked.text
        return self.until(asked.json()["id"], *ENDED)

    def until(self, request: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + 90
        while True:
            found: dict[str, Any] = self.http.get(f"/privacy/requests/{request}").json()
            if found["status"] in states:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.5)

    def operator(self, *words: str) -> Any:
        done = subprocess.run(
            [str(ROOT / ".venv" / "bin" / "chatapi"), *words],
            env=self.stack.cli_environment(),
            input=self.name + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


@pytest.fixture
def person(stack: RunningStack) -> Iterator[Callable[[str], Person]]:
    """Makes people; their connections end with the test."""
    made: list[Person] = []

    def make(name: str) -> Person:
        made.append(Person(stack, name))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def jwks(stack: RunningStack, tmp_path: Path) -> str:
    root = stack.info.base_url.removesuffix("/v1")
    (tmp_path / "jwks.json").write_bytes(httpx.get(root + "/.well-known/jwks.json").content)
    return str(tmp_path / "jwks.json")


def test_an_export_has_every_own_canary_and_verifies_offline(
    stack: RunningStack, person: Callable[[str], Person], tmp_path: Path, jwks: str
) -> None:
    # given two people
    own, foreign = Canary("own"), Canary("foreign")
    someone, other = person("export-1"), person("export-2")
    chat = someone.chats(own.text)
    other.chats(foreign.text)
    # when one of them asks for access
    request = someone.asks("access")
    assert request["status"] == "completed"
    # then a link opens once
    link = someone.http.get(f"/privacy/requests/{request['id']}/export").json()
    answer = httpx.get(link["url"], follow_redirects=True)
    assert answer.status_code == 200
    assert httpx.get(link["url"]).status_code == 404
    # and the archive has the own data and not the other's, in OpenAI's shape, and holds
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
        (line,) = [json.loads(line) for line in archive.read("chats.jsonl").splitlines()]
    assert own.found_in(everything)
    assert not foreign.found_in(everything)
    assert (line["completion"]["id"], line["messages"][0]["content"]) == (chat, own.text)
    file = tmp_path / "export.zip"
    file.write_bytes(answer.content)
    verify = [str(ROOT / ".venv" / "bin" / "chatapi"), "verify", str(file), "--jwks", jwks]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    (tmp_path / "receipt.json").write_bytes(someone.http.get(f"/privacy/requests/{request['id']}/certificate").content)
    receipt = [*verify[:2], str(tmp_path / "receipt.json"), *verify[3:]]
    assert subprocess.run(receipt, check=False, capture_output=True).returncode == 0
    # and an erasure takes the export with it
    late = someone.http.get(f"/privacy/requests/{request['id']}/export").json()["url"]
    assert someone.asks("erasure")["status"] == "completed"
    assert httpx.get(late).status_code == 404
    listed = stack.aws("s3").list_objects_v2(Bucket=stack.info.outputs["ExportsBucket"]).get("Contents", [])
    assert not [entry for entry in listed if request["id"] in entry["Key"]]


def test_billing_is_held_and_explained_and_erased_when_the_hold_ends(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given a person with a stored chat and a hold on what was disclosed and used
    someone, project = person("held-billing"), stack.info.project_id
    chat = someone.chats("hello")
    add = ("holds", "add", project, "--user", "-", "--kind", "day", "--basis", "tax law", "--by", "dpo", "--days", "9")
    hold = someone.operator(*add)["hold"]
    # when the person is erased
    request = someone.asks("erasure")
    # then the chat is gone, the rest is kept and said to be kept, until when and why
    assert (request["status"], request["reason"]) == ("on_hold", "legal_hold")
    assert request["until"] > time.time()
    assert "Art. 17(3)" in request["explanation"]
    with OpenAI(base_url=stack.info.base_url, api_key=stack.info.api_key) as api, pytest.raises(openai.NotFoundError):
        api.chat.completions.retrieve(chat)
    first = someone.http.get(f"/privacy/requests/{request['id']}/certificate").content
    # and when the hold is released nobody has to ask again
    assert someone.operator("holds", "release", project, hold, "--user", "-")["erasing"] == [request["id"]]
    ended = someone.until(request["id"], "completed", "failed")
    assert ended["status"] == "completed"
    assert "held" not in [line["outcome"] for line in ended["stores"] if line["store"] == "records"]
    assert someone.http.get(f"/privacy/requests/{request['id']}/certificate").content == first
    second = someone.http.get(f"/privacy/requests/{request['id']}/certificate", params={"part": "release"})
    assert second.json()["payload"]["supplements"]
