"""The edge as API Gateway: routes, events, the authorizer, gateway responses, and what a buffered function can do."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.edge_stack import Edge, running_edge

ALLOW = {"Authorization": "allow"}
SECRET = "a-secret-of-the-user"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running_edge(tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture(scope="module")
def client(edge: Edge) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.url) as connected:
        yield connected


def test_a_proxy_event_says_what_api_gateway_says(client: httpx.Client) -> None:
    headers = [("Authorization", "allow"), ("X-Twice", "1"), ("X-Twice", "2"), ("TE", "trailers")]
    response = client.post("/items/a%20b/parts/%C3%A9?q=1&q=2&empty=&plus=a+b", headers=headers, content="text")
    assert response.status_code == 404  # no POST on that resource

    event = client.get("/items/a%20b/parts/%C3%A9?q=1&q=2&empty=&plus=a+b", headers=headers).json()

    assert (event["resource"], event["path"]) == ("/items/{id}/parts/{part}", "/items/a%20b/parts/%C3%A9")
    assert event["httpMethod"] == "GET"
    assert event["pathParameters"] == {"id": "a b", "part": "é"}
    assert event["queryStringParameters"] == {"q": "2", "empty": "", "plus": "a b"}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "empty": [""], "plus": ["a b"]}
    assert event["headers"]["X-Twice"] == "2"
    assert event["multiValueHeaders"]["X-Twice"] == ["1", "2"]
    assert event["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert event["headers"]["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert not {"te", "connection"} & {name.lower() for name in event["headers"]}
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert context["resourcePath"] == "/items/{id}/parts/{part}"
    assert (context["stage"], context["accountId"], context["apiId"]) == ("live", "000000000000", "api")
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["identity"]["userAgent"].startswith("python-httpx")
    assert context["requestId"]


def test_without_query_or_parameters_the_maps_are_null(client: httpx.Client) -> None:
    event = client.get("/open").json()

    absent = ("pathParameters", "queryStringParameters", "multiValueQueryStringParameters")
    assert [event[name] for name in absent] == [None] * 3
    assert "authorizer" not in event["requestContext"]


@pytest.mark.parametrize(
    ("sent", "body", "is_base64"),
    [(b"", None, False), ("tëxt".encode(), "tëxt", False), (b"\xff\x00", "/wA=", True)],
)
def test_a_text_body_travels_as_it_is_and_any_other_as_base64(
    client: httpx.Client, sent: bytes, body: str | None, is_base64: bool
) -> None:
    event = client.post("/open", content=sent).json()

    assert (event["body"], event["isBase64Encoded"]) == (body, is_base64)


@pytest.mark.parametrize(
    ("method", "path", "resource"),
    [
        ("GET", "/echo/literal", "/echo/literal"),
        ("GET", "/echo/other", "/echo/{proxy+}"),
        ("DELETE", "/echo/a/b/c", "/echo/{proxy+}"),
        ("GET", "/open/", "/open"),
    ],
)
def test_literal_segments_win_over_greedy_ones(client: httpx.Client, method: str, path: str, resource: str) -> None:
    assert client.request(method, path, headers=ALLOW).json()["resource"] == resource


def test_the_authorizer_gets_a_request_event_and_its_context_arrives_as_strings(client: httpx.Client) -> None:
    event = client.get("/items/1/parts/2?q=1", headers=ALLOW).json()

    context = event["requestContext"]["authorizer"]
    assert (context["principalId"], context["message"]) == ("p", "slow down")
    assert (context["retry_after"], context["flag"]) == ("7", "true")
    seen = json.loads(context["event"])
    assert seen["type"] == "REQUEST"
    assert seen["methodArn"] == "arn:aws:execute-api:eu-central-1:000000000000:api/live/GET/items/1/parts/2"
    assert (seen["resource"], seen["path"]) == ("/items/{id}/parts/{part}", "/items/1/parts/2")
    assert seen["headers"]["Authorization"] == "allow"
    assert seen["queryStringParameters"] == {"q": "1"}
    assert (seen["pathParameters"], seen["stageVariables"]) == ({"id": "1", "part": "2"}, {})
    assert seen["requestContext"]["requestId"] == event["requestContext"]["requestId"]
    assert seen["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert "body" not in seen


def test_a_denial_is_shaped_by_the_template(client: httpx.Client) -> None:
    response = client.get("/echo/x", headers={"Authorization": "deny"})

    request_id = response.headers["x-amzn-requestid"]
    assert response.status_code == 429
    assert response.json() == {"message": "slow down", "none": "", "id": request_id}
    assert response.headers["retry-after"] == "7"
    assert response.headers["x-static"] == "static"
    assert response.headers["x-request-id"] == request_id
    assert "x-absent" not in response.headers


@pytest.mark.parametrize(
    ("outcome", "status", "body"),
    [
        ("elsewhere", 429, "slow down"),  # an Allow for another resource allows nothing
        ("both", 429, "slow down"),  # an explicit Deny wins
        ("unauthorized", 401, '{"message":"Unauthorized"}'),
        ("fault", 500, "AUTHORIZER_FAILURE"),
        ("nonsense", 500, "AUTHORIZER_CONFIGURATION_ERROR"),
        ("", 401, '{"message":"Unauthorized"}'),
    ],
)
def test_every_outcome_of_the_authorizer(client: httpx.Client, outcome: str, status: int, body: str) -> None:
    response = client.get("/echo/x", headers={"Authorization": outcome})

    assert response.status_code == status
    assert body in response.text
    assert "secret" not in response.text


def test_without_its_identity_source_the_authorizer_is_not_asked(edge: Edge, client: httpx.Client) -> None:
    log = edge.log_dir / "AuthFunction.log"
    before = log.read_bytes() if log.exists() else b""

    # the fixture's authorizer fails, and says so in its log, when the header is missing
    assert client.get("/echo/x").status_code == 401
    assert (log.read_bytes() if log.exists() else b"") == before


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", "/"), ("GET", "/items/1"), ("PUT", "/stream")]
)
def test_an_unknown_route_or_method_is_a_gateway_response(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path, headers=ALLOW)

    assert (response.status_code, response.json()) == (404, {"gateway": "no route"})
    assert response.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


def test_a_preflight_is_answered_by_the_mock_integration(client: httpx.Client) -> None:
    response = client.options("/stream")

    assert (response.status_code, response.text.strip()) == (200, "{}")
    assert response.headers["access-control-allow-origin"] == "https://example.test"
    assert response.headers["access-control-allow-methods"] == "GET,POST"


@pytest.mark.parametrize(
    ("case", "status", "content"),
    [
        ("crash", 502, b"Internal server error"),
        ("raise", 502, b"Internal server error"),
        ("malformed", 502, b"DEFAULT_5XX"),
        ("dict", 502, b"DEFAULT_5XX"),
        ("bad-header", 502, b"DEFAULT_5XX"),
        ("binary", 200, b"\x00\xff"),
    ],
)
def test_what_a_buffered_function_can_answer(client: httpx.Client, case: str, status: int, content: bytes) -> None:
    response = client.get("/open", params={"do": case})

    assert response.status_code == status
    assert content in response.content
    assert b"secret" not in response.content
    assert ("x-request-id" in response.headers) is (status == 502)  # only what the template maps


def test_headers_of_a_buffered_response(client: httpx.Client) -> None:
    response = client.get("/open", params={"do": "headers"})

    assert response.status_code == 201
    assert response.headers["x-one"] == "1"
    assert response.headers.get_list("x-two") == ["2", "two"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/broken", 502, "DEFAULT_5XX"),  # the handler does not exist: init fails
        ("/broken-stream", 502, "DEFAULT_5XX"),
        ("/no-script", 504, "INTEGRATION_FAILURE"),  # no layer has its wrapper script
        ("/impatient?do=sleep", 504, "INTEGRATION_TIMEOUT"),
        ("/quick?do=sleep", 502, "DEFAULT_5XX"),  # Lambda's own timeout is a failed function
    ],
)
def test_a_function_that_gives_no_answer(client: httpx.Client, path: str, status: int, kind: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.json()["gateway"]) == (status, kind)


def test_a_large_body_passes_and_a_larger_one_is_refused(client: httpx.Client) -> None:
    large = b"x" * (4 * 1024 * 1024)

    assert client.post("/stream/buffered", content=large).status_code == 502  # it reached the function: no JSON
    for body in (large, "é".encode() * (2 * 1024 * 1024)):
        assert client.post("/open?do=headers", content=body).status_code == 201
    for size in (7, 11):  # above Lambda's payload, above API Gateway's
        response = client.post("/open", content=b"x" * (size * 1024 * 1024))
        assert (response.status_code, response.json()) == (413, {"message": "Request Too Long"})


def test_a_process_sees_what_it_would_see_on_lambda(edge: Edge, client: httpx.Client) -> None:
    seen = client.get("/open", params={"do": "process"}).json()

    env = seen["env"]
    assert env["FROM_TEMPLATE"] == "yes"
    assert "FROM_PARENT" not in env
    assert (env["AWS_LAMBDA_FUNCTION_NAME"], env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) == ("EchoFunction", "256")
    assert (env["AWS_REGION"], env["AWS_DEFAULT_REGION"], env["TZ"]) == ("eu-central-1", "eu-central-1", ":UTC")
    assert env["LAMBDA_TASK_ROOT"] == seen["cwd"]
    assert not [path for path in seen["path"] if "site-packages" in path]
    assert seen["arn"].endswith(":function:EchoFunction")
    assert 0 < seen["remaining"] <= 10_000
    # one request after the other meets the same warm process
    assert client.get("/open", params={"do": "process"}).json()["pid"] == seen["pid"]
    assert seen["pid"] != edge.process.pid


def test_a_new_process_takes_over_after_a_crash(client: httpx.Client) -> None:
    before = client.get("/open", params={"do": "process"}).json()["pid"]

    assert client.get("/open", params={"do": "crash"}).status_code == 502

    assert client.get("/open", params={"do": "process"}).json()["pid"] != before


def test_what_is_not_http_is_refused(edge: Edge) -> None:
    with socket.create_connection(edge.address) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_expect_continue_is_answered(edge: Edge) -> None:
    with socket.create_connection(edge.address) as raw, raw.makefile("rb") as answer:
        raw.sendall(b"POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert answer.readline().startswith(b"HTTP/1.1 100")
        raw.sendall(b"ok")
        assert answer.readline() == b"\r\n"
        assert answer.readline().startswith(b"HTTP/1.1 200")


def test_a_head_request_has_headers_alone(edge: Edge) -> None:
    with socket.create_connection(edge.address) as raw, raw.makefile("rb") as answer:
        raw.sendall(b"HEAD /open HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: " in head
    assert body == b""


def test_the_access_log_names_route_and_outcome_and_nothing_of_the_user(edge: Edge, client: httpx.Client) -> None:
    headers = {"Authorization": "allow", "X-Secret": SECRET}
    response = client.request("POST", f"/echo/{SECRET}?q={SECRET}", headers=headers, content=SECRET)
    client.request(SECRET.upper(), f"/{SECRET}")
    client.get(f"/items/{SECRET}/parts/1", headers={"Authorization": "fault"})

    lines = {line["request_id"]: line for line in edge.access_log()}
    line = lines[response.headers["x-amzn-requestid"]]
    assert set(line) == {"time", "method", "route", "status", "ms", "request_id"}
    assert (line["method"], line["route"], line["status"]) == ("POST", "/echo/{proxy+}", 200)
    for file in edge.log_dir.iterdir():
        assert SECRET.lower() not in file.read_text().lower(), os.path.basename(file)
