"""The real template in moto: stores, keys and secrets by CloudFormation; functions run in process, over the wire."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto import mock_aws
from moto.kms.utils import ECDSAPrivateKey
from moto.server import ThreadedMotoServer

from chatapi.aws.client import AwsClient
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.keys import SCOPES
from chatapi.secrets import Secrets
from chatapi.store.dynamo import DynamoTable
from chatapi.store.projects import Limits, Projects
from chatapi_runtime import Context
from tests.support.moto_stack import create_stack
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.transformed import REGION, ROOT

FUNCTIONS = (
    "account",
    "authorizer",
    "callbacks",
    "changes",
    "chat",
    "clock",
    "consent",
    "epoch-begin",
    "epoch-move",
    "epoch-retire",
    "privacy",
    "erasure",
    "identity",
    "leaks",
    "rights",
    "sweeper",
    "usage",
)
ROOTS = (
    ("account.gather", "_composed"),
    ("account.handler", "_composed"),
    ("account.leaks.handler", "_service"),
    ("authorizer.handler", "_service"),
    ("authorizer.handler", "_signals"),
    ("chat.handler", "_ready"),
    ("epochs.begin", "_composed"),
    ("epochs.move", "_composed"),
    ("epochs.retire", "_composed"),
    ("privacy.changes.handler", "_composed"),
    ("privacy.choosing.handler", "_composed"),
    ("privacy.clock", "_composed"),
    ("privacy.dialects.follow_handler", "_composed"),
    ("privacy.handler", "_agents"),
    ("privacy.handler", "_choices"),
    ("privacy.handler", "_webhooks"),
    ("privacy.handler", "_dialect"),
    ("privacy.intake.handler", "_composed"),
    ("privacy.handler", "_service"),
    ("privacy.handler", "_who"),
    ("privacy.identity.sender", "_composed"),
    ("privacy.sweeper", "_composed"),
    ("privacy.tasks.handler", "_composed"),
    ("privacy.exports.handler", "_composed"),
)
"""What a warm function keeps: `chatapi.warm`."""


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
            patch.setenv(name, str(value))
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="module")
def deployed(aws_environment: str) -> Iterator[Deployed]:
    """The stack of template.yaml. Deployed anew for a module: other modules of the suite reset moto."""
    with ScriptedUpstream() as upstream, mock_aws():
        stack, session = "chatapi", boto3.Session(region_name=REGION)

        def client(service: str) -> Any:
            # Inside mock_aws botocore must not go to the loopback server, whose thread holds the same backends.
            host = "states" if service == "stepfunctions" else service
            return session.client(service, endpoint_url=f"https://{host}.{REGION}.amazonaws.com")  # type: ignore[call-overload]

        create_stack(client, stack, {"Stage": "local", "ModelUrl": upstream.base_url})
        described = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in described["Outputs"]}
        configuration = client("lambda").get_function_configuration
        functions = {
            name: configuration(FunctionName=f"{stack}-{name}")["Environment"]["Variables"] for name in FUNCTIONS
        }
        yield Deployed(aws_environment, outputs, functions, upstream)


def api_event(method: str, resource: str, context: dict[str, str], body: Any = None, **path: str) -> dict[str, Any]:
    """A REST API proxy event, as the function behind the authorizer gets it."""
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource.format(**{name: quote(value) for name, value in path.items()}),
        "headers": {},
        "queryStringParameters": None,
        "pathParameters": path or None,
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {"requestId": "req-1", "authorizer": context},
    }


class InProcess:
    """The functions of a deployed stack in this process: the event goes through the authorizer as API Gateway sends it.

    `run` returns (status, headers, body). `events` keeps what API Gateway would have seen.
    """

    def __init__(self, stack: Deployed, patch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        for variables in stack.functions.values():
            for name, value in variables.items():
                patch.setenv(name, str(value))
        patch.setattr(ECDSAPrivateKey, "sign", sign_digest)
        for module, name in ROOTS:
            patch.setattr(getattr(importlib.import_module(module), name), "made", None)

    def project(self, scopes: Sequence[str] = SCOPES[:3], redact: str = "", **changes: Any) -> tuple[str, str]:
        """A new project: (id, key)."""
        return self.projects().create(
            "test", Limits(**changes), retention="history", redact=redact, region=REGION, scopes=scopes
        )

    def projects(self) -> Projects:
        """The operators' side of the Projects table."""
        client = self.stack.client
        secrets = Secrets(client("secretsmanager"))
        table = DynamoTable(client("dynamodb"), self.stack.outputs["ProjectsTable"], sort=None)
        return Projects(
            Catalogued(table, "projects"),
            mint=secrets.get(self.stack.outputs["MintSecret"]),
            pepper=secrets.get(self.stack.outputs["KeyPepperSecret"]),
            clock=SystemClock(),
        )

    def run(
        self, key: str, method: str, resource: str, body: Any = None, headers: dict[str, str] | None = None, **path: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request through the authorizer and the function behind it."""
        from authorizer.handler import handler as authorize

        event = api_event(method, resource, {}, body, **path)
        size = {"Content-Length": str(len(event["body"].encode()))} if event["body"] else {}
        event["headers"] = {"Authorization": f"Bearer {key}", **size, **(headers or {})}
        policy = authorize({**event, "type": "REQUEST", "methodArn": "arn:aws:execute-api:x:1:api/live/GET/"}, None)
        if policy["policyDocument"]["Statement"][0]["Effect"] == "Deny":
            return 429, {}, json.dumps(policy["context"]).encode()
        event["requestContext"]["authorizer"] = policy["context"]
        if resource.startswith(("/v1/privacy", "/v1/keys", "/v1/usage")):
            module = "privacy.handler" if resource.startswith("/v1/privacy") else "account.handler"
            answer = importlib.import_module(module).handler(event, FakeContext())
            return answer["statusCode"], answer.get("headers") or {}, (answer.get("body") or "").encode()
        from chat.handler import handler as chat

        response = chat(event, Context("req-1", int((time.time() + 60) * 1000), "arn"))
        try:
            return response.status, dict(response.headers), b"".join(response.body)
        finally:
            getattr(response.body, "close", lambda: None)()


def sign_digest(self: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    """KMS's Sign of a digest. moto takes the digest for a message and hashes it once more."""
    del signing_algorithm
    return bytes(self.private_key.sign(message, ec.ECDSA(Prehashed(SHA256()))))


def erase(request: str, project: str) -> None:
    """Run the workflow's tasks in the order of the state machine's path of success."""
    _drive("erasure", "privacy.tasks.handler", request, project)


def change(request: str, project: str) -> None:
    """The same of the workflow of changes."""
    _drive("changes", "privacy.changes.handler", request, project)


def _drive(workflow: str, module: str, request: str, project: str) -> None:
    handler = importlib.import_module(module).handler
    definition = json.loads((ROOT / "statemachines" / f"{workflow}.asl.json").read_text())
    name = definition["StartAt"]
    while name:
        state = definition["States"][name]
        if state["Type"] == "Task":
            payload = state["Parameters"]["Payload"]
            handler({"task": payload["task"], "project": project, "request": request}, None)
        name = state.get("Next") or state.get("Default")


class FakeContext:
    """Lambda's context object, as far as Powertools looks at it."""

    function_name = "privacy"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:x:1:function:privacy"
    aws_request_id = "req-1"


@pytest.fixture
def functions(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """The functions of the deployed stack, fresh: nothing is warm."""
    return InProcess(deployed, monkeypatch)
