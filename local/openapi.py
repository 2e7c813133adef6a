"""functions/privacy/openapi.json, the published description: `python -m local.openapi` writes it, nobody edits it.

Powertools makes it of what `local.document` declares and of pydantic's models. What it cannot say is done here: the
schemas that are no models (`local.answers`: OpenAI's types, cut to what is answered), names for the classes that two
surfaces have alike, and the error that all operations share, said once. Tests hold the file to this, and its routes to
the template.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.models import Contact, HTTPBase, License, SecuritySchemeType
from pydantic import BaseModel

from chat.embeddings import EmbeddingsRequest
from chat.responses.wire import ConversationCreate, ConversationUpdate, ItemsCreate, ResponseCreate
from chat.wire import ChatRequest, CompletionUpdate
from chatapi.catalogue import read_policy
from local.answered import REF
from local.answers import answers
from local.document import chat, dialects, keys, privacy, public, responses
from local.settings import ROOT

DOCUMENT = ROOT / "functions" / "privacy" / "openapi.json"
_TAGS = ("chat", "history", "keys", "usage", "privacy", "dialects", "public")
_CHAT: tuple[type[BaseModel], ...] = (ChatRequest, CompletionUpdate, EmbeddingsRequest)
_RESPONSES: tuple[type[BaseModel], ...] = (ResponseCreate, ConversationCreate, ConversationUpdate, ItemsCreate)


def described() -> dict[str, Any]:
    """The document."""
    made = _powertools()
    components = made["components"]
    names = _names(components["schemas"])
    schemas = {names[name]: _plain(_renamed(schema, names), top=True) for name, schema in components["schemas"].items()}
    schemas |= answers(schemas)
    error = _plain(made["paths"]["/v1/models"]["get"]["responses"]["503"])
    paths = {path: _plain(methods) for path, methods in sorted(made["paths"].items())}
    for operation in (each for methods in paths.values() for each in methods.values()):
        _operation(operation, error)
    used = _led_to(_named_in([paths, error]), schemas)
    contact = made["info"]["contact"]
    contact["url"] = contact["url"].removesuffix("/")  # which pydantic adds to a bare origin
    made["components"] = {
        **components,
        "schemas": {name: schemas[name] for name in sorted(used)},
        "responses": {"Error": error},
    }
    return {**made, "paths": paths}


def written(document: dict[str, Any]) -> str:
    """The document as text."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _powertools() -> dict[str, Any]:
    """What Powertools makes of the declarations."""
    app = APIGatewayRestResolver()
    key = "An API key, as an OpenAI SDK sends it"
    bearer = HTTPBase(type=SecuritySchemeType.http, scheme="bearer", description=key)
    for area in (chat, responses, keys, privacy, dialects, public):
        app.include_router(area.router)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    controller = read_policy("rights")["controller"]
    made = app.get_openapi_schema(
        title="ChatAPI",
        version=project["version"],
        description="An OpenAI-compatible chat API whose privacy policy is executable.",
        license_info=License(name=project["license"], identifier=project["license"]),
        contact=Contact(name=controller["developer"], url=controller["website"]),
        security_schemes={"key": bearer},
        security=[{"key": []}],
        tags=[*_TAGS],
    )
    # Not its own text, which leaves out that null is the default: Swagger UI would propose to send every parameter.
    return made.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _names(schemas: dict[str, Any]) -> dict[str, str]:
    """A name for each of pydantic's, which are paths where two classes are called the same. Both surfaces of OpenAI
    have a Message and a Tool: those of responses are told apart by their first word, and an item of `shapes` from a
    parameter of `wire` by its last. ValueError where two would still have one name."""
    names = {name: name.rpartition("__")[2] for name in schemas}
    roots = {model.__name__ for model in _RESPONSES}
    for name in _led_to(roots, schemas) - _led_to({model.__name__ for model in _CHAT}, schemas) - roots:
        parameter = name.replace("__shapes__", "__wire__")
        names[name] = f"Response{names[name]}{'Item' if parameter != name and parameter in schemas else ''}"
    if len({*names.values()}) < len(names):
        raise ValueError("two schemas of one name")
    return names


def _plain(node: Any, *, top: bool = False) -> Any:
    """Without the titles that pydantic makes of names, and without docstrings, which speak to who reads the code; whole
    numbers as such, where Powertools has made floats of them."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if not isinstance(node, dict):
        return node
    dull = {name for name in ("title", "description" if top else "title") if isinstance(node.get(name), str)}
    if node.get("type", "null") != "null" or "$ref" in node:
        dull |= {"default"} if node.get("default") is None else set()  # it may be left out, and is never null
    return {name: _plain(value) for name, value in node.items() if name not in dull}


def _operation(operation: dict[str, Any], error: dict[str, Any]) -> None:
    """Say once what Powertools says twice, and nothing where it says nothing."""
    del operation["deprecated"]  # null
    for parameter in (*operation.get("parameters", ()), *operation.get("requestBody", {}).get("content", {}).values()):
        parameter["schema"].pop("description", None)  # it is the parameter's, or the body's
    for status, response in operation["responses"].items():
        if response == error:
            operation["responses"][status] = {"$ref": "#/components/responses/Error"}
        elif not response["content"]:
            del response["content"]


def _renamed(node: Any, names: dict[str, str]) -> Any:
    """The same with the names in references."""
    if isinstance(node, list):
        return [_renamed(each, names) for each in node]
    if isinstance(node, dict):
        return {name: _renamed(value, names) for name, value in node.items()}
    return REF + names[node.removeprefix(REF)] if isinstance(node, str) and node.startswith(REF) else node


def _named_in(node: Any) -> set[str]:
    """The schemas that something refers to."""
    return {part.partition('"')[0] for part in json.dumps(node).split(f'"$ref": "{REF}')[1:]}


def _led_to(names: Iterable[str], schemas: dict[str, Any]) -> set[str]:
    """These schemas, and those that they lead to."""
    found, left = set[str](), set(names)
    while left:
        found |= left
        left = {name for each in left for name in _named_in(schemas[each])} - found
    return found


def main(file: Path = DOCUMENT) -> None:
    """Write the document anew."""
    file.write_text(written(described()), encoding="utf-8")


if __name__ == "__main__":
    main()
