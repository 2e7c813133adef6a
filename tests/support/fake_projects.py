"""A store of items that evaluates the limiter's own expressions: the fake behind the authorizer's tests.

It understands just the grammar that `chatapi.limits` writes, so a change of an expression has to be told here. The real
grammar is DynamoDB's, which the integration and end-to-end suites use.
"""

from __future__ import annotations

import re
from typing import Any

from chatapi.aws.av import from_av, to_item
from chatapi.aws.errors import AwsError, AwsUnavailable


class FakeProjects:
    """`items` by partition key (and `/` sort key); `calls` in order; `down` makes every call fail."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = {item["pk"]: item for item in items}
        self.calls: list[dict[str, Any]] = []
        self.down = False

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert operation == "UpdateItem"
        self.calls.append(payload)
        if self.down:
            raise AwsUnavailable("Timeout")
        names = payload.get("ExpressionAttributeNames", {})
        values = {k: from_av(v) for k, v in payload.get("ExpressionAttributeValues", {}).items()}
        key = {name: from_av(value) for name, value in payload["Key"].items()}
        item = self.items.get("/".join(key.values()))
        if not self._holds(payload["ConditionExpression"], item or {}, names, values):
            old = to_item(item) if item and payload.get("ReturnValuesOnConditionCheckFailure") else None
            raise AwsError("ConditionalCheckFailedException", 400, item=old)
        item = self.items.setdefault("/".join(key.values()), key)
        self._apply(payload["UpdateExpression"], item, names, values)
        return {"Attributes": to_item(item)}

    def _holds(self, condition: str, item: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> bool:
        def value(token: str) -> Any:
            return values[token] if token.startswith(":") else self._at(item, token, names)

        python = condition.replace(" AND ", " and ").replace(" OR ", " or ").replace("NOT ", "not ")
        python = re.sub(r"attribute_not_exists\(([^)]+)\)", lambda m: str(value(m[1]) is None), python)
        python = re.sub(r"attribute_exists\(([^)]+)\)", lambda m: str(value(m[1]) is not None), python)
        python = re.sub(r"contains\((\S+), (\S+)\)", lambda m: str(value(m[2]) in (value(m[1]) or ())), python)
        python = re.sub(r"size\(([^)]+)\)", lambda m: str(len(value(m[1]) or ())), python)

        def compare(match: re.Match[str]) -> str:
            left = int(match[1]) if match[1].isdigit() else value(match[1])
            right = value(match[3])
            if left is None or right is None:
                return "False"
            return str({"=": left == right, ">=": left >= right, "<": left < right, ">": left > right}[match[2]])

        python = re.sub(r"([#:\w.]+) (>=|=|<|>) ([#:\w.]+)", compare, python)
        assert re.fullmatch(r"(True|False|and|or|not|[ ()])*", python), python
        return bool(eval(python))

    @staticmethod
    def _at(item: dict[str, Any], path: str, names: dict[str, str]) -> Any:
        node: Any = item
        for part in path.split("."):
            node = node.get(names.get(part, part)) if isinstance(node, dict) else None
        return node

    def _apply(self, update: str, item: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> None:
        for path, value in re.findall(r"(#\w+\.#\w+) = (:\w+)", update):
            holder, _, leaf = path.partition(".")
            item[names[holder]] = {**item[names[holder]], names[leaf]: values[value]}
        for name, default, value in re.findall(r"(#\w+) = if_not_exists\(#\w+, ([:#\w.]+)\) - (:\w+)", update):
            start = values[default] if default.startswith(":") else self._at(item, default, names)
            item[names[name]] = item.get(names[name], start) - values[value]
        for name, value in re.findall(r"(?<!\.)(#\w+) = (:\w+)", update):
            item[names[name]] = values[value]
        for name, value in re.findall(r"(#\w+) = if_not_exists\(#\w+, (:\w+)\)(?! -)", update):
            item.setdefault(names[name], values[value])
        for name, value in re.findall(r"ADD (\w+) (:\w+)", update):
            item[name] = frozenset(item.get(name, ())) | values[value]
        for name, value in re.findall(r"DELETE (\w+) (:\w+)", update):
            item[name] = frozenset(item.get(name, ())) - values[value]
            if not item[name]:
                del item[name]
        removed = update.partition(" REMOVE ")[2]
        for name in removed.split(", ") if removed else ():
            item.pop(names[name], None)
