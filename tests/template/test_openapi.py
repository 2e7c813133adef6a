"""The published OpenAPI document is what Powertools makes of its declarations, and names what the template routes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from account.requests import show
from chatapi.grants import Grant
from chatapi.keys import SCOPES
from chatapi.store.key_fields import KeyInfo
from local.openapi import DOCUMENT as FILE
from local.openapi import described, written
from tests.support import strict
from tests.support.transformed import transformed
from tests.template.resources import of_type

REQUESTS = {"Allowed", "AllowedTools", "Part", "PlainFormat", "SchemaFormat", "NamedTool", "NamedCustom"}
REQUESTS |= {"FunctionTool", "CustomTool"}
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def test_nobody_has_edited_it() -> None:
    assert written(described()) == FILE.read_text(encoding="utf-8"), "python -m local.openapi writes it anew"


def test_it_names_exactly_the_routes_of_the_template() -> None:
    paths = transformed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    routed = {(path, method) for path, methods in paths.items() for method in methods if method != "options"}
    assert {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods} == routed


def test_open_routes_are_marked_as_open() -> None:
    paths = transformed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            is_open = paths[path][method]["security"] == [{"NONE": []}]
            assert (operation.get("security") == []) == is_open


@pytest.mark.parametrize("retention", [None, "none", "history:30"])
def test_a_key_is_shown_as_described(retention: str | None) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    shown = show("project1", KeyInfo("k1", 0, "", Grant(("chat",), retention=retention)))
    strict.described("ApiKey", shown)
    assert list(schemas["ApiKey"]["properties"]) == schemas["ApiKey"]["required"] == list(shown)
    assert schemas["ApiKeyCreate"]["properties"]["scopes"]["items"]["enum"] == list(SCOPES)


def test_a_route_that_is_throttled_says_so() -> None:
    (stage,) = of_type("AWS::ApiGateway::Stage").values()
    for setting in stage["MethodSettings"]:
        path = setting["ResourcePath"][1:].replace("~1", "/")
        assert "429" in DOCUMENT["paths"][path][setting["HttpMethod"].lower()]["responses"], path


def test_every_operation_has_a_name_and_an_area_of_its_own() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert {len(operation["tags"]) for operation in operations} == {1}
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in DOCUMENT["tags"]}


def test_answers_are_closed() -> None:
    """What an answer may have besides is said, or there is nothing besides: a field that nobody described is found."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                if path != "/openapi.json":
                    assert not list(_open(content.get("schema"), set())), (path, method, status)


def _open(node: Any, seen: set[str]) -> Iterator[str]:
    """The objects of a schema that may have more fields than it names. Free ones are: what a signature covers, which
    each type of request adds to, and JSON Schemas and content parts of the caller's own."""
    if isinstance(node, list):
        for each in node:
            yield from _open(each, seen)
    if not isinstance(node, dict):
        return
    name = str(node.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        seen.add(name)
        if name not in REQUESTS:
            yield from _open(DOCUMENT["components"]["schemas"][name], seen)
    if "properties" in node and "additionalProperties" not in node and "payload" not in node:
        yield ", ".join(node["properties"])
    for field, value in node.items():
        if field != "payload":
            yield from _open(value, seen)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"$ref": "#/')[1:]:
        node: Any = DOCUMENT
        for step in part.partition('"')[0].split("/"):
            node = node[step]
