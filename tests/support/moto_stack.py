"""template.yaml deployed into moto, whichever way moto is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatapi.ids import random62
from tests.support.transformed import REGION, SECRETS, SIGNING_KEY, without_api


def create_stack(client: Callable[[str], Any], stack: str, parameters: Mapping[str, str]) -> None:
    """Deploy the template as `stack`. `client(service)` is a boto3 client of moto; `parameters` are the template's."""
    s3, secrets, keys = client("s3"), client("secretsmanager"), client("kms")
    s3.create_bucket(Bucket="local", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="local", Key="code", Body=b"")
    values = dict(parameters)
    signing = keys.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    values[SIGNING_KEY] = signing["KeyMetadata"]["Arn"]
    for name in SECRETS:
        values[name] = secrets.create_secret(Name=name, SecretString=random62(86))["ARN"]
    client("cloudformation").create_stack(
        StackName=stack,
        TemplateBody=without_api(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    for workflow in (
        "erasure",
        "export",
        "consent",
        "changes",
    ):  # accept executions and run none: tests drive the tasks
        client("stepfunctions").create_state_machine(
            name=f"{stack}-{workflow}",
            definition='{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": true}}}',
            roleArn="arn:aws:iam::123456789012:role/machine",
        )
