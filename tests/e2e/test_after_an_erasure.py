"""What is left of a person after an erasure, asked of everything that could still know: the function that was warm,
rows that were copied before, the keys that KMS and the Vault still give, and a backup (RGT-5).

`tools/decrypt.py` opens the copied rows before the erasure, with the key that KMS gives for the Vault's item; so that
it does not open them afterwards says something.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.clock import SystemClock
from chatapi.vault import InvalidCiphertext, Vault
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.support.canary import Canary
from tests.support.transformed import ROOT


class Stores:
    """The stack's stores as an administrator sees them."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack, self.project, self.outputs = stack, stack.info.project_id, stack.info.outputs
        self.dynamo, self.kms = stack.aws("dynamodb"), stack.aws("kms")
        who = Credentials(stack.info.aws_access_key_id, stack.info.aws_secret_access_key)
        place: Any = {"region": stack.info.region, "endpoint": stack.info.aws_endpoint_url, "credentials": lambda: who}
        self.wraps = DynamoWraps(AwsClient("dynamodb", **place), self.outputs["VaultTable"])
        self.keys = KmsKeys(AwsClient("kms", **place), self.outputs["EpochAlias"])

    def subject(self, completion: str) -> str:
        key = {"pk": {"S": "l#" + self.project}, "sk": {"S": completion}}
        row = self.dynamo.get_item(TableName=self.outputs["RecordsTable"], Key=key)
        return str(row["Item"]["subject"]["S"])

    def rows(self, subject: str, table: str = "") -> list[dict[str, Any]]:
        """The sealed rows of a subject's first generation, as DynamoDB has them."""
        found: list[dict[str, Any]] = self.dynamo.query(
            TableName=table or self.outputs["RecordsTable"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"s#{self.project}#{subject}#1"}},
        )["Items"]
        return found

    def vault_item(self, subject: str) -> dict[str, Any]:
        found: dict[str, Any] = self.dynamo.get_item(
            TableName=self.outputs["VaultTable"], Key={"pk": {"S": f"v#{self.project}#{subject}"}}
        )["Item"]
        return found

    def put_wraps(self, subject: str, wraps: dict[str, Any]) -> None:
        """What only an attacker does: write into a Vault item."""
        self.dynamo.update_item(
            TableName=self.outputs["VaultTable"],
            Key={"pk": {"S": f"v#{self.project}#{subject}"}},
            UpdateExpression="SET w = :w",
            ExpressionAttributeValues={":w": wraps},
        )

    def key_from_kms(self, subject: str) -> bytes | None:
        """What KMS gives for the wrap that the Vault holds now; None where it holds none."""
        item = self.vault_item(subject)
        if not item["w"]["M"]:
            return None
        context = {"tenant": self.project, "subject": subject, "generation": item["g"]["N"], "purpose": "subject-key"}
        wrap, arn = item["w"]["M"][item["kv"]["N"]]["B"], item["arn"]["S"]
        plain: bytes = self.kms.decrypt(CiphertextBlob=wrap, KeyId=arn, EncryptionContext=context)["Plaintext"]
        return plain

    def erase_key(self, subject: str) -> None:
        """The two steps of the workflow that close a generation."""
        self.wraps.freeze(self.project, subject, 1, "dsr_drill")
        self.wraps.destroy(self.project, subject, 1, SystemClock().now(), "dsr_drill")


@pytest.fixture
def stores(stack: RunningStack) -> Stores:
    return Stores(stack)


