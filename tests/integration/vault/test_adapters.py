"""Story: the vault's adapters keep the ports' promises against DynamoDB's and KMS's wire protocols (moto's server)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from chatapi.aws import AwsClient, AwsUnavailable, Credentials
from chatapi.aws.av import to_item
from chatapi.clock import FixedClock
from chatapi.vault import Conflict, InvalidCiphertext, KeyUnavailable, State, SubjectErased, Vault, key_context
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from chatapi.vault.memory import MemoryKeys, MemoryWraps

WHO = ("prj", "sub_a")
PLACE = ("records", "pk", "sk", "body", 1)
CONTEXT = key_context("prj", "sub_a", 1)


class Aws:
    """Clients of one server, and a fresh Vault table and key for each test."""

    def __init__(self, endpoint: str, table: str) -> None:
        def client(service: str) -> AwsClient:
            credentials = Credentials("AKIDEXAMPLE", "secret")
            return AwsClient(
                service, region="eu-central-1", endpoint=endpoint, credentials=lambda: credentials, timeout=30
            )

        self.dynamo, self.kms, self.table = client("dynamodb"), client("kms"), table
        self.dynamo.call(
            "CreateTable",
            {
                "TableName": table,
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            },
        )
        self.key_arn = self.new_key()
        self.wraps, self.keys = DynamoWraps(self.dynamo, table), KmsKeys(self.kms, self.key_arn)

    def new_key(self) -> str:
        return str(self.kms.call("CreateKey", {})["KeyMetadata"]["Arn"])

    def row(self) -> dict[str, Any] | None:
        key = to_item({"pk": "v#prj#sub_a"})
        found = self.dynamo.call("GetItem", {"TableName": self.table, "Key": key}).get("Item")
        return None if found is None else dict(found)

    def close(self) -> None:
        self.dynamo.close()
        self.kms.close()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint: str, request: pytest.FixtureRequest) -> Iterator[Aws]:
    made = Aws(endpoint, f"vault-{abs(hash(request.node.name))}")
    yield made
    made.close()


def test_the_whole_life_of_a_subject(aws: Aws) -> None:
    vault = Vault(aws.wraps, aws.keys, FixedClock())
    # Given a sealed message, read by another function
    writer = vault.writer(*WHO)
    sealed = writer.seal(*PLACE, b"text")
    assert vault.still_open(writer)
    assert Vault(aws.wraps, aws.keys, FixedClock()).reader(*WHO, 1).open(*PLACE, sealed) == b"text"
    # When the subject is erased
    aws.wraps.freeze(*WHO, 1, "dsr_1")
    assert not vault.still_open(writer)
    closed = aws.wraps.destroy(*WHO, 1, 1000.7, "dsr_1")
    # Then the row holds no wrap, and the next request of the warm function is refused
    row = aws.row()
    assert row is not None
    assert row["w"] == {"M": {}}
    assert not any("B" in value for value in row.values())
    with pytest.raises(SubjectErased) as refusal:
        vault.reader(*WHO, 1)
    assert refusal.value.erased_at == 1000
    # And the same case again answers the same; the person who comes back opens generation 2
    assert aws.wraps.destroy(*WHO, 1, 5000.0, "dsr_1") == closed
    assert vault.writer(*WHO).generation == 2
    assert aws.wraps.destroy(*WHO, 1, 5000.0, "dsr_1").tombstones[1] == closed.tombstones[1]


def test_twenty_warm_requests_are_twenty_reads_and_no_kms_call(aws: Aws) -> None:
    Vault(aws.wraps, aws.keys, FixedClock()).writer(*WHO)
    cold = Vault(aws.wraps, aws.keys, FixedClock())
    cold.reader(*WHO, 1)
    reads, kms = aws.dynamo.calls["GetItem"], sum(aws.kms.calls.values())
    for _ in range(20):
        cold.reader(*WHO, 1)
    assert aws.dynamo.calls["GetItem"] - reads == 20
    assert sum(aws.kms.calls.values()) == kms
    assert aws.kms.calls["Decrypt"] == 1


def test_a_first_writer_costs_one_read_one_write_one_kms_call(aws: Aws) -> None:
    before = dict(aws.dynamo.calls)
    Vault(aws.wraps, aws.keys, FixedClock()).writer(*WHO)
    assert aws.dynamo.calls - type(aws.dynamo.calls)(before) == {"GetItem": 1, "PutItem": 1}
    assert aws.kms.calls["GenerateDataKey"] == 1


def test_both_stores_tell_the_same_story(aws: Aws) -> None:
    """Every step, good and refused, on the fake and on the adapter: the same items, the same conflicts."""
    steps: list[tuple[str, tuple[Any, ...]]] = [
        ("unfreeze", (1, "dsr_1")), ("destroy", (1, 5.0, "dsr_1")), ("freeze", (1, "dsr_1")),
        ("create", (2, b"w", "arn")), ("create", (1, b"w", "arn")), ("create", (1, b"x", "arn")),
        ("destroy", (1, 5.0, "dsr_1")), ("freeze", (1, "dsr_1")), ("freeze", (1, "dsr_1")), ("freeze", (1, "dsr_2")),
        ("unfreeze", (1, "dsr_2")), ("unfreeze", (1, "dsr_1")), ("unfreeze", (1, "dsr_1")), ("freeze", (1, "dsr_2")),
        ("destroy", (1, 6.0, "dsr_1")), ("destroy", (2, 6.0, "dsr_2")), ("destroy", (1, 6.5, "dsr_2")),
        ("destroy", (1, 9.0, "dsr_2")), ("destroy", (1, 9.0, "dsr_1")), ("freeze", (1, "dsr_2")),
        ("create", (1, b"y", "arn")), ("create", (3, b"y", "arn")), ("create", (2, b"y", "arn2")),
        ("create", (2, b"z", "arn2")), ("destroy", (1, 9.0, "dsr_2")), ("freeze", (2, "dsr_3")),
        ("destroy", (2, 10.0, "dsr_3")),
    ]  # fmt: skip
    memory = MemoryWraps()

    def outcome(store: Any, name: str, arguments: tuple[Any, ...]) -> object:
        extra = {"now": 1.5} if name == "create" else {}
        try:
            return getattr(store, name)(*WHO, *arguments, **extra)
        except Conflict:
            return "conflict"

    for number, (name, arguments) in enumerate(steps):
        assert outcome(aws.wraps, name, arguments) == outcome(memory, name, arguments), (number, name)
        assert aws.wraps.get(*WHO) == memory.get(*WHO), (number, name)


def test_a_stale_writer_cannot_overwrite_a_tombstone(aws: Aws) -> None:
    class Late(DynamoWraps):
        """Reads, and then the erasure happens before its write."""

        raced = False

        def _write(self, before: Any, after: Any) -> None:
            if not self.raced:
                self.raced = True
                aws.wraps.destroy(*WHO, 1, 1000.0, "dsr_1")
            super()._write(before, after)

    aws.wraps.create(*WHO, 1, b"wrap", "arn", now=1.0)
    aws.wraps.freeze(*WHO, 1, "dsr_1")
    with pytest.raises(Conflict):
        Late(aws.dynamo, aws.table).unfreeze(*WHO, 1, "dsr_1")
    item = aws.wraps.get(*WHO)
    assert item is not None
    assert (item.state, dict(item.wraps)) == (State.ERASED, {})


def test_a_step_whose_answer_was_lost_is_still_one_step(aws: Aws) -> None:
    class AnswerLost:
        """The write happens, the answer does not arrive, the client's own second attempt meets its first."""

        def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
            output = aws.dynamo.call(operation, payload)
            return aws.dynamo.call(operation, payload) if operation == "PutItem" else output

    flaky = DynamoWraps(AnswerLost(), aws.table)
    handle = Vault(flaky, aws.keys, FixedClock()).writer(*WHO)
    assert handle.generation == 1
    assert flaky.freeze(*WHO, 1, "dsr_1").revision == 2
    assert flaky.destroy(*WHO, 1, 1000.0, "dsr_1").revision == 3


