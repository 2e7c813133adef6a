"""Other people's tools ask for data subjects' rights, on the running stack; a mail to the officer is one (DPO-1)."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from tests.e2e.everywhere import found
from tests.e2e.local_stack import RunningStack
from tests.e2e.receiver import Receiver
from tests.support.canary import Canary
from tests.support.transformed import ROOT

OPENDSR = "/privacy/opendsr/v2"


@pytest.fixture
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {stack.info.api_key}"}
    with httpx.Client(base_url=stack.info.base_url, headers=headers, timeout=30) as client:
        yield client


def verify(pem: bytes, headers: Any, body: bytes) -> None:
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(headers["x-opendsr-signature"]), body, ec.ECDSA(SHA256()))


def test_an_erasure_in_opendsr_is_called_back_signed_until_it_is_completed(
    stack: RunningStack, http: httpx.Client, receiver: Receiver
) -> None:
    # given a stored chat of an end user whose id is a canary
    canary = Canary("opendsr")
    asked = [{"role": "user", "content": "Name a colour."}]
    body = {"model": "smollm2-135m", "messages": asked, "store": True, "user": canary.text, "max_tokens": 4}
    chat = http.post("/chat/completions", json=body).json()["id"]
    # when the controller's tool finds out how, and asks for the erasure
    discovery = httpx.get(stack.info.base_url + OPENDSR + "/discovery").json()
    assert "erasure" in discovery["supported_subject_request_types"]
    pem = httpx.get(discovery["processor_certificate"]).content
    name = str(uuid4())
    asked_for = {
        "regulation": "gdpr",
        "subject_request_id": name,
        "subject_request_type": "erasure",
        "submitted_time": "2026-10-02T15:00:00Z",
        "subject_identities": [{**discovery["supported_identities"][0], "identity_value": canary.text}],
        "status_callback_urls": [receiver.url],
    }
    receipt = http.post(OPENDSR + "/requests", json=asked_for)
    # then the receipt is signed, and the callbacks, signed too, end with `completed`
    assert receipt.status_code == 201, receipt.text
    verify(pem, receipt.headers, receipt.content)
    words, deadline = [], time.monotonic() + 90
    while not words or words[-1] != "completed":
        headers, told = receiver.seen.get(timeout=max(0.1, deadline - time.monotonic()))
        verify(pem, headers, told)
        words.append(json.loads(told)["request_status"])
        assert json.loads(told)["subject_request_id"] == name
        assert not canary.found_in(told)
    assert words in (["completed"], ["in_progress", "completed"])
    status = http.get(f"{OPENDSR}/requests/{name}")
    verify(pem, status.headers, status.content)
    assert http.get(status.json()["results_url"]).json()["object"] == "privacy.certificate"
    assert http.get(f"/chat/completions/{chat}").status_code == 404
    # and the end user's id is in no store
    assert found(stack, canary) == {}


def test_an_access_in_opendsr_ends_in_an_export(stack: RunningStack, http: httpx.Client) -> None:
    # given a stored chat, and the request of a tool that polls
    canary = Canary("opendsr-access")
    asked = [{"role": "user", "content": "Name a colour."}]
    body = {"model": "smollm2-135m", "messages": asked, "store": True, "user": canary.text, "max_tokens": 4}
    assert http.post("/chat/completions", json=body).status_code == 200
    name = str(uuid4())
    identity = {"identity_type": "controller_customer_id", "identity_format": "raw", "identity_value": canary.text}
    wanted = {
        "regulation": "ccpa",
        "subject_request_id": name,
        "subject_request_type": "access",
        "submitted_time": "2026-10-02T15:00:00+02:00",
        "subject_identities": [identity],
    }
    assert http.post(OPENDSR + "/requests", json=wanted).status_code == 201
    # when it is completed
    deadline = time.monotonic() + 90
    while (status := http.get(f"{OPENDSR}/requests/{name}").json())["request_status"] != "completed":
        assert time.monotonic() < deadline, status
        time.sleep(1)
    # then the results are behind the URL that it names
    export = http.get(status["results_url"]).json()
    assert httpx.get(export["url"], follow_redirects=True).content[:2] == b"PK"


def test_a_certificate_signing_request_is_of_the_key_in_kms(stack: RunningStack) -> None:
    command = [str(ROOT / ".venv" / "bin" / "chatapi"), "dialects", "csr", "--domain", "api.example.org"]
    done = subprocess.run(command, env=stack.cli_environment(), check=True, capture_output=True)
    root = stack.info.base_url.removesuffix("/v1")
    served = x509.load_pem_x509_certificate(httpx.get(root + "/.well-known/opendsr.pem").content)
    asked = x509.load_pem_x509_csr(done.stdout)
    assert asked.is_signature_valid
    assert asked.public_key() == served.public_key()


def test_a_mail_to_the_officer_gives_a_request_id(stack: RunningStack, tmp_path: Path) -> None:
    # given a mail whose sender, subject and text are canaries
    canary = Canary("mail")
    letter = tmp_path / "letter.eml"
    letter.write_bytes(
        b"From: Alice <alice@example.org>\r\nTo: privacy@chatapi.com\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nSubject: about me\r\n\r\n" + canary.text.encode() + b"\r\n"
    )

    def receive(*options: str) -> dict[str, Any]:
        command = [str(ROOT / ".venv" / "bin" / "chatapi"), "mail", "receive", str(letter), *options]
        done = subprocess.run(command, env=stack.cli_environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    # when it arrives, twice
    first, second = receive(), receive()
    # then there is one request, and one acknowledgement with its number
    assert first["outcome"] == "acknowledged"
    assert second == {"request": first["request"], "outcome": "repeated"}
    outbox = httpx.get(stack.info.aws_endpoint_url + "/_ministack/ses/messages").text
    assert outbox.count("alice@example.org") >= 1
    assert first["request"] in outbox
    assert f"sign in to {stack.info.portal_url} with" in outbox
    # and a forged one is taken, and not answered
    letter.write_bytes(letter.read_bytes().replace(b"alice@", b"victim@"))
    forged = receive("--dmarc", "FAIL", "--spf", "FAIL")
    assert forged["outcome"] == "not_vouched"
    assert "victim@example.org" not in httpx.get(stack.info.aws_endpoint_url + "/_ministack/ses/messages").text
    # the officer ends the first
    command = [str(ROOT / ".venv" / "bin" / "chatapi"), "mail", "answered", first["request"]]
    done = subprocess.run(command, env=stack.cli_environment(), capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["status"] == "completed", done.stderr
    # while neither text nor sender is in any other store than the mails themselves
    places = found(stack, canary, *(Canary(name, f"{name}@example.org") for name in ("alice", "victim")))
    kept = {place for each in places.values() for place in each if stack.info.outputs["MailBucket"] not in place[1]}
    assert kept == {("sent", "mail")}
    assert {kind for kind, _ in places[canary.text]} == {"object"}


def test_an_agent_registers_asks_and_takes_back(stack: RunningStack) -> None:
    # given an agent that an operator registered
    key, canary = Ed25519PrivateKey.generate(), Canary("drp")
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    command = [str(ROOT / ".venv" / "bin" / "chatapi"), "agents", "add", "E2E_AGENT", "--name", "E2E"]
    add = [*command, "--verify-key", public]
    subprocess.run(add, env=stack.cli_environment(), check=True, capture_output=True)

    def sign(**claims: Any) -> str:
        now = datetime.now(UTC)
        times = {"issued-at": now - timedelta(seconds=2), "expires-at": now + timedelta(minutes=10)}
        parties = {"agent-id": "E2E_AGENT", "business-id": "CHATAPI", "drp.version": "1.0"}
        text = json.dumps({**parties, **{name: at.isoformat() for name, at in times.items()}, **claims}).encode()
        return base64.b64encode(key.sign(text) + text).decode()

    with httpx.Client(base_url=stack.info.base_url, timeout=30, headers={"content-type": "text/plain"}) as http:
        # when it sets up its token and asks for a deletion
        token = http.post("/agent/E2E_AGENT", content=sign()).json()["token"]
        http.headers["authorization"] = f"Bearer {token}"
        assert http.get("/agent/E2E_AGENT").json() == {}
        message = sign(exercise="deletion", regime="ccpa", email=f"{canary.text}@example.org", email_verified=True)
        asked = http.post("/data-rights-request", content=message)
        # then the user is to prove who they are, and a replay is the same request
        assert asked.status_code == 200, asked.text
        assert (asked.json()["status"], asked.json()["reason"]) == ("in_progress", "need_user_verification")
        assert http.post("/data-rights-request", content=message).json() == asked.json()
        # and it can be taken back, by a signed message alone
        path = f"/data-rights-request/{asked.json()['request_id']}"
        assert http.request("DELETE", path, content="AAAA").status_code == 400
        assert http.request("DELETE", path, content=sign()).json()["status"] == "revoked"
        # while a forged one is refused
        forged = base64.b64encode(Ed25519PrivateKey.generate().sign(b"{}") + b"{}").decode()
        assert http.post("/data-rights-request", content=forged).status_code == 400
        assert http.post("/agent/E2E_AGENT", content=forged).status_code == 403
    assert found(stack, canary) == {}


def test_a_webhook_is_told_of_an_erasure_and_the_certificate_says_so(
    stack: RunningStack, http: httpx.Client, receiver: Receiver
) -> None:
    # given a project with a webhook that is out of order at first, and an end user
    canary = Canary("webhook")
    secret = http.put("/privacy/recipients", json={"webhook_url": receiver.url}).json()["secret"]
    receiver.status = 500
    asked = http.post("/privacy/requests", json={"type": "erasure", "subject": {"user": canary.text}}).json()
    # when the erasure tells it
    first, body = receiver.seen.get(timeout=90)
    receiver.status = 200
    second, again = receiver.seen.get(timeout=60)
    # then it is the same message, signed
    assert (first["webhook-id"], body) == (second["webhook-id"], again)
    assert json.loads(body)["metadata"]["uid"] == asked["id"]
    signed = f"{second['webhook-id']}.{second['webhook-timestamp']}.".encode() + again
    mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")
    assert second["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    # and the certificate has what it answered
    deadline = time.monotonic() + 60
    while (answer := http.get(f"/privacy/requests/{asked['id']}/certificate")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(1)
    told = [line for line in answer.json()["payload"]["recipients"] if line["recipient"] == "webhook"]
    assert [line["answer"] for line in told] == ["acknowledged"]
    assert http.delete("/privacy/recipients").json()["webhook_url"] is None
    assert not canary.found_in(body)
    assert found(stack, canary, Canary("secret", secret)) == {}
