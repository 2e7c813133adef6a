"""Choices on the running stack, warm functions and all: consent, withdrawal, receipts, recipients (RGT-7, COL-2)."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from chatapi.aws.av import from_item
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.receiver import Receiver

CONSENTS = "/privacy/consents"


def counted(stack: RunningStack) -> int:
    """Requests in the stream of patterns."""
    pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.info.outputs["PatternsTable"])
    rows = [from_item(_plain(row)) for page in pages for row in page["Items"]]
    return sum(row["n_requests"] for row in rows if row["kind"] == "pattern")


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is on the wire: boto3 has its bytes decoded."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value for name, value in item.items()
    }


def choose(someone: Person, state: str, purpose: str = "analytics") -> dict[str, Any]:
    body = {"subject": {"user": someone.name}, "purpose": purpose, "state": state}
    made: dict[str, Any] = someone.http.post(CONSENTS, json=body).raise_for_status().json()
    return made


def chat(someone: Person, **more: Any) -> str:
    """What the receipt of a chat says."""
    asked = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    answered = someone.http.post("/chat/completions", json={**asked, "user": someone.name, **more})
    return answered.raise_for_status().headers["data-handling"]


def test_a_choice_is_obeyed_by_the_next_request(stack: RunningStack, person: Callable[[str], Person]) -> None:
    someone, other = person("choices-1"), person("choices-2")
    # given functions that are warm
    chat(someone)
    before = counted(stack)
    # when she allows it, her next chat is counted and nobody else's
    choose(someone, "granted")
    assert chat(someone).endswith("; purposes=analytics")
    assert chat(other).endswith("; purposes=none")
    assert counted(stack) == before + 1
    # when she withdraws, the next request writes nothing, time and again
    for _ in range(3):
        choose(someone, "withdrawn")
        assert chat(someone).endswith("; purposes=none")
        assert counted(stack) == before + 1
        choose(someone, "granted")
        choose(someone, "withdrawn")
        assert chat(someone, stream=True).endswith("; purposes=none")
        assert counted(stack) == before + 1
    # and an operator is told nothing of so few
    shown = someone.operator("patterns", "--json")["data"]
    assert [day["people"] for day in shown] == [None]


def test_a_receipt_is_signed_and_the_projects_webhook_is_told(
    stack: RunningStack, person: Callable[[str], Person], receiver: Receiver, tmp_path: Path
) -> None:
    someone = person("choices-receipt@example.com")
    project = stack.info.project_id
    update = [*someone.command("projects", "update", project), "--webhook", receiver.url]
    said = subprocess.run(update, env=stack.cli_environment(), capture_output=True, text=True, check=True).stdout
    secret = base64.b64decode(said.strip().rpartition("whsec_")[2])
    try:
        # when she objects
        receipt = choose(someone, "withdrawn")
        # then the webhook is told, signed, and of nobody by name
        headers, body = receiver.seen.get(timeout=60)
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
        assert headers["webhook-signature"] == expected
        message = json.loads(body)
        assert (message["kind"], message["metadata"]["uid"]) == ("RestrictProcessingRequest", receipt["receipt_id"])
        assert someone.name.encode() not in body
    finally:
        subprocess.run([*update[:-1], "none"], env=stack.cli_environment(), capture_output=True, check=True)
    # and the receipt is signed, the same at every look, and verifies offline
    deadline = time.monotonic() + 60
    while (receipt := choose(someone, "withdrawn"))["jws"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    shown = someone.http.post(CONSENTS + "/query", json={"subject": {"user": someone.name}}).json()["data"]
    assert [one["receipt"] for one in shown if one["purpose"] == "analytics"] == [receipt]
    (tmp_path / "receipt.json").write_text(json.dumps(receipt))
    keys = httpx.get(stack.info.base_url.removesuffix("/v1") + "/.well-known/jwks.json").content
    (tmp_path / "jwks.json").write_bytes(keys)
    verify = someone.command("verify", str(tmp_path / "receipt.json"), "--jwks", str(tmp_path / "jwks.json"))
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    (tmp_path / "receipt.json").write_text(json.dumps({**receipt, "receipt_id": "con_other.1"}))
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 1
