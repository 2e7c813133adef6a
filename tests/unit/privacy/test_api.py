"""The data-rights API as API Gateway calls it, over fakes."""

from __future__ import annotations

import base64
import json

import pytest

from chatapi.aws.errors import AwsUnavailable
from chatapi.catalogue import read_policy
from chatapi.deadlines import acknowledge_by, ccpa_due, due
from chatapi.vault import project_pepper, subject_id
from chatapi.verdict import Verdict
from privacy.handler import handler
from tests.unit.privacy.api import ERASURE, PEPPER, REQUESTS, Api, code
from tests.unit.privacy.world import PROJECT


def test_a_request_is_received_started_and_never_echoes_the_subject(api: Api) -> None:
    answer = api.raw("POST", REQUESTS, ERASURE)
    assert "alice" not in str(answer)
    assert answer["multiValueHeaders"]["cache-control"] == ["no-store"]
    case = json.loads(answer["body"])
    now = int(api.world.clock.now())
    assert case == {
        "id": case["id"],
        "object": "privacy.request",
        "type": "erasure",
        "status": "received",
        "created_at": now,
        "due_at": int(due(now)),
        "completed_at": None,
        "stores": [],
        "result": None,
        "reason": None,
        "until": int(due(now)),
        "explanation": read_policy("rights")["explanations"]["received"],
        "complain": None,
        "clocks": {
            "gdpr": {"due_at": int(due(now)), "extended": False},
            "ccpa": {"acknowledge_by": int(acknowledge_by(now)), "due_at": int(ccpa_due(now))},
        },
        "cancellable": True,
    }
    assert api.executions.started == [(case["id"], PROJECT, case["id"])]
    kept = api.world.cases.get(PROJECT, case["id"])
    assert kept.subject == subject_id(project_pepper(PEPPER, PROJECT), "user", "alice@example.com")
    assert "alice" not in str(api.world.requests.rows)


def test_the_owner_is_a_subject_of_its_own(api: Api) -> None:
    _, case = api.call("POST", REQUESTS, {"type": "erasure", "subject": {"owner": True}})
    assert api.world.cases.get(PROJECT, case["id"]).subject == subject_id(
        project_pepper(PEPPER, PROJECT), "owner", PROJECT
    )


def test_from_request_to_certificate(api: Api) -> None:
    name = api.create()
    assert code(api.call("GET", f"{REQUESTS}/{name}/certificate")) == (404, "certificate_not_ready", None)
    api.complete(name)
    _, case = api.call("GET", f"{REQUESTS}/{name}")
    assert case["status"] == "completed"
    assert case["completed_at"] == int(api.world.clock.now())
    assert all(line.keys() == {"store", "outcome", "count"} for line in case["stores"])
    first, second = (api.raw("GET", f"{REQUESTS}/{name}/certificate")["body"] for _ in range(2))
    assert first == second
    certificate = json.loads(first)
    assert (certificate["object"], certificate["request"]) == ("privacy.certificate", name)
    assert certificate == api.world.certificate(api.world.cases.get(PROJECT, name))


def test_the_largest_user_and_any_unicode_pass(api: Api) -> None:
    for user in ("x" * 512, "日本語 ü \u0000", "𝔘" * 512):
        assert api.call("POST", REQUESTS, {"type": "erasure", "subject": {"user": user}})[0] == 202


def test_a_base64_body(api: Api) -> None:
    event_body = base64.b64encode(json.dumps(ERASURE).encode()).decode()
    event = {
        "httpMethod": "POST", "path": REQUESTS, "headers": None, "queryStringParameters": None,
        "requestContext": {"requestId": "r", "authorizer": Verdict(PROJECT, "k1").to_context()},
        "isBase64Encoded": True, "body": event_body,
    }  # fmt: skip
    assert handler(event, None)["statusCode"] == 202
    assert handler({**event, "body": "%"}, None)["statusCode"] == 400


