"""The transformed template: what CloudFormation gets once SAM's macro has run. A wrong value passes SAM's validation
silently, so tests read this."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local.edge.template import transform_sam

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"


def source() -> dict[str, Any]:
    """template.yaml as it is written."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


@cache
def _transformed() -> dict[str, Any]:
    return transform_sam(source(), {}, REGION)


def transformed() -> dict[str, Any]:
    """The transformed template, a fresh copy."""
    return copy.deepcopy(_transformed())


SECRETS = ("MintSecret", "KeyPepperSecret", "PortalSecret", "SubjectPepperSecret", "WebhookSecret")
SIGNING_KEY = "SigningKey"
"""moto's CloudFormation ignores a key's KeySpec, so this one becomes a parameter as well: its ARN."""


MACHINE_ARN = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:${AWS::StackName}-"


def without_api() -> str:
    """The transformed template as JSON for moto, less what it cannot build: the REST API and what hangs on it,
    bucket policies, the state machines (it would ignore the definition's file; their names are fixed, so what refers to
    one has its ARN), secrets, which become parameters of the same names, and keys' tags, which it reads in the shape of
    KMS's own API."""
    template = transformed()
    gone = (
        "AWS::ApiGateway::",
        "AWS::Lambda::Permission",
        "AWS::StepFunctions::",
        "AWS::SecretsManager::",
        "AWS::S3::BucketPolicy",
        "AWS::WAFv2::",
    )
    template["Resources"] = {
        name: resource for name, resource in template["Resources"].items() if not resource["Type"].startswith(gone)
    }
    del template["Resources"][SIGNING_KEY]
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::KMS::Key":
            resource["Properties"].pop("Tags", None)
    template["Parameters"].update({name: {"Type": "String"} for name in (*SECRETS, SIGNING_KEY)})
    template["Parameters"]["PortalUrl"]["Default"] = "https://portal.example"  # else of the REST API
    for name in ("BaseUrl", "PortalUrl", "ErasureMachine", "ExportMachine", "ChangesMachine", "EpochMachine"):
        del template["Outputs"][name]
    text = json.dumps(template).replace(
        json.dumps({"Fn::GetAtt": [SIGNING_KEY, "Arn"]}), json.dumps({"Ref": SIGNING_KEY})
    )
    for machine in ("erasure", "export", "changes", "epoch"):
        named = {"Fn::Sub": MACHINE_ARN + machine}
        text = text.replace(json.dumps({"Ref": f"{machine.title()}Machine"}), json.dumps(named))
    return text


__all__ = ["REGION", "ROOT", "SECRETS", "SIGNING_KEY", "source", "transformed", "without_api"]
