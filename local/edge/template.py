"""The APIs of a template: its routes, authorizers and gateway responses.

What is read is the *transformed* template, the one that CloudFormation gets: SAM accepts wrong values in silence (for
example a transfer mode that it does not know), and only its output shows what will be deployed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local.edge.intrinsics import Resolver

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DEFAULT_TIMEOUT_MS = 29_000
_FUNCTION = re.compile(r":lambda:path/[\d-]+/functions/\$\{(\w+)(?:\.Arn)?\}")


@dataclass(frozen=True)
class LambdaIntegration:
    """A Lambda proxy integration; ``timeout`` in seconds."""

    function: str
    streaming: bool
    timeout: float


@dataclass(frozen=True)
class MockIntegration:
    """A constant answer, as SAM generates it for CORS preflights."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Authorizer:
    """A Lambda REQUEST authorizer. ``function`` is None for any other kind, which the edge cannot run."""

    function: str | None
    identity_sources: tuple[str, ...]


@dataclass(frozen=True)
class GatewayResponse:
    """One entry of ``x-amazon-apigateway-gateway-responses``."""

    status: int | None
    headers: Mapping[str, str]
    template: str | None


@dataclass(frozen=True)
class Route:
    """One method of one resource. ``integration`` is None for a kind that the edge cannot run."""

    method: str
    resource: str
    integration: LambdaIntegration | MockIntegration | None
    authorizer: Authorizer | None


@dataclass
class _Node:
    static: dict[str, _Node] = field(default_factory=dict)
    param: _Node | None = None
    greedy: _Node | None = None
    name: str = ""
    methods: dict[str, Route] = field(default_factory=dict)


