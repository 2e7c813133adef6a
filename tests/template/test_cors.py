"""Browsers: what the template lets another origin send and read (Fetch standard, "CORS protocol")."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local.edge.template import MockIntegration, load_apis
from tests.support.transformed import REGION, ROOT, transformed

API: dict[str, Any] = transformed()["Resources"]["Api"]["Properties"]["Body"]
SURFACE = ("/v1/chat/", "/v1/conversations", "/v1/models", "/v1/responses", "/v1/embeddings")
CALLABLE = [path for path in API["paths"] if path.startswith(SURFACE)]
NEEDS_NO_EXPOSING = {"content-type"}
PREFIX = "access-control-allow-"


def preflight(path: str) -> MockIntegration:
    apis = load_apis(ROOT / "template.yaml", {}, region=REGION, account_id="1")
    found = apis["Api"].match("OPTIONS", path)
    assert found
    assert found[0].authorizer is None
    assert isinstance(found[0].integration, MockIntegration)
    return found[0].integration


def test_exactly_the_routes_of_the_chat_function_have_a_preflight() -> None:
    assert {path for path, methods in API["paths"].items() if "options" in methods} == set(CALLABLE)


@pytest.mark.parametrize("path", CALLABLE)
def test_a_preflight_needs_no_key_and_names_the_methods_of_its_route(path: str) -> None:
    operation, answer = API["paths"][path]["options"], preflight(path)
    assert not operation.get("security")
    assert answer.status == 204
    assert answer.headers[PREFIX + "origin"] == "*"
    assert PREFIX + "credentials" not in answer.headers
    methods = {method.upper() for method in API["paths"][path]} - {"OPTIONS"}
    assert set(answer.headers[PREFIX + "methods"].split(",")) == methods
    # API Gateway drops a header that the method's response does not declare
    assert set(answer.headers) == set(operation["responses"][str(answer.status)]["headers"])


@pytest.mark.parametrize("path", CALLABLE)
def test_a_preflight_is_text_although_every_body_is_binary(path: str) -> None:
    # without it API Gateway cannot transform a body of the media types */* and answers 500
    assert API["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    integration = API["paths"][path]["options"]["x-amazon-apigateway-integration"]
    assert integration["contentHandling"] == "CONVERT_TO_TEXT"
    assert integration["responses"]["default"]["contentHandling"] == "CONVERT_TO_TEXT"


def test_what_openais_clients_send_is_allowed() -> None:
    allowed = set(preflight("/v1/chat/completions").headers[PREFIX + "headers"].split(","))
    assert {"authorization", "content-type", "x-stainless-os", "openai-organization"} <= allowed
    assert all(re.fullmatch(r"[a-z-]+", name) for name in allowed)


@pytest.mark.parametrize("name", API["x-amazon-apigateway-gateway-responses"])
def test_a_gateway_response_can_be_read_with_every_header_it_has(name: str) -> None:
    parameters = API["x-amazon-apigateway-gateway-responses"][name]["responseParameters"]
    headers = {key.removeprefix("gatewayresponse.header."): value for key, value in parameters.items()}
    assert headers.pop("access-control-allow-origin") == "'*'"
    exposed = set(headers.pop("access-control-expose-headers").strip("'").split(", "))
    assert exposed == set(headers) - NEEDS_NO_EXPOSING
