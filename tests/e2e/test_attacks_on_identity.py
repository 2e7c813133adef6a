"""Ways in that must not be: what opens once opens once however many try in the same moment, and nothing is forged.

RGT-0: a right is reached with the subject's own credential, and with nobody else's.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.test_portal_story import form

TRIES = 6
T = TypeVar("T")


def at_once(work: Callable[[int], T]) -> list[T]:
    with ThreadPoolExecutor(TRIES) as pool:
        return list(pool.map(work, range(TRIES)))


def test_a_link_to_an_export_opens_for_one_of_many(person: Callable[[str], Person]) -> None:
    # given a link to a finished export
    who = person("download-race")
    request = who.asks("access")
    link = who.get(f"/privacy/requests/{request['id']}/export").json()["url"]
    # when it is opened many times at once
    answers = at_once(lambda _: httpx.get(link).status_code)
    # then one is led to the bytes, and a replay is as good as a guess
    assert sorted(answers) == [303] + [404] * (TRIES - 1)
    guess = httpx.get(link.rpartition("/")[0] + "/" + "A" * 43)
    replay = httpx.get(link)
    assert (replay.status_code, replay.json()) == (guess.status_code, guess.json())


def test_a_portal_link_lets_one_of_many_in(stack: RunningStack, person: Callable[[str], Person]) -> None:
    # given a link that a project made for an end user
    who = person("link-race")
    made = who.http.post("/privacy/sessions", json={"subject": {"user": who.name}}).json()
    token, root = made["url"].rpartition("=")[2], stack.info.portal_url
    clients = [httpx.Client(trust_env=False, base_url=root) for _ in range(TRIES)]
    fields = [form(client, f"/enter?t={token}") for client in clients]
    # when many browsers follow it at once
    answers = at_once(lambda number: clients[number].post("/enter", data=fields[number]).status_code)
    # then one is in, and sees the page of its own requests
    assert sorted(answers) == [303] + [403] * (TRIES - 1)
    assert sorted(client.get("/requests").status_code for client in clients) == [200] + [303] * (TRIES - 1)
    for client in clients:
        client.close()


class Agent:
    """An authorised agent, and whoever pretends to be one."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http, self.name, self.key = http, name, Ed25519PrivateKey.generate()

    def signs(
        self, key: Ed25519PrivateKey | None = None, *, age: timedelta = timedelta(seconds=2), **claims: Any
    ) -> str:
        issued = datetime.now(UTC) - age
        times = {"issued-at": issued.isoformat(), "expires-at": (issued + timedelta(minutes=10)).isoformat()}
        text = json.dumps(
            {"agent-id": self.name, "business-id": "CHATAPI", "drp.version": "1.0", **times, **claims}
        ).encode()
        return base64.b64encode((key or self.key).sign(text) + text).decode()

    def asks(self, message: str) -> httpx.Response:
        return self.http.post("/data-rights-request", content=message)


@pytest.fixture
def agents(stack: RunningStack) -> Iterator[Sequence[Agent]]:
    """Two agents that an operator registered."""
    headers = {"content-type": "text/plain"}
    with (
        httpx.Client(base_url=stack.info.base_url, timeout=30, headers=headers) as one,
        httpx.Client(base_url=stack.info.base_url, timeout=30, headers=headers) as other,
    ):
        made = [Agent(one, "RACING_AGENT"), Agent(other, "OTHER_AGENT")]
        for agent in made:
            public = base64.b64encode(agent.key.public_key().public_bytes_raw()).decode()
            add = Person.command("agents", "add", agent.name, "--name", "E2E", "--verify-key", public)
            subprocess.run(add, env=stack.cli_environment(), check=True, capture_output=True)
        yield made


