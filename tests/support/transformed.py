"""The transformed template: what CloudFormation gets once SAM's macro has run. A wrong value passes SAM's validation
silently, so tests read this."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"


class _NoPolicies(ManagedPolicyLoader):
    """The template names no managed SAM policy, so none is loaded."""

    def __init__(self) -> None:
        self._policy_map: dict[str, str] = {}

    def load(self) -> dict[str, str]:
        return {}


def source() -> dict[str, Any]:
    """template.yaml as it is written."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


@cache
def _transformed() -> dict[str, Any]:
    import boto3

    template = source()
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if resource["Type"].startswith("AWS::Serverless::") and name in resource["Properties"]:
                resource["Properties"][name] = "s3://bucket/key"
        if resource["Type"].endswith("::Function"):
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    session = boto3.Session(region_name=REGION)
    done: dict[str, Any] = transform(template, {}, _NoPolicies(), boto_session=session)
    return done


def transformed() -> dict[str, Any]:
    """The transformed template, a fresh copy."""
    return copy.deepcopy(_transformed())


def without_api() -> str:
    """The transformed template as JSON, less what moto cannot build: the REST API and what hangs on it."""
    template = transformed()
    gone = ("AWS::ApiGateway::", "AWS::Lambda::Permission")
    template["Resources"] = {
        name: resource
        for name, resource in template["Resources"].items()
        if not resource["Type"].startswith(gone) and name not in ("ErasureMachine",)
    }
    template["Outputs"] = {
        name: output for name, output in template["Outputs"].items() if name not in ("BaseUrl", "ErasureMachine")
    }
    return json.dumps(template)


__all__ = ["REGION", "ROOT", "source", "transformed", "without_api"]
