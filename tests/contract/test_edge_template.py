"""What the edge reads from a template, and what it refuses to guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.edge.intrinsics import Resolver
from local.edge.template import Api, LambdaIntegration, Route, load_apis

TEMPLATE = Path(__file__).parents[1] / "support/edge_template.yaml"
REGION = {"region": "eu-central-1", "account_id": "000000000000"}
RESOLVER = Resolver(
    values={"P": "p", "List": "a,b", "AWS::Region": "r"},
    conditions={"Yes": {"Fn::Equals": [{"Ref": "P"}, "p"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}},
    mappings={"M": {"p": {"k": "mapped"}}},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "P"}, "p"),
        ({"Ref": "Resource"}, "${Resource}"),
        ({"Fn::GetAtt": ["F", "Arn"]}, "${F.Arn}"),
        ({"Fn::GetAtt": "F.Arn"}, "${F.Arn}"),
        ({"Fn::Sub": "${P}-${AWS::Region}-${F.Arn}-${!Raw}"}, "p-r-${F.Arn}-${Raw}"),
        ({"Fn::Sub": ["${X}/${P}", {"X": {"Ref": "P"}}]}, "p/p"),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, {"a": {"Ref": "AWS::NoValue"}}]}, {}),
        ([{"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, 2], [2]),
        ({"Fn::And": [{"Condition": "Yes"}, {"Fn::Or": [{"Condition": "No"}, {"Condition": "Yes"}]}]}, True),
        ({"Fn::Join": ["-", ["a", {"Ref": "P"}]]}, "a-p"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", {"Ref": "List"}]}]}, "b"),
        ({"Fn::FindInMap": ["M", {"Ref": "P"}, "k"]}, "mapped"),
        ({"Fn::ImportValue": "x"}, {"Fn::ImportValue": "x"}),
        ({"Condition": {"StringEquals": {}}}, {"Condition": {"StringEquals": {}}}),
    ],
)
def test_intrinsic_functions(value: Any, expected: Any) -> None:
    assert RESOLVER.resolve(value) == expected


def test_the_transformed_template_decides_mode_timeout_and_authorizer() -> None:
    api = load_apis(TEMPLATE, {}, **REGION)["Api"]

    def found(method: str, path: str) -> Route:
        match = api.match(method, path)
        assert match
        return match[0]

    assert found("POST", "/stream").integration == LambdaIntegration("StreamFunction", True, 900.0)
    assert found("GET", "/open").integration == LambdaIntegration("EchoFunction", False, 29.0)
    authorizer = found("POST", "/stream").authorizer
    assert authorizer
    assert (authorizer.function, authorizer.identity_sources) == (
        "AuthFunction",
        ("method.request.header.Authorization",),
    )
    assert found("GET", "/open").authorizer is None
    assert found("OPTIONS", "/stream").authorizer is None


def test_parameters_decide_conditional_routes() -> None:
    without = load_apis(TEMPLATE, {}, **REGION)["Api"]
    with_extra = load_apis(TEMPLATE, {"Suffix": "b"}, **REGION)["Api"]

    assert without.match("GET", "/extra") is None
    assert with_extra.match("GET", "/extra")
    assert '"suffix":"b"' in (with_extra.gateway_responses["DEFAULT_5XX"].template or "")


def test_what_the_edge_cannot_run_is_closed_and_not_open(tmp_path: Path) -> None:
    uri = "arn:aws:apigateway:r:lambda:path/2015-03-31/functions/${F.Arn}/invocations"
    proxy = {"type": "aws_proxy", "httpMethod": "POST", "uri": {"Fn::Sub": uri}}
    cognito = {"x-amazon-apigateway-authorizer": {"type": "cognito_user_pools"}}
    get = {"x-amazon-apigateway-integration": proxy, "security": [{"Pool": []}]}
    unknown = {"x-amazon-apigateway-integration": proxy, "security": [{"sigv4": []}]}
    http = {"x-amazon-apigateway-integration": {"type": "http_proxy", "uri": "https://example.test"}}
    body = {"securityDefinitions": {"Pool": cognito}, "paths": {"/a": {"get": get, "put": unknown, "post": http}}}
    template = {"Resources": {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}}}}
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template))

    routes = {route.method: route for route in load_apis(path, {}, **REGION)["Api"].routes}

    for method in ("GET", "PUT"):
        authorizer = routes[method].authorizer
        assert authorizer is not None
        assert authorizer.function is None
    assert routes["POST"].integration is None


PATTERN = st.lists(st.sampled_from(["a", "b", "{x}"]), min_size=1, max_size=3, unique=True)


@given(
    patterns=st.lists(PATTERN, min_size=1, max_size=8), values=st.lists(st.sampled_from("abc"), min_size=3, max_size=3)
)
def test_a_path_made_from_a_route_finds_a_route_that_fits_it(patterns: list[list[str]], values: list[str]) -> None:
    resources = sorted({"/" + "/".join(pattern) for pattern in patterns})
    api = Api("Api", [Route("GET", resource, None, None) for resource in resources], {})
    for resource in resources:
        path = resource.replace("{x}", values[0])

        match = api.match("GET", path)

        # then: some route, whose literals stand where the path has them, and no rival is more literal from the left
        assert match
        route, parameters = match
        assert route.resource.replace("{x}", parameters.get("x", "")) == path
        rivals = [rival for rival in resources if fits(rival, path)]
        assert route.resource == min(rivals, key=lambda rival: [part == "{x}" for part in rival.split("/")])


def fits(resource: str, path: str) -> bool:
    wanted, given_parts = resource.split("/"), path.split("/")
    pairs = zip(wanted, given_parts, strict=False)
    return len(wanted) == len(given_parts) and all(part in ("{x}", value) for part, value in pairs)


def test_binary_media_types_are_matched_as_api_gateway_does() -> None:
    every, one, none = (Api("Api", [], {}, frozenset(types)) for types in (["*/*"], ["application/json"], []))
    assert every.is_binary("text/plain")
    assert every.is_binary(None)
    assert one.is_binary("application/json; charset=utf-8")
    assert one.is_binary(None)
    assert not one.is_binary("text/plain")
    assert not none.is_binary("application/json")