def test_a_step_that_always_loses_gives_up_and_changes_nothing(aws: Aws) -> None:
    class AlwaysLate(DynamoWraps):
        """Another writer comes between each read and write."""

        def _write(self, before: Any, after: Any) -> None:
            raise Conflict

    item = aws.wraps.create(*WHO, 1, b"wrap", "arn", now=1.0)
    with pytest.raises(Conflict):
        AlwaysLate(aws.dynamo, aws.table).freeze(*WHO, 1, "dsr_1")
    assert aws.wraps.get(*WHO) == item


def test_two_keyvers_survive_the_wire(aws: Aws) -> None:
    item = aws.wraps.create(*WHO, 1, b"\x00\xff", "arn", now=1.0)
    aws.wraps._write(item, replace(item, keyver=2, wraps={1: b"\x00\xff", 2: b""}, revision=2))
    found = aws.wraps.get(*WHO)
    assert found is not None
    assert (found.keyver, dict(found.wraps)) == (2, {1: b"\x00\xff", 2: b""})


@pytest.mark.parametrize(
    "change",
    [
        {"g": {"S": "x"}},
        {"rev": {"NULL": True}},
        {"w": {"M": {"1": {"S": "x"}}}},
        {"st": {"S": "unknown"}},
        {"w": {"S": "x"}},
        {"w": {"M": {"one": {"B": ""}}}},
        {"ts": {"L": []}},
    ],
)
def test_an_item_that_nobody_could_have_written_fails_closed(aws: Aws, change: dict[str, Any]) -> None:
    aws.wraps.create(*WHO, 1, b"wrap", "arn", now=1.0)
    aws.dynamo.call("PutItem", {"TableName": aws.table, "Item": {**(aws.row() or {}), **change}})
    with pytest.raises(KeyUnavailable):
        aws.wraps.get(*WHO)


