"""The transformed template keeps what the design promises. A wrong value passes SAM's validation silently."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authorizer.service import SLOT_SECONDS, route_needs
from chatapi.catalogue import read_policy
from chatapi.keys import SCOPES
from chatapi.prices import dearest
from privacy.tasks.erase import STEP_SECONDS
from tests.support.transformed import ROOT, source
from tests.template.resources import RESOURCES, TEMPLATE, of_type, statements

API = RESOURCES["Api"]["Properties"]
PATHS: dict[str, Any] = API["Body"]["paths"]
ROUTES = [(path, method) for path, methods in PATHS.items() for method in methods if method != "options"]
PROJECT_PAGES = {f"/portal/{file}" for file in ("usage", "usage.js", "usage.css", "keys", "keys.js", "shared.js")}
PORTAL = {"/portal", "/portal/{page+}", *PROJECT_PAGES}
# Agents of the Data Rights Protocol have tokens of their own.
AGENTS = {"/v1/data-rights-request", "/v1/data-rights-request/{id}", "/v1/agent/{id}"}
DIALECTS = {"/.well-known/opendsr.pem", "/v1/privacy/opendsr/v2/discovery", *AGENTS}
PUBLIC = {
    "/.well-known/gpc.json",
    "/.well-known/security.txt",
    "/.well-known/jwks.json",
    "/docs",
    "/docs/{file}",
    "/health",
    "/openapi.json",
    "/v1/leaked-keys",
    "/v1/privacy/downloads/{token}",
}
OPEN = {*PUBLIC, *DIALECTS, *PORTAL}


def uri(path: str, method: str) -> str:
    return json.dumps(PATHS[path][method]["x-amazon-apigateway-integration"]["uri"])


@pytest.mark.parametrize(
    ("path", "method"),
    [r for r in ROUTES if r[0].startswith(("/v1/chat", "/v1/conversations", "/v1/models", "/v1/responses"))],
)
def test_every_route_of_the_chat_function_streams(path: str, method: str) -> None:
    integration = PATHS[path][method]["x-amazon-apigateway-integration"]
    assert integration["responseTransferMode"] == "STREAM"
    assert "/response-streaming-invocations" in uri(path, method)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"])
def test_a_chat_may_take_fifteen_minutes_in_both_places(path: str) -> None:
    integration = PATHS[path]["post"]["x-amazon-apigateway-integration"]
    timeout = RESOURCES["ChatFunction"]["Properties"]["Timeout"]
    assert (integration["timeoutInMillis"], timeout) == (900_000, 900)
    assert timeout + 5 == SLOT_SECONDS


def test_the_second_residue_scan_comes_when_no_function_that_writes_can_be_running_any_more() -> None:
    longest = max(function["Timeout"] for function in of_type("AWS::Lambda::Function").values())
    assert TEMPLATE["Parameters"]["LateWriterSeconds"]["Default"] >= longest + 5


def test_a_purge_stops_well_before_its_function_would_be_ended() -> None:
    assert RESOURCES["ErasureFunction"]["Properties"]["Timeout"] >= STEP_SECONDS + 240


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_every_route_asks_the_authorizer_but_the_public_files(path: str, method: str) -> None:
    security = PATHS[path][method].get("security")
    assert security == ([{"NONE": []}] if path in OPEN else [{"KeyAuthorizer": []}])


@pytest.mark.parametrize(("path", "method"), [r for r in ROUTES if r[0] not in OPEN])
def test_the_authorizer_knows_a_scope_for_every_route(path: str, method: str) -> None:
    scope, kind = route_needs(method.upper(), path)
    assert scope in SCOPES
    assert kind in ("chat", "read", "rights")


def test_the_authorizer_reserves_at_the_dearest_price_of_the_policy() -> None:
    told = TEMPLATE["Mappings"]["Prices"]["Dearest"]
    assert told == {
        stage: " ".join(map(str, dearest(stage)[:3])) for stage in source()["Parameters"]["Stage"]["AllowedValues"]
    }
    variables = RESOURCES["AuthorizerFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["DEAREST_PRICE"] == {"Fn::FindInMap": ["Prices", "Dearest", {"Ref": "Stage"}]}


def test_a_verdict_is_never_cached() -> None:
    authorizer = API["Body"]["securityDefinitions"]["KeyAuthorizer"]["x-amazon-apigateway-authorizer"]
    assert authorizer["authorizerResultTtlInSeconds"] == 0
    assert authorizer["type"] == "request"


def test_tls_is_1_3_alone() -> None:
    assert API["SecurityPolicy"] == "SecurityPolicy_TLS13_1_3_2025_09"
    assert API["EndpointAccessMode"] == "STRICT"
    assert API["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_whatever_strangers_reach_is_throttled() -> None:
    (stage,) = of_type("AWS::ApiGateway::Stage").values()
    limits = {
        (s["ResourcePath"][1:].replace("~1", "/"), s["HttpMethod"]): s["ThrottlingRateLimit"]
        for s in stage["MethodSettings"]
    }
    open_ = {
        (path, method.upper())
        for path, operations in API["Body"]["paths"].items()
        for method, operation in operations.items()
        if method != "options" and not any("KeyAuthorizer" in each for each in operation.get("security", ()))
    }
    assert limits.keys() == open_
    assert max(limits.values()) <= 100
    # and least what costs most: signing in, asking in another's name, a report of leaked keys
    dear = ("/portal/{page+}", "/v1/agent/{id}", "/v1/data-rights-request", "/v1/leaked-keys")
    assert max(limits[path, "POST"] for path in dear) <= 20


def test_every_gateway_response_has_openais_shape() -> None:
    responses = API["Body"]["x-amazon-apigateway-gateway-responses"]
    for name, response in responses.items():
        error = json.loads(response["responseTemplates"]["application/json"])["error"]
        assert set(error) == {"message", "type", "param", "code"}, name
        assert response["responseParameters"]["gatewayresponse.header.x-request-id"] == "context.requestId"
    statuses = {name: response.get("statusCode") for name, response in responses.items()}
    assert {k: int(statuses[k]) for k in ("UNAUTHORIZED", "ACCESS_DENIED", "MISSING_AUTHENTICATION_TOKEN")} == {
        "UNAUTHORIZED": 401,
        "ACCESS_DENIED": 429,
        "MISSING_AUTHENTICATION_TOKEN": 404,
    }
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "REQUEST_TOO_LARGE"} <= set(responses)


def test_runtime_and_processor_are_parameters_with_the_defaults_of_production() -> None:
    parameters = TEMPLATE["Parameters"]
    assert (parameters["PythonRuntime"]["Default"], parameters["Architecture"]["Default"]) == ("python3.13", "arm64")
    for function in of_type("AWS::Lambda::Function").values():
        assert function["Runtime"] == {"Ref": "PythonRuntime"}
        assert function["Architectures"] == [{"Ref": "Architecture"}]


def test_usage_is_gathered_by_a_schedule() -> None:
    found = [(rule["Targets"][0]["Arn"], rule) for rule in of_type("AWS::Events::Rule").values()]
    rules = {arn["Fn::GetAtt"][0]: rule for arn, rule in found if "Fn::GetAtt" in arn}
    assert rules["UsageFunction"]["ScheduleExpression"] == {"Ref": "UsageSchedule"}
    assert rules["SweeperFunction"]["ScheduleExpression"] == "rate(1 day)"
    assert rules["ClockFunction"]["ScheduleExpression"] == {"Ref": "ClockSchedule"}
    assert TEMPLATE["Parameters"]["ClockSchedule"]["Default"] == "rate(1 hour)"
    assert TEMPLATE["Parameters"]["UsageSchedule"]["Default"] == "rate(1 hour)"


def test_mail_is_received_only_where_it_is_asked_for_into_a_bucket_that_forgets() -> None:
    (rule,) = RESOURCES["MailBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == read_policy("retention")["days"]["letter"] <= 7
    assert "VersioningConfiguration" not in RESOURCES["MailBucket"]["Properties"]
    for name in ("MailRuleSet", "MailRule", "MailPermission"):
        assert RESOURCES[name]["Condition"] == "ReceivesMail"
    receipt = RESOURCES["MailRule"]["Properties"]["Rule"]
    # the object is there before the function is told
    assert [next(iter(action)) for action in receipt["Actions"]] == ["S3Action", "LambdaAction"]
    assert (receipt["TlsPolicy"], receipt["ScanEnabled"]) == ("Require", True)
    (reads,) = [s for n, s in statements() if n == "MailPolicy" and "s3:GetObject" in s["Action"]]
    assert reads["Resource"] == {"Fn::Sub": "${MailBucket.Arn}/inbound/*"}


def test_every_function_has_a_rule_to_be_built_by() -> None:
    rules = (ROOT / "functions" / "Makefile").read_text()
    assert [name for name in of_type("AWS::Lambda::Function") if f"build-{name}" not in rules] == []
