"""Story: a data-rights request goes over the real wire formats: API event, Step Functions, DynamoDB, KMS, S3 (moto)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto import mock_aws
from moto.awslambda.models import LambdaBackend
from moto.kms.utils import ECDSAPrivateKey
from moto.server import ThreadedMotoServer

import privacy.handler
import privacy.tasks.handler
from chatapi.aws.client import AwsClient
from chatapi.catalogue import Catalogued
from chatapi.certificates import verify
from chatapi.clock import SystemClock
from chatapi.ids import completion_id
from chatapi.store.completions import Completions
from chatapi.store.days import Days
from chatapi.store.dynamo import DynamoTable
from chatapi.store.marks import Marks
from chatapi.vault import Vault, project_pepper, subject_id
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from chatapi.verdict import Verdict

REGION = "eu-central-1"
PROJECT = "projectA"
PEPPER = "p" * 86
ASL = Path(__file__).parents[2] / "statemachines" / "erasure.asl.json"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:erasure"


class Stack:
    """The stores, keys and the state machine, and both functions in process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dynamo: Any = boto3.resource("dynamodb", REGION)
        env = {name: self._table(name) for name in ("VAULT_TABLE", "RECORDS_TABLE", "REQUESTS_TABLE", "LEDGER_TABLE")}
        kms = boto3.client("kms", REGION)
        env["EPOCH_KEY"] = kms.create_key()["KeyMetadata"]["Arn"]
        env["SIGNING_KEY"] = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        secret = boto3.client("secretsmanager", REGION).create_secret(Name="pepper", SecretString=PEPPER)
        env["SUBJECT_PEPPER_SECRET"] = secret["ARN"]
        self.s3: Any = boto3.client("s3", REGION)
        self.s3.create_bucket(Bucket="exports", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.sfn = boto3.client("stepfunctions", REGION)
        env |= {
            "EXPORTS_BUCKET": "exports",
            "LATE_WRITER_SECONDS": "0",
            "GRACE_SECONDS": "0",
            "ERASURE_MACHINE": self._machine(),
            "EXPORT_MACHINE": "arn:aws:states:not-called-here",
            "CHANGES_MACHINE": "arn:aws:states:not-called-here",
            "CHANGES_FUNCTION": "not-called-here",
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        self.env = env
        clock, client = SystemClock(), AwsClient("dynamodb", region=REGION)
        wraps = DynamoWraps(client, env["VAULT_TABLE"])
        self.vault = Vault(wraps, KmsKeys(AwsClient("kms", region=REGION), env["EPOCH_KEY"]), clock)
        records = Catalogued(DynamoTable(client, env["RECORDS_TABLE"]), "records")
        marks = Marks(Catalogued(DynamoTable(client, env["REQUESTS_TABLE"]), "requests"), clock)
        self.completions, self.days = Completions(records, self.vault, marks, clock), Days(records, clock)

    def _table(self, name: str) -> str:
        sort = {"VAULT_TABLE": None, "LEDGER_TABLE": "seq"}.get(name, "sk")
        keys = [("pk", "HASH", "S"), *([(sort, "RANGE", "N" if sort == "seq" else "S")] if sort else [])]
        self.dynamo.create_table(
            TableName=name.lower(),
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind, _ in keys],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": av} for key, _, av in keys],
        )
        return name.lower()

    def _machine(self) -> str:
        # Retries wait for seconds; that they are there is the template suite's and the unit suite's business.
        definition = (
            ASL.read_text().replace("${ErasureFunctionArn}", FUNCTION).replace('"MaxAttempts": 4', '"MaxAttempts": 0')
        )
        role = "arn:aws:iam::123456789012:role/erasure-machine"
        return str(
            self.sfn.create_state_machine(name="erasure", definition=definition, roleArn=role)["stateMachineArn"]
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        event = {
            "httpMethod": method,
            "path": path,
            "resource": path,
            "headers": headers,
            "multiValueHeaders": {},
            "queryStringParameters": None,
            "requestContext": {"requestId": "req-1", "authorizer": Verdict(PROJECT, "k1").to_context()},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = privacy.handler.handler(event, None)
        return answer["statusCode"], json.loads(answer["body"])

    def finished(self, request: str) -> str:
        """The status of an execution when it has ended."""
        arn = self.env["ERASURE_MACHINE"].replace(":stateMachine:", ":execution:") + ":" + request
        until = time.monotonic() + 30
        while time.monotonic() < until:
            status = str(self.sfn.describe_execution(executionArn=arn)["status"])
            if status != "RUNNING":
                return status
            time.sleep(0.02)
        raise AssertionError("the execution did not end")

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.dynamo.Table(table.lower()).scan()["Items"])


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    def invoke(
        self: LambdaBackend, function_name: str, qualifier: Any, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        try:
            return json.dumps(privacy.tasks.handler.handler(json.loads(body), None)).encode()
        except privacy.tasks.handler.TaskFailed as error:
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorType": "TaskFailed", "errorMessage": str(error)}).encode()

    def sign(self: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
        return bytes(self.private_key.sign(message, ec.ECDSA(Prehashed(SHA256()))))  # moto takes a digest for a message

    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    monkeypatch.setattr(LambdaBackend, "invoke", invoke)
    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign)
    monkeypatch.setattr(privacy.handler._service, "made", None)
    monkeypatch.setattr(privacy.tasks.handler._composed, "made", None)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        for service in ("DYNAMODB", "KMS", "SECRETS_MANAGER", "SFN"):
            monkeypatch.setenv("AWS_ENDPOINT_URL_" + service, f"http://{host}:{port}")
        # boto3, which mock_aws answers in process, would follow those variables too.
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        try:
            yield Stack(monkeypatch)
        finally:
            server.stop()


def test_a_request_over_the_wire_ends_with_a_certificate(stack: Stack) -> None:
    # given a data subject with a stored completion of three chunks, a day row and an export
    subject = subject_id(project_pepper(PEPPER.encode(), PROJECT), "user", "alice@example.com")
    handle = stack.completions.open_for(PROJECT, subject)
    stack.completions.save(handle, completion_id(time.time()), b"canary" * 150_000)
    stack.days.disclose(PROJECT, subject, "local-model", 1, 1)
    stack.s3.put_object(Bucket="exports", Key=f"{PROJECT}/{subject}/export.zip", Body=b"zip")
    # when
    status, created = stack.call(
        "POST", "/v1/privacy/requests", {"type": "erasure", "subject": {"user": "alice@example.com"}}
    )
    # then
    assert status == 202
    assert stack.finished(created["id"]) == "SUCCEEDED"
    _, case = stack.call("GET", "/v1/privacy/requests/" + created["id"])
    assert case["status"] == "completed"
    outcomes = {line["store"]: (line["outcome"], line["count"]) for line in case["stores"]}
    assert outcomes["vault"] == ("shredded", 1)
    assert outcomes["records"] == ("deleted", 3 + 1 + 1)
    assert outcomes["exports"] == ("deleted", 1)
    assert stack.rows("RECORDS_TABLE") == []
    assert stack.s3.list_objects_v2(Bucket="exports")["KeyCount"] == 0
    path = f"/v1/privacy/requests/{created['id']}/certificate"
    _, certificate = stack.call("GET", path)
    _, jwks = stack.call("GET", "/.well-known/jwks.json")
    assert verify(certificate, jwks) == []
    assert stack.call("GET", path)[1] == certificate
    assert len(stack.rows("LEDGER_TABLE")) == 1


def test_nothing_but_opaque_ids_is_in_the_execution_and_the_case(stack: Stack) -> None:
    _, created = stack.call(
        "POST", "/v1/privacy/requests", {"type": "erasure", "subject": {"user": "alice@example.com"}}
    )
    stack.finished(created["id"])
    arn = stack.env["ERASURE_MACHINE"].replace(":stateMachine:", ":execution:") + ":" + created["id"]
    execution = stack.sfn.describe_execution(executionArn=arn)
    assert json.loads(execution["input"]) == {"project": PROJECT, "request": created["id"]}
    history = stack.sfn.get_execution_history(executionArn=arn, maxResults=1000)
    everything = str(history) + str(stack.rows("REQUESTS_TABLE")) + str(stack.rows("LEDGER_TABLE"))
    assert "alice" not in everything


def test_a_failed_task_is_a_failed_execution_and_a_failed_case(stack: Stack) -> None:
    # given a hold that cannot be honoured
    subject = subject_id(project_pepper(PEPPER.encode(), PROJECT), "user", "alice")
    hold = {"kind": "hold", "kinds": ["alias"], "basis": "b", "owner": "o", "review": 1, "expires": 9_999_999_999}
    stack.dynamo.Table("requests_table").put_item(Item={"pk": f"h#{PROJECT}#{subject}", "sk": "h1", **hold})
    stack.completions.open_for(PROJECT, subject)
    # when
    _, created = stack.call("POST", "/v1/privacy/requests", {"type": "erasure", "subject": {"user": "alice"}})
    # then
    assert stack.finished(created["id"]) == "FAILED"
    assert stack.call("GET", "/v1/privacy/requests/" + created["id"])[1]["status"] == "failed"
    stack.completions.open_for(PROJECT, subject)  # and the data subject is not frozen