class Api:
    """One REST API: ``match`` finds a route, ``gateway_responses`` holds what the template overrides."""

    def __init__(
        self,
        name: str,
        routes: list[Route],
        gateway_responses: Mapping[str, GatewayResponse],
        binary_media_types: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self._binary = binary_media_types
        self.routes = tuple(routes)
        self.gateway_responses = gateway_responses
        self._root = _Node()
        for route in routes:
            self._insert(route)

    def is_binary(self, content_type: str | None) -> bool:
        """Whether a body of this type reaches a function as base64 ("Binary media types for REST APIs")."""
        media_type = (content_type or "application/json").partition(";")[0].strip().lower()
        return bool(self._binary & {"*/*", media_type})

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for ``path`` (still percent-encoded) and its decoded parameters.

        Literal segments win over ``{name}``, and those over ``{name+}``.
        """
        found = _walk(self._root, path.strip("/").split("/") if path.strip("/") else [], {})
        if found is None:
            return None
        node, parameters = found
        route = node.methods.get(method) or node.methods.get("ANY")
        return (route, parameters) if route else None

    def _insert(self, route: Route) -> None:
        node = self._root
        for segment in filter(None, route.resource.split("/")):
            if segment.startswith("{"):
                kind, name = ("greedy", segment[1:-2]) if segment.endswith("+}") else ("param", segment[1:-1])
                if getattr(node, kind) is None:
                    setattr(node, kind, _Node(name=name))
                node = getattr(node, kind)
            else:
                node = node.static.setdefault(segment, _Node())
        node.methods[route.method] = route


def _walk(node: _Node, segments: list[str], parameters: dict[str, str]) -> tuple[_Node, dict[str, str]] | None:
    if not segments:
        return (node, parameters) if node.methods else None
    head, rest = segments[0], segments[1:]
    if (child := node.static.get(head)) and (found := _walk(child, rest, parameters)):
        return found
    if (child := node.param) and head and (found := _walk(child, rest, {**parameters, child.name: unquote(head)})):
        return found
    if child := node.greedy:
        return child, {**parameters, child.name: unquote("/".join(segments))}
    return None


def load_apis(path: Path, parameters: Mapping[str, str], *, region: str, account_id: str) -> dict[str, Api]:
    """The REST APIs of the template at ``path``, by logical id.

    ``parameters`` override the template's defaults. A SAM template is transformed first.
    """
    from samtranslator.yaml_helper import yaml_parse

    template: dict[str, Any] = yaml_parse(path.read_text())  # type: ignore[no-untyped-call]
    values: dict[str, Any] = {
        name: parameter["Default"]
        for name, parameter in template.get("Parameters", {}).items()
        if "Default" in parameter
    }
    values.update(parameters)
    values.update(
        {
            "AWS::Region": region,
            "AWS::AccountId": account_id,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": "local",
            "AWS::StackId": "local",
        }
    )
    if "Transform" in template:
        template = transform_sam(template, values, region)
    resolver = Resolver(values, template.get("Conditions", {}), template.get("Mappings", {}))
    resources: dict[str, Any] = template["Resources"]
    aliases = {
        name: _reference(resolver.resolve(resource["Properties"]["FunctionName"]))
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Alias"
    }
    return {
        name: _api(name, resolver.resolve(resource["Properties"]["Body"]), aliases)
        for name, resource in resources.items()
        if resource["Type"] == "AWS::ApiGateway::RestApi" and "Body" in resource["Properties"]
    }


def transform_sam(template: dict[str, Any], values: dict[str, Any], region: str) -> dict[str, Any]:
    """What CloudFormation gets for a SAM template: its macro's work, done here, with no call to AWS."""
    from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
    from samtranslator.translator.transform import transform

    class NoManagedPolicies(ManagedPolicyLoader):  # the real one asks IAM
        def __init__(self) -> None:
            pass

        def load(self) -> dict[str, str]:
            return {}

    # The transform wants code in S3 already; where the code is does not change an API.
    sections = [template.get("Globals", {}).get("Function", {})]
    sections += [resource.get("Properties", {}) for resource in template["Resources"].values()]
    for properties in sections:
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in properties:
                properties[name] = "s3://local/code"
    os.environ.setdefault("AWS_DEFAULT_REGION", region)  # the transform asks boto3 for the region
    transformed: dict[str, Any] = transform(template, values, NoManagedPolicies())
    return transformed


def _api(name: str, body: dict[str, Any], aliases: Mapping[str, str]) -> Api:
    schemes = body.get("securityDefinitions") or body.get("components", {}).get("securitySchemes", {})
    authorizers = {scheme: _authorizer(definition, aliases) for scheme, definition in schemes.items()}
    routes = []
    for resource, operations in body.get("paths", {}).items():
        for verb, operation in operations.items():
            method = "ANY" if verb == "x-amazon-apigateway-any-method" else verb.upper()
            if method != "ANY" and method not in METHODS:
                continue
            integration = _integration(operation.get("x-amazon-apigateway-integration", {}), aliases)
            security = operation.get("security", body.get("security", []))
            wanted = [scheme for item in security for scheme in item if scheme != "NONE"]
            # A scheme without a definition that the edge can run must not turn into an open route.
            authorizer = authorizers.get(wanted[0], Authorizer(None, ())) if wanted else None
            routes.append(Route(method, resource, integration, authorizer))
    overrides = body.get("x-amazon-apigateway-gateway-responses", {})
    responses = {kind: _gateway_response(item) for kind, item in overrides.items()}
    return Api(name, routes, responses, frozenset(body.get("x-amazon-apigateway-binary-media-types", ())))


def _integration(definition: dict[str, Any], aliases: Mapping[str, str]) -> LambdaIntegration | MockIntegration | None:
    kind = str(definition.get("type", "")).lower()
    if kind == "mock":
        response = definition.get("responses", {}).get("default", {})
        prefix = "method.response.header."
        headers = {
            name.removeprefix(prefix): str(value).strip("'")
            for name, value in response.get("responseParameters", {}).items()
        }
        body = response.get("responseTemplates", {}).get("application/json", "")
        return MockIntegration(int(response.get("statusCode", 200)), headers, body)
    match = _FUNCTION.search(str(definition.get("uri", "")))
    if kind != "aws_proxy" or match is None:
        return None
    return LambdaIntegration(
        function=aliases.get(match[1], match[1]),
        streaming=definition.get("responseTransferMode") == "STREAM",
        timeout=int(definition.get("timeoutInMillis", _DEFAULT_TIMEOUT_MS)) / 1000,
    )


def _authorizer(definition: dict[str, Any], aliases: Mapping[str, str]) -> Authorizer:
    details = definition.get("x-amazon-apigateway-authorizer", {})
    match = _FUNCTION.search(str(details.get("authorizerUri", "")))
    if details.get("type") != "request" or match is None:
        return Authorizer(None, ())
    sources = str(details.get("identitySource", "")).split(",")
    return Authorizer(aliases.get(match[1], match[1]), tuple(source.strip() for source in sources if source.strip()))


def _gateway_response(definition: dict[str, Any]) -> GatewayResponse:
    status, templates = definition.get("statusCode"), definition.get("responseTemplates") or {}
    prefix = "gatewayresponse.header."
    parameters = definition.get("responseParameters") or {}
    return GatewayResponse(
        status=int(status) if status else None,
        headers={name.removeprefix(prefix): str(value) for name, value in parameters.items()},
        template=templates.get("application/json"),
    )


def _reference(text: str) -> str:
    return text.removeprefix("${").removesuffix("}").removesuffix(".Arn")
