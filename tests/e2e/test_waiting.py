"""What waits for identity goes on when its person comes by the portal: DPO-2, RGT-0."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chatapi.ids import random62
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.test_portal_story import code, form, project


class Agent:
    """An agent of the Data Rights Protocol that an operator registered."""

    def __init__(self, stack: RunningStack) -> None:
        self.name, self._key = "E2E_" + random62(6).upper(), Ed25519PrivateKey.generate()
        public = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()
        add = [sys.executable, "-m", "chatapi_cli.main", "agents", "add", self.name, "--name", "E2E"]
        subprocess.run([*add, "--verify-key", public], env=stack.cli_environment(), check=True, capture_output=True)
        self.http = httpx.Client(base_url=stack.info.base_url, timeout=30, headers={"content-type": "text/plain"})
        token = self.http.post("/agent/" + self.name, content=self._signed()).json()["token"]
        self.http.headers["authorization"] = f"Bearer {token}"

    def _signed(self, **claims: Any) -> str:
        now = datetime.now(UTC)
        times = {"issued-at": now - timedelta(seconds=2), "expires-at": now + timedelta(minutes=10)}
        parties = {"agent-id": self.name, "business-id": "CHATAPI", "drp.version": "1.0"}
        text = json.dumps({**parties, **{name: at.isoformat() for name, at in times.items()}, **claims}).encode()
        return base64.b64encode(self._key.sign(text) + text).decode()

    def asks(self, exercise: str, email: str) -> dict[str, Any]:
        message = self._signed(exercise=exercise, regime="gdpr", email=email)
        answer: dict[str, Any] = self.http.post("/data-rights-request", content=message).raise_for_status().json()
        return answer

    def status(self, request: str) -> str:
        answer = self.http.get("/data-rights-request/" + request).raise_for_status()
        return str(answer.json()["status"])


def until(read: Callable[[], str], wanted: str) -> None:
    deadline = time.monotonic() + 120
    while (seen := read()) != wanted:
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)


def test_an_agents_request_goes_on_when_its_user_has_read_a_code(stack: RunningStack) -> None:
    # given an owner, and an agent that asks for a copy in their name and has to wait
    address = f"user-{random62(6).lower()}@example.com"
    name, agent = project(stack, address), Agent(stack)
    asked = agent.asks("access", address)
    assert asked["reason"] == "need_user_verification"
    with httpx.Client(trust_env=False, base_url=stack.info.portal_url, follow_redirects=True) as client:
        # when the user signs in where the agent was told, then the request is there
        client.post("/sign-in", data={**form(client, "/sign-in"), "project": name, "address": address})
        challenge, digits = code(stack, address)
        page = client.post("/code", data={**form(client, f"/code?c={challenge}"), "code": digits})
        (path,) = {link for link in page.text.split('"') if link.endswith("/confirm")}
        path = path[path.index("/requests") :]
        assert agent.status(asked["request_id"]) == "in_progress"
        # and goes on when they say so, to its end, of which the agent is told
        page = client.post(path, data=form(client, path))
        assert page.url.path.removeprefix("/portal").startswith("/requests/dsr_"), page.text
    until(lambda: agent.status(asked["request_id"]), "fulfilled")
    agent.http.close()


def test_a_request_that_the_officer_stopped_goes_on_for_who_comes_by_the_projects_link(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given an erasure that the officer stopped while it waits for its time to think
    who, headers = person("waits-" + random62(6)), {"authorization": f"Bearer {stack.info.api_key}"}
    chat = who.chats("hello")
    dynamodb, table, now = stack.aws("dynamodb"), stack.info.outputs["RequestsTable"], int(time.time())
    request, subject = "dsr_" + random62(24), _subject(stack, chat)
    words = {"kind": "case", "type": "erasure", "status": "received", "stage": "reversible", "subject": subject}
    times = {"created": now, "due": now + 10 * 86_400, "ttl": now + 10**6}
    case = {"pk": f"r#{stack.info.project_id}", "sk": request, **words}
    item = {k: {"S": v} for k, v in case.items()} | {k: {"N": str(v)} for k, v in times.items()}
    dynamodb.put_item(TableName=table, Item=item)
    assert who.operator("requests", "pause", stack.info.project_id, request)["status"] == "on_hold"
    with httpx.Client(trust_env=False, base_url=stack.info.portal_url, follow_redirects=True) as client:
        # when the person comes and says that it is theirs
        body = {"subject": {"user": who.name}}
        link = client.post(f"{stack.info.base_url}/privacy/sessions", json=body, headers=headers).json()["url"]
        client.post("/enter", data=form(client, "/enter?t=" + link.rpartition("=")[2])).raise_for_status()
        path = f"/requests/{request}/confirm"
        client.post(path, data={**form(client, path), "sure": "yes"}).raise_for_status()
    # then it goes to its end
    ended = who.until(request, "completed", "failed")
    assert ended["status"] == "completed"
    assert ended["due_at"] >= now + 10 * 86_400
    assert who.get(f"/chat/completions/{chat}").status_code == 404


def _subject(stack: RunningStack, chat: str) -> str:
    key = {"pk": {"S": "l#" + stack.info.project_id}, "sk": {"S": chat}}
    row = stack.aws("dynamodb").get_item(TableName=stack.info.outputs["RecordsTable"], Key=key)
    return str(row["Item"]["subject"]["S"])
