"""The transformed template, as the suite of it reads it."""

from __future__ import annotations

from typing import Any

from tests.support.transformed import transformed

TEMPLATE = transformed()


RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, policy in of_type("AWS::IAM::Policy").items():
        found += [(name, statement) for statement in policy["PolicyDocument"]["Statement"]]
    return found


SWEPT = [name.removesuffix("Table") for name, t in of_type("AWS::DynamoDB::Table").items() if "TimeToLive" in str(t)]