def test_an_agent_cannot_be_forged_replayed_or_raced(agents: Sequence[Agent]) -> None:
    agent, other = agents
    # given the message with which an agent sets up its token, overheard and sent by many at once
    setup = agent.signs()
    answers = at_once(lambda _: agent.http.post(f"/agent/{agent.name}", content=setup))
    # then one has a token, and later it is worth nothing
    (token,) = [answer.json()["token"] for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * (TRIES - 1)
    assert agent.http.post(f"/agent/{agent.name}", content=setup).status_code == 403
    agent.http.headers["authorization"] = f"Bearer {token}"
    other.http.headers["authorization"] = f"Bearer {token}"
    # and one signed request that is sent by many at once is one request
    wanted: dict[str, Any] = {
        "exercise": "deletion",
        "regime": "ccpa",
        "email": "x@example.org",
        "email_verified": True,
    }
    message = agent.signs(**wanted)
    asked = at_once(lambda _: agent.asks(message))
    assert {answer.status_code for answer in asked} == {200}
    (request,) = {answer.json()["request_id"] for answer in asked}
    # while nothing that is not the agent's own, whole and in time gets anywhere
    raw = bytearray(base64.b64decode(agent.signs(**wanted)))
    raw[-3] ^= 1
    forged = {
        "another key": agent.signs(Ed25519PrivateKey.generate(), **wanted),
        "another agent's key": agent.signs(other.key, **wanted),
        "another agent's name": agent.signs(**{**wanted, "agent-id": other.name}),
        "another business": agent.signs(**{**wanted, "business-id": "SOMEBODY"}),
        "expired": agent.signs(age=timedelta(minutes=11), **wanted),
        "of tomorrow": agent.signs(age=-timedelta(days=1), **wanted),
        "altered": base64.b64encode(bytes(raw)).decode(),
        "no signature": base64.b64encode(json.dumps(wanted).encode()).decode(),
    }
    refused = {name: agent.asks(text).status_code for name, text in forged.items()}
    assert refused == dict.fromkeys(forged, 400)
    # nor does the token serve another agent, or a message serve without it
    assert other.asks(other.signs(**wanted)).status_code in (400, 403)
    assert other.http.get(f"/agent/{other.name}").status_code == 403
    del other.http.headers["authorization"]
    assert other.asks(message).status_code == 403
    # and what was asked for is the agent's own to see and to take back
    path = f"/data-rights-request/{request}"
    assert other.http.get(path).status_code == 403
    assert agent.http.request("DELETE", path, content=agent.signs(other.key)).status_code == 400
    assert agent.http.request("DELETE", path, content=agent.signs()).json()["status"] == "revoked"


def test_one_opendsr_request_that_comes_many_times_at_once_is_one_case(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given a request of another controller's tool, sent again before the first answer
    who = person("opendsr-race")
    identity = {"identity_type": "controller_customer_id", "identity_format": "raw", "identity_value": who.name}
    wanted = {
        "regulation": "gdpr",
        "subject_request_id": str(uuid4()),
        "subject_request_type": "erasure",
        "submitted_time": "2026-10-02T15:00:00Z",
        "subject_identities": [identity],
    }
    answers = at_once(lambda _: who.http.post("/privacy/opendsr/v2/requests", json=wanted))
    assert {answer.status_code for answer in answers} == {201}
    # then there is one case, and each is told of it
    scan = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.info.outputs["RequestsTable"])
    rows = [row for page in scan for row in page["Items"]]
    (bound,) = [row for row in rows if row["sk"]["S"].endswith(wanted["subject_request_id"])]
    (case,) = [row for row in rows if row["kind"]["S"] == "case" and row["sk"] == bound["case"]]
    same = [row for row in rows if row["kind"]["S"] == "case" and row["subject"] == case["subject"]]
    assert len(same) == 1
    path = f"/privacy/opendsr/v2/requests/{wanted['subject_request_id']}"
    assert who.get(path).json()["request_status"] in ("pending", "in_progress", "completed")
    # and nobody else's key reads it
    project = ("projects", "create", "--name", "other", "--json")
    done = subprocess.run(
        Person.command(*project), env=stack.cli_environment(), check=True, capture_output=True, text=True
    )
    headers = {"authorization": f"Bearer {json.loads(done.stdout)['api_key']}"}
    assert httpx.get(stack.info.base_url + path, headers=headers).status_code in (403, 404)