@pytest.mark.parametrize(("project", "subject"), [("a#b", "c"), ("a", "b#c"), ("", "c"), ("a", ""), ("a", "é")])
def test_ids_that_could_blur_the_key_are_refused(aws: Aws, project: str, subject: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        aws.wraps.get(project, subject)


def test_kms_wraps_64_bytes_under_the_context_and_the_named_key(aws: Aws) -> None:
    plain, wrapped, arn = aws.keys.generate(CONTEXT)
    assert len(plain) == 64
    assert arn == aws.key_arn
    assert plain not in wrapped
    assert aws.keys.unwrap(wrapped, CONTEXT, arn) == plain


@pytest.mark.parametrize("part", sorted(CONTEXT))
def test_kms_refuses_another_context(aws: Aws, part: str) -> None:
    _, wrapped, arn = aws.keys.generate(CONTEXT)
    with pytest.raises(InvalidCiphertext):
        aws.keys.unwrap(wrapped, {**CONTEXT, part: "other"}, arn)


def test_kms_refuses_an_altered_wrap(aws: Aws) -> None:
    _, wrapped, arn = aws.keys.generate(CONTEXT)
    with pytest.raises(InvalidCiphertext):
        aws.keys.unwrap(wrapped[:-1] + bytes((wrapped[-1] ^ 1,)), CONTEXT, arn)


def test_a_wrap_moved_in_the_table_does_not_pass_warm(aws: Aws) -> None:
    vault = Vault(aws.wraps, aws.keys, FixedClock())
    for subject in ("sub_a", "sub_b"):
        vault.writer("prj", subject)
    stolen, own = aws.wraps.get("prj", "sub_a"), aws.wraps.get("prj", "sub_b")
    assert stolen is not None
    assert own is not None
    aws.wraps._write(own, replace(own, wraps=stolen.wraps, revision=own.revision + 1))
    with pytest.raises(InvalidCiphertext):
        vault.reader("prj", "sub_b", 1)


class Refusing:
    """A client whose every call ends the same way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        raise self.error


def test_unreachable_services_fail_closed_and_carry_no_cause() -> None:
    client = Refusing(AwsUnavailable("Timeout"))
    for call in (
        lambda: DynamoWraps(client, "t").get(*WHO),
        lambda: KmsKeys(client, "alias/x").generate(CONTEXT),
        lambda: KmsKeys(client, "alias/x").unwrap(b"w", CONTEXT, "arn"),
        lambda: Vault(MemoryWraps(), KmsKeys(client, "alias/x"), FixedClock()).writer(*WHO),
        lambda: Vault(DynamoWraps(client, "t"), MemoryKeys(), FixedClock()).writer(*WHO),
    ):
        with pytest.raises(KeyUnavailable) as refusal:
            call()
        assert refusal.value.__cause__ is refusal.value.__context__ is None


def test_decrypt_names_the_recorded_key_and_sends_opaque_ids_only() -> None:
    class Recording:
        def __init__(self) -> None:
            self.sent: list[tuple[str, dict[str, Any]]] = []

        def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
            self.sent.append((operation, payload))
            return {"Plaintext": base64.b64encode(bytes(64)).decode()}

    client = Recording()
    KmsKeys(client, "alias/current-epoch").unwrap(b"wrap", CONTEXT, "arn:old-epoch")
    ((operation, payload),) = client.sent
    assert operation == "Decrypt"
    assert payload["KeyId"] == "arn:old-epoch"
    assert payload["EncryptionContext"] == {
        "tenant": "prj", "subject": "sub_a", "generation": "1", "purpose": "subject-key",
    }  # fmt: skip
