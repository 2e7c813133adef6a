"""The real template in moto: stores, keys and secrets by CloudFormation; functions run in process, over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer

from chatapi.aws.client import AwsClient
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.transformed import REGION, without_api


@dataclass
class Deployed:
    """A deployed stack: its outputs, the environment of each function, and the scripted model behind it."""

    endpoint: str
    outputs: dict[str, str]
    functions: dict[str, dict[str, str]]
    upstream: ScriptedUpstream

    def client(self, service: str) -> AwsClient:
        return AwsClient(service, region=REGION, endpoint=self.endpoint, timeout=10)


@pytest.fixture(scope="module")
def aws_environment() -> Iterator[str]:
    """Credentials of nobody, and an endpoint on loopback for the lean client (moto patches botocore alone)."""
    with pytest.MonkeyPatch.context() as patch:
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(name, value)
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="module")
def deployed(aws_environment: str) -> Iterator[Deployed]:
    """The stack of template.yaml. Deployed anew for a module: other modules of the suite reset moto."""
    with ScriptedUpstream() as upstream, mock_aws():
        template, stack = without_api(), "chatapi"
        session = boto3.Session(region_name=REGION)
        # Inside mock_aws botocore must not go to the loopback server, whose thread holds the same backends.
        formation = session.client("cloudformation", endpoint_url=f"https://cloudformation.{REGION}.amazonaws.com")
        s3 = session.client("s3", endpoint_url=f"https://s3.{REGION}.amazonaws.com")
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="bucket", Key="key", Body=b"")
        parameters = {"Stage": "local", "ModelUrl": upstream.base_url}
        formation.create_stack(
            StackName=stack,
            TemplateBody=template,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        described = formation.describe_stacks(StackName=stack)["Stacks"][0]
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in described["Outputs"]}
        lambdas = session.client("lambda", endpoint_url=f"https://lambda.{REGION}.amazonaws.com")
        functions = {
            name: lambdas.get_function_configuration(FunctionName=f"{stack}-{name}")["Environment"]["Variables"]
            for name in ("authorizer", "chat", "privacy", "erasure")
        }
        yield Deployed(aws_environment, outputs, functions, upstream)


def api_event(method: str, resource: str, context: dict[str, str], body: Any = None, **path: str) -> dict[str, Any]:
    """A REST API proxy event, as the function behind the authorizer gets it."""
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource,
        "headers": {},
        "queryStringParameters": None,
        "pathParameters": path or None,
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {"requestId": "req-1", "authorizer": context},
    }
