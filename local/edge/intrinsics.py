"""CloudFormation's intrinsic functions, as far as an API's definition uses them.

Source: AWS CloudFormation, "Intrinsic function reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


@dataclass(frozen=True)
class Resolver:
    """Evaluates values of one template.

    A reference to a resource has no value before deployment: it becomes the text ``${LogicalId}`` or
    ``${LogicalId.Attribute}``, in which the logical id can be found again.
    """

    values: Mapping[str, Any]
    """Parameters and pseudo parameters (``AWS::Region``, ...) by name."""
    conditions: Mapping[str, Any]
    mappings: Mapping[str, Any]

    def resolve(self, value: Any) -> Any:
        """``value`` with every known intrinsic function evaluated."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((name, argument),) = value.items()
                # ``Condition`` is also the name of a block in a policy; only a string is a reference.
                if name == "Ref" or str(name).startswith("Fn::") or (name == "Condition" and isinstance(argument, str)):
                    return self._call(str(name).removeprefix("Fn::"), argument)
            resolved = {key: self.resolve(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not _NO_VALUE}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _NO_VALUE]
        return value

    def _call(self, name: str, argument: Any) -> Any:  # noqa: PLR0911, PLR0912  # one line per function
        match name:
            case "Ref":
                return self._ref(argument)
            case "GetAtt":
                return "${" + (argument if isinstance(argument, str) else ".".join(map(str, argument))) + "}"
            case "Sub":
                return self._sub(argument)
            case "If":
                return self.resolve(argument[1] if self._condition(argument[0]) else argument[2])
            case "Condition":
                return self._condition(argument)
            case "Equals":
                return str(self.resolve(argument[0])) == str(self.resolve(argument[1]))
            case "Not":
                return not self.resolve(argument[0])
            case "And":
                return all(map(self.resolve, argument))
            case "Or":
                return any(map(self.resolve, argument))
            case "Join":
                return argument[0].join(map(str, self.resolve(argument[1])))
            case "Select":
                return self.resolve(argument[1])[int(self.resolve(argument[0]))]
            case "Split":
                return self.resolve(argument[1]).split(argument[0])
            case "FindInMap":
                first, second, third = map(self.resolve, argument[:3])
                return self.mappings[first][second][third]
        return {f"Fn::{name}": argument}

    def _condition(self, name: str) -> bool:
        return bool(self.resolve(self.conditions[name]))

    def _ref(self, name: str) -> Any:
        return _NO_VALUE if name == "AWS::NoValue" else self.values.get(name, "${" + name + "}")

    def _sub(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        names = {key: self.resolve(value) for key, value in own.items()}

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            return str(names[name] if name in names else self._ref(name))

        return _PLACEHOLDER.sub(replace, text)
