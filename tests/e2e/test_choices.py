"""Choices on the running stack, warm functions and all: consent, withdrawal, receipts, recipients (RGT-7, COL-2)."""

from __future__ import annotations

import base64
import hmac
import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from chatapi.aws.av import from_item
from tests.e2e.everywhere import found
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.receiver import Receiver
from tests.support.canary import Canary

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


def test_samples_are_in_the_export_and_the_data_set_until_consent_or_the_person_ends(
    stack: RunningStack, person: Callable[[str], Person], tmp_path: Path
) -> None:
    one, two = person("samples-1"), person("samples-2")
    canary, address, project = Canary("e2e-sample"), "someone@example.com", stack.info.project_id
    improve = one.command("projects", "update", project, "--improve")
    subprocess.run(improve, env=stack.cli_environment(), check=True, capture_output=True)
    # given two people who allow it, and each a chat
    for someone in (one, two):
        choose(someone, "granted", "improvement")
        said = [{"role": "user", "content": f"{canary.text} {address}"}]
        assert "; sample=redacted; sample-until=" in chat(someone, messages=said)

    def samples(someone: Person) -> int:
        pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.info.outputs["RecordsTable"])
        shown = someone.http.post(CONSENTS + "/query", json={"subject": {"user": someone.name}}).json()["data"]
        subject = shown[0]["record"] or next(each["record"] for each in shown if each["record"])
        name = subject["pii_principal_id"]
        return sum(
            row["kind"]["S"] == "sample" and f"#{name}#" in row["pk"]["S"] for page in pages for row in page["Items"]
        )

    assert (samples(one), samples(two)) == (1, 1)
    # when a data set is built, both are in it, redacted and without a name
    made = one.operator("datasets", "build", "both", "--out", str(tmp_path / "both.jsonl"), "--json")
    lines = (tmp_path / "both.jsonl").read_text().splitlines()
    assert (made["people"], made["samples"], len(lines)) == (2, 2, 2)
    assert all(canary.text in json.loads(line)["messages"][0]["content"] for line in lines)
    assert address not in "".join(lines)
    assert made["ledger"]["event"] == "dataset.built"
    # and when one of them withdraws, her samples go, and the next data set leaves her out
    choose(one, "withdrawn", "improvement")
    deadline = time.monotonic() + 60
    while samples(one):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "sample" not in chat(one)
    made = one.operator("datasets", "build", "later", "--out", str(tmp_path / "later.jsonl"), "--json")
    assert (made["people"], made["samples"]) == (1, 1)
    assert one.operator("datasets", "show", "both", "--json")["people_who_do_not_allow_it_now"] == 1
    # and an export shows the other's, and an erasure takes them
    request = two.asks("access")
    with zipfile.ZipFile(io.BytesIO(two.export(request["id"]))) as archive:
        assert canary.text in json.loads(archive.read("samples.jsonl"))["data"]["messages"][0]["content"]
        entered = [json.loads(line)["data_set"] for line in archive.read("data-sets.jsonl").splitlines()]
    assert entered == ["both", "later"]
    assert two.asks("erasure")["status"] == "completed"
    assert samples(two) == 0
    assert "sample" not in chat(two)
    assert found(stack, canary) == {}