def test_lists_hold_the_own_projects_requests_page_by_page(api: Api) -> None:
    mine = sorted(api.create(f"user-{number}") for number in range(5))
    api.create(project="projectB")
    _, page = api.call("GET", REQUESTS, query={"limit": "2"})
    assert ([case["id"] for case in page["data"]], page["has_more"]) == (mine[:2], True)
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", mine[0], mine[1])
    _, page = api.call("GET", REQUESTS, query={"after": mine[1], "limit": "3"})
    assert ([case["id"] for case in page["data"]], page["has_more"]) == (mine[2:], False)
    _, page = api.call("GET", REQUESTS, project="projectC")
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_cancelling(api: Api) -> None:
    name = api.create()
    status, case = api.call("POST", f"{REQUESTS}/{name}/cancel")
    assert (status, case["status"]) == (200, "cancelled")
    again = api.raw("POST", f"{REQUESTS}/{name}/cancel")
    assert again["statusCode"] == 409
    assert json.loads(again["body"])["error"]["code"] == "request_not_cancellable"
    assert again["multiValueHeaders"]["x-should-retry"] == ["false"]


def test_the_same_idempotency_key_gives_the_same_request(api: Api) -> None:
    first = api.create(idempotency_key="k" * 64)
    assert api.create(Idempotency_Key="k" * 64) == first
    assert api.create("bob", idempotency_key="other") != first
    assert api.create(idempotency_key="k" * 64, project="projectB") != first
    owner = {"type": "erasure", "subject": {"owner": True}}
    assert code(api.call("POST", REQUESTS, owner, idempotency_key="k" * 64))[:2] == (409, "idempotency_key_reused")


def test_a_request_that_could_not_be_started_is_kept_and_started_later(api: Api) -> None:
    # given Step Functions that do not answer
    api.executions.error = AwsUnavailable("Timeout")
    answer = api.raw("POST", REQUESTS, ERASURE, idempotency_key="k")
    assert answer["statusCode"] == 503
    assert answer["multiValueHeaders"]["retry-after"] == ["1"]
    _, page = api.call("GET", REQUESTS)
    (case,) = page["data"]
    assert case["status"] == "received"
    # when they are back, a repeat of the call starts it
    api.executions.error = None
    name = api.create(idempotency_key="k")
    assert (name, api.executions.started) == (case["id"], [(name, PROJECT, name)])


def test_a_request_that_waited_too_long_is_started_by_the_next_read(api: Api) -> None:
    api.executions.error = AwsUnavailable("Timeout")
    api.raw("POST", REQUESTS, ERASURE)
    _, page = api.call("GET", REQUESTS)
    path = f"{REQUESTS}/{page['data'][0]['id']}"
    api.world.clock.advance(61)
    assert api.call("GET", path)[0] == 200, "reading does not depend on it"
    api.executions.error = None
    api.call("GET", path)
    api.call("GET", path)
    names = {name for name, _, _ in api.executions.started}
    assert len(names) == 1, "polling does not start a swarm"
    assert names != {page["data"][0]["id"]}, "that name may be used up by an execution that died"


def test_a_failed_request_starts_again_with_its_idempotency_key(api: Api) -> None:
    name = api.create(idempotency_key="k")
    case = api.world.cases.get(PROJECT, name)
    api.world.task(case, "verify", "mark_failed")
    api.world.clock.advance(1)
    api.create(idempotency_key="k")
    assert len(api.executions.started) == 2
    assert api.executions.started[1][0] != name
    api.complete(name)
    assert api.call("GET", f"{REQUESTS}/{name}")[1]["status"] == "completed"


def test_public_routes(api: Api) -> None:
    assert api.call("GET", "/health") == (200, {"status": "ok"})
    answer = api.raw("GET", "/.well-known/jwks.json")
    assert answer["multiValueHeaders"]["cache-control"] == ["public, max-age=3600"]
    assert json.loads(answer["body"]) == {"keys": [api.world.signer.jwk()]}


def test_logs_hold_opaque_ids_alone(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.complete(api.create())
    lines = capsys.readouterr().out.splitlines()
    assert "alice" not in "".join(lines)
    assert json.loads(lines[0]) == {"event": "request", "function": "privacy", "request_id": "req-1", "status": 202}