def auditor(tmp_path: Path, key: bytes, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the independent decryptor prints, run as an auditor runs it."""
    (tmp_path / "key.b64").write_text(base64.b64encode(key).decode())
    (tmp_path / "rows.json").write_text(json.dumps({"Items": rows}, default=_base64))
    command = [sys.executable, str(ROOT / "tools" / "decrypt.py"), "open", "--key", str(tmp_path / "key.b64")]
    done = subprocess.run([*command, str(tmp_path / "rows.json")], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def status(who: Person, completion: str) -> int:
    return who.get(f"/chat/completions/{completion}").status_code


def test_nothing_that_anybody_holds_opens_what_was_erased(
    stack: RunningStack, stores: Stores, person: Callable[[str], Person], tmp_path: Path
) -> None:
    # given two people, whom a warm function has read, and copies of the rows of one of them
    canary = Canary("after")
    alice, bob = person("after-alice"), person("after-bob")
    chats = {who.name: who.chats(canary.text) for who in (alice, bob)}
    assert [status(who, chats[who.name]) for who in (alice, bob)] == [200, 200]
    gone, stays = (stores.subject(chats[who.name]) for who in (alice, bob))
    copies = stores.rows(gone)
    key = stores.key_from_kms(gone)
    assert key is not None
    assert [canary.text in line["text"] for line in auditor(tmp_path, key, copies)] == [True]
    backup = stores.dynamo.create_backup(TableName=stores.outputs["RecordsTable"], BackupName="before")
    # when she is erased
    request = alice.asks("erasure")
    assert request["status"] == "completed"
    # then the function that was warm refuses, and still serves the other one
    assert [status(who, chats[who.name]) for who in (alice, bob)] == [404, 200]
    # and the copied rows open with no key that the Vault holds and KMS unwraps: hers is gone, and no other fits
    assert stores.key_from_kms(gone) is None
    back = alice.chats("hello again")
    assert stores.subject(back) == gone
    held = [key for who in (gone, stays) if (key := stores.key_from_kms(who))]
    assert [[line["opens"] for line in auditor(tmp_path, key, copies)] for key in held] == [[False], [False]]
    # and a restored backup has her rows, which open for nobody, and gives nothing back before the replay
    arn = backup["BackupDetails"]["BackupArn"]
    table = alice.operator("restore", "begin", "--backup", arn, "--json")["table"]
    restored = stores.rows(gone, table)
    assert len(restored) == len(copies)
    assert [[line["opens"] for line in auditor(tmp_path, key, restored)] for key in held] == [[False], [False]]
    with pytest.raises(subprocess.CalledProcessError):
        alice.operator("restore", "release", table, "--json")
    # after which they are gone from it, and what was lost by accident comes back
    for row in stores.rows(stays):
        stores.dynamo.delete_item(TableName=stores.outputs["RecordsTable"], Key={n: row[n] for n in ("pk", "sk")})
    assert status(bob, chats[bob.name]) == 404
    assert alice.operator("restore", "replay", table, "--json")["left"] == 0
    assert stores.rows(gone, table) == []
    assert alice.operator("restore", "release", table, "--json")["given_back"] >= 1
    assert [status(who, chats[who.name]) for who in (alice, bob)] == [404, 200]
    assert stores.rows(gone) == []
    # and nothing of the drill stays behind
    assert alice.operator("restore", "discard", table, "--json")["deleted"] == table
    assert table not in stores.dynamo.list_tables()["TableNames"]


def test_a_warm_function_refuses_on_the_next_request(stores: Stores, person: Callable[[str], Person]) -> None:
    # given rows and a locator that the workflow has not come to yet
    carol = person("after-carol")
    chat = carol.chats("hello")
    assert [status(carol, chat) for _ in range(5)] == [200] * 5
    # when the key goes
    stores.erase_key(stores.subject(chat))
    # then the next request says so
    assert [status(carol, chat) for _ in range(5)] == [410] * 5


def test_a_wrap_that_was_moved_to_another_subject_opens_nothing(
    stores: Stores, person: Callable[[str], Person]
) -> None:
    # given two people, both warm, in the function and in one here
    dora, mallory = person("moved-dora"), person("moved-mallory")
    chats = [who.chats("hello") for who in (dora, mallory)]
    subjects = [stores.subject(chat) for chat in chats]
    warm = Vault(stores.wraps, stores.keys, SystemClock())
    for who, chat, subject in zip((dora, mallory), chats, subjects, strict=True):
        assert status(who, chat) == 200
        warm.reader(stores.project, subject, 1)
    # when the wrapped key of one is put into the item of the other
    stolen, own = (stores.vault_item(subject)["w"] for subject in subjects)
    stores.put_wraps(subjects[1], stolen)
    # then it opens neither warm nor cold, and its owner's data is as before
    assert [status(mallory, chats[1]), status(dora, chats[0])] == [500, 200]
    for vault in (warm, Vault(stores.wraps, stores.keys, SystemClock())):
        with pytest.raises(InvalidCiphertext):
            vault.reader(stores.project, subjects[1], 1)
    # and with its own wrap in place again so is the other one's
    stores.put_wraps(subjects[1], own)
    assert status(mallory, chats[1]) == 200
