"""What the local stack reads in the built template: the functions of the API, and where their code was built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse


@dataclass(frozen=True)
class BuiltFunction:
    """A function as it was built. Directories are absolute."""

    logical_id: str
    code: Path
    layers: tuple[Path, ...]


class BuiltTemplate:
    """The template that `sam build` wrote: still in SAM's words, with the built directories in place of the sources."""

    def __init__(self, path: Path, parameters: Mapping[str, str]) -> None:
        self._directory = path.parent
        self._template: dict[str, Any] = yaml_parse(path.read_text())  # type: ignore[no-untyped-call]
        declared = self._template.get("Parameters", {})
        self._parameters = {name: p.get("Default") for name, p in declared.items()} | dict(parameters)

    def resources(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical id and properties of each resource of `kind`."""
        for logical_id, resource in self._template["Resources"].items():
            if resource["Type"] == kind:
                yield logical_id, resource.get("Properties", {})

    def functions(self) -> list[BuiltFunction]:
        """All of them."""
        shared = self._template.get("Globals", {}).get("Function", {})
        layers = {name: self._built(p["ContentUri"]) for name, p in self.resources("AWS::Serverless::LayerVersion")}
        found = []
        for logical_id, function in self.resources("AWS::Serverless::Function"):
            named = [layer["Ref"] for layer in [*shared.get("Layers", []), *function.get("Layers", [])]]
            code = self._built(function.get("CodeUri") or shared["CodeUri"])
            found.append(BuiltFunction(logical_id, code, tuple(layers[name] for name in named)))
        return found

    def api_functions(self) -> list[BuiltFunction]:
        """The functions that the edge runs."""
        resources = dict(self.resources("AWS::Serverless::Function"))
        edge = set(self._authorizers())
        for logical_id, function in resources.items():
            if any(event["Type"] == "Api" for event in function.get("Events", {}).values()):
                edge.add(logical_id)
        return [function for function in self.functions() if function.logical_id in edge]

    def value(self, value: Any) -> Any:
        """`value` with each `Ref` to a parameter, at any depth, replaced by the parameter's value."""
        if isinstance(value, dict):
            if value.keys() == {"Ref"} and value["Ref"] in self._parameters:
                return self._parameters[value["Ref"]]
            return {name: self.value(inner) for name, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list) else value

    def _authorizers(self) -> Iterator[str]:
        for _, api in self.resources("AWS::Serverless::Api"):
            for authorizer in api.get("Auth", {}).get("Authorizers", {}).values():
                target = authorizer.get("FunctionArn", {}).get("Fn::GetAtt", "")
                yield target.split(".")[0] if isinstance(target, str) else target[0]

    def _built(self, uri: str) -> Path:
        return (self._directory / uri).resolve()
