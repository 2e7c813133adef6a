"""The client keeps connections, repairs them, tries again when that may help, and says nothing that it was told."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from chatapi.aws import AwsClient, AwsError, AwsUnavailable, Credentials
from tests.unit.aws.stub import Chunks, Drop, Reply, Silence, Stub, closed_port, running

SECRET = "canary-secret"


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running(Stub()) as stub:
        yield stub


def client(endpoint: str, service: str = "dynamodb", **options: Any) -> AwsClient:
    options = {"timeout": 5.0, "sleep": lambda seconds: None, **options}
    return AwsClient(
        service,
        region="eu-central-1",
        endpoint=endpoint,
        credentials=lambda: Credentials("AKID", SECRET, "canary-token"),
        **options,
    )


def refusal(code: str, status: int = 400, **more: Any) -> Reply:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "canary-message", **more}
    return Reply(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("service", "operation", "target", "version"),
    [
        ("dynamodb", "UpdateItem", "DynamoDB_20120810.UpdateItem", "1.0"),
        ("kms", "Decrypt", "TrentService.Decrypt", "1.1"),
        ("secretsmanager", "GetSecretValue", "secretsmanager.GetSecretValue", "1.1"),
        ("states", "StartExecution", "AWSStepFunctions.StartExecution", "1.0"),
    ],
)
def test_a_call_speaks_the_protocol_of_its_service(
    stub: Stub, service: str, operation: str, target: str, version: str
) -> None:
    stub.reply(Reply(body=b'{"answer": 42}'))

    assert client(stub.url, service).call(operation, {"Key": "ü"}) == {"answer": 42}

    (request,) = stub.requests
    assert request.json == {"Key": "ü"}
    assert request.headers["x-amz-target"] == target
    assert request.headers["content-type"] == f"application/x-amz-json-{version}"
    assert request.headers["x-amz-security-token"] == "canary-token"
    assert f"/eu-central-1/{service}/aws4_request" in request.headers["authorization"]
    assert request.headers["host"] == stub.url.removeprefix("http://")


def test_calls_share_a_connection_and_are_counted(stub: Stub) -> None:
    stub.reply(Reply(), Reply(), refusal("ConditionalCheckFailedException"), Reply())
    aws = client(stub.url)
    aws.call("GetItem", {})
    aws.call("UpdateItem", {})
    with pytest.raises(AwsError):
        aws.call("UpdateItem", {})
    aws.call("GetItem", {})

    assert len({request.port for request in stub.requests}) == 1
    assert aws.calls == {"GetItem": 2, "UpdateItem": 2}


def test_a_connection_that_the_peer_closed_is_replaced_without_costing_an_attempt(stub: Stub) -> None:
    stub.reply(Reply(hang_up=True), Reply(body=b'{"second": 1}'))
    aws = client(stub.url, attempts=1)
    aws.call("GetItem", {})

    assert aws.call("GetItem", {}) == {"second": 1}
    assert len({request.port for request in stub.requests}) == 2


def test_a_reused_connection_that_dies_under_the_request_is_replaced_once(stub: Stub) -> None:
    stub.reply(Reply(), Drop(), Reply(body=b'{"third": 1}'), Drop(), Drop())
    aws = client(stub.url, attempts=1)
    aws.call("GetItem", {})

    assert aws.call("GetItem", {}) == {"third": 1}
    with pytest.raises(AwsUnavailable) as caught:
        aws.call("GetItem", {})
    assert caught.value.code == "ConnectionFailed"
    assert len(stub.requests) == 5


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(500, b"<html>canary-message</html>"),
        refusal("InternalServerError", 500),
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("TransactionConflictException"),
        Reply(429),
        Drop(),
        Chunks((b'{"half":',), cut=True),
        Reply(200, b"canary-message"),
    ],
)
def test_trouble_that_may_pass_is_tried_again_and_then_reported(stub: Stub, trouble: Any) -> None:
    stub.reply(trouble, trouble, Reply(body=b'{"done": 1}'), *[trouble] * 3)
    pauses: list[float] = []
    aws = client(stub.url, attempts=3, sleep=pauses.append)

    assert aws.call("GetItem", {}) == {"done": 1}
    assert len(pauses) == 2
    assert all(0 <= pause <= limit for pause, limit in zip(pauses, (0.05, 0.1), strict=True))

    with pytest.raises(AwsUnavailable):
        client(stub.url, attempts=3).call("GetItem", {})
    assert len(stub.requests) == 6


def test_silence_is_a_timeout(stub: Stub) -> None:
    stub.reply(Silence(), Silence())
    with pytest.raises(AwsUnavailable) as caught:
        client(stub.url, timeout=0.05).call("GetItem", {})
    assert caught.value.code == "Timeout"
    assert len(stub.requests) == 2


def test_nobody_listening_is_a_failed_connection() -> None:
    with pytest.raises(AwsUnavailable) as caught:
        client(f"http://127.0.0.1:{closed_port()}").call("GetItem", {})
    assert caught.value.code == "ConnectionFailed"
    assert caught.value.status == 0


def test_a_failed_condition_is_not_repeated_and_brings_the_old_item(stub: Stub) -> None:
    stub.reply(refusal("ConditionalCheckFailedException", Item={"limit": {"N": "7"}}))
    with pytest.raises(AwsError) as caught:
        client(stub.url).call("UpdateItem", {})
    assert not isinstance(caught.value, AwsUnavailable)
    assert caught.value.code == "ConditionalCheckFailedException"
    assert caught.value.status == 400
    assert caught.value.item == {"limit": {"N": "7"}}
    assert len(stub.requests) == 1


def test_a_cancelled_transaction_brings_its_reasons(stub: Stub) -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "canary-message"}]
    stub.reply(refusal("TransactionCanceledException", CancellationReasons=reasons))
    with pytest.raises(AwsError) as caught:
        client(stub.url).call("TransactWriteItems", {})
    assert caught.value.reasons == ("None", "ConditionalCheckFailed")


@pytest.mark.parametrize(
    "reply",
    [
        refusal("ConditionalCheckFailedException", Item={"name": {"S": "canary-item"}}),
        refusal("canary message with blanks"),
        refusal("ValidationException"),
        Reply(500, b"canary-message"),
        Reply(200, b"canary-message"),
        Drop(),
    ],
)
def test_no_secret_and_no_payload_in_any_text(stub: Stub, reply: Any) -> None:
    stub.reply(reply)
    aws = client(stub.url, attempts=1)
    with pytest.raises(AwsError) as caught:
        aws.call("PutItem", {"Item": "canary-payload"})
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = [str(error), repr(error), repr(aws), repr(aws._credentials()), *traceback.format_exception(error)]
    assert "canary-" not in "".join(line for line in shown if "canary-payload" not in line)
    assert "canary" not in str(error) + repr(error)


def test_a_rest_response_can_be_streamed_and_its_connection_used_again(stub: Stub) -> None:
    stub.reply(Chunks((b"one", b"two"), headers={"X-Amzn-RequestId": "r1"}), Reply(404, b"gone"))
    aws = client(stub.url, "bedrock-runtime")

    status, headers, response = aws.open("POST", "/model/m%3A0/converse-stream", b"{}", {"Accept": "x/y"})
    parts = b"".join(iter(response.read1, b""))
    assert (status, headers["x-amzn-requestid"], parts) == (200, "r1", b"onetwo")
    status, _, response = aws.open("GET", "/nothing")
    assert (status, response.read()) == (404, b"gone")

    assert [request.path for request in stub.requests] == ["/model/m%3A0/converse-stream", "/nothing"]
    assert len({request.port for request in stub.requests}) == 1
    assert "/bedrock/aws4_request, SignedHeaders=accept;host;" in stub.requests[0].headers["authorization"]
    assert aws.calls == {"converse-stream": 1, "nothing": 1}


def test_closing_a_response_hangs_up(stub: Stub) -> None:
    stub.reply(Chunks((b"one",), hold=True), Reply())
    aws = client(stub.url, "bedrock-runtime")
    _, _, response = aws.open("POST", "/model/m/converse-stream", b"{}")
    assert response.read1() == b"one"

    response.close()

    assert stub.hung_up.wait(10)
    response.close()
    aws.open("GET", "/next")[2].read()
    assert len({request.port for request in stub.requests}) == 2


def test_a_rest_request_is_repeated_when_refused_but_not_when_it_may_be_running(stub: Stub) -> None:
    stub.reply(Reply(503), Reply(429), Reply(200, b"ok"))
    assert client(stub.url, "bedrock-runtime", attempts=3).open("POST", "/m", b"{}")[2].read() == b"ok"
    assert len(stub.requests) == 3

    stub.reply(Silence())
    with pytest.raises(AwsUnavailable) as caught:
        client(stub.url, "bedrock-runtime", attempts=3).open("POST", "/m", b"{}", timeout=0.05)
    assert caught.value.code == "Timeout"
    assert len(stub.requests) == 4


def test_two_open_streams_have_a_connection_each(stub: Stub) -> None:
    stub.reply(Chunks((b"one",)), Chunks((b"two",)))
    aws = client(stub.url, "bedrock-runtime")
    first, second = aws.open("POST", "/1")[2], aws.open("POST", "/2")[2]
    assert (second.read(), first.read()) == (b"two", b"one")
    assert len({request.port for request in stub.requests}) == 2


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "dynamodb.eu-central-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "127.0.0.1:4566"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ENDPOINT_URL_DYNAMODB": "http://[::1]:1"}, "[::1]:1"),
    ],
)
def test_the_endpoint_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert AwsClient("dynamodb", region="eu-central-1")._transport.host == expected


@pytest.mark.parametrize("endpoint", ["http://example.com", "http://127.0.0.1.example.com:80", "ftp://localhost", "x"])
def test_clear_text_never_leaves_this_machine(endpoint: str) -> None:
    with pytest.raises(ValueError):
        AwsClient("dynamodb", region="r", endpoint=endpoint)


def test_unknown_services_and_no_attempts_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown AWS service"):
        AwsClient("s3", region="r")
    with pytest.raises(ValueError, match="attempts"):
        AwsClient("kms", region="r", attempts=0)
