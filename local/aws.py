"""boto3 against this machine's MiniStack: what was deployed, and what its CloudFormation left out."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config

from local.settings import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, STACK_NAME, Settings
from local.template import BuiltTemplate


class Deployed:
    """The stack as MiniStack holds it."""

    def __init__(self, settings: Settings) -> None:
        self._session = boto3.Session(
            aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=REGION
        )
        self._endpoint = settings.aws_endpoint
        pages = self._client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
        self._ids: dict[str, str] = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
        }

    def outputs(self) -> dict[str, str]:
        """The template's outputs."""
        stack = self._client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def function(self, logical_id: str) -> dict[str, Any]:
        """Lambda's GetFunctionConfiguration of a function: its ARN, handler, limits and resolved environment."""
        client = self._client("lambda")
        configuration: dict[str, Any] = client.get_function_configuration(FunctionName=self._ids[logical_id])
        return configuration

    def complete(self, template: BuiltTemplate) -> None:
        """Apply what MiniStack's CloudFormation accepts and forgets (1.5.33), with the template's own values.

        Time to live and point-in-time recovery of tables; object lock and lifecycle of buckets.
        """
        tables, buckets = self._client("dynamodb"), self._client("s3")
        for logical_id, raw in template.resources("AWS::DynamoDB::Table"):
            name, table = self._ids[logical_id], template.value(raw)
            if lifetime := table.get("TimeToLiveSpecification"):
                tables.update_time_to_live(TableName=name, TimeToLiveSpecification=lifetime)
            if recovery := table.get("PointInTimeRecoverySpecification"):
                tables.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
        for logical_id, raw in template.resources("AWS::S3::Bucket"):
            name, bucket = self._ids[logical_id], template.value(raw)
            if lock := bucket.get("ObjectLockConfiguration"):
                buckets.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
            if lifecycle := bucket.get("LifecycleConfiguration"):
                rules = [_lifecycle_rule(rule) for rule in lifecycle["Rules"]]
                buckets.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})

    def leave_packed(self, template: BuiltTemplate) -> None:
        """Let MiniStack's processes read the layers where they were built. It unpacks them for each process anew, after
        each that failed too (1.5.33), which takes seconds; where it has unpacked them it says in this variable."""
        functions, edge = self._client("lambda"), {function.logical_id for function in template.api_functions()}
        for function in template.functions():
            if function.logical_id not in edge and function.layers:
                name = self._ids[function.logical_id]
                variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
                variables["_LAMBDA_LAYERS_DIRS"] = os.pathsep.join(map(str, function.layers))
                functions.update_function_configuration(
                    FunctionName=name, Layers=[], Environment={"Variables": variables}
                )

    def verify_sender(self, address: str) -> None:
        """What an operator does once on AWS: prove to SES that the sender is theirs. MiniStack keeps what is sent:
        GET /_ministack/ses/messages."""
        self._client("sesv2").create_email_identity(EmailIdentity=address)

    def _client(self, service: str) -> Any:
        # No proxy of the user's: MiniStack is on loopback.
        return self._session.client(service, endpoint_url=self._endpoint, config=Config(proxies={}))  # type: ignore[call-overload]


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    # CloudFormation's spelling of a rule into the API's (AWS::S3::Bucket Rule; S3 API LifecycleRule).
    spelled = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        spelled["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "AbortIncompleteMultipartUpload" in rule:
        spelled["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return spelled
