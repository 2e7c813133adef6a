"""An operator turns every key of the vault over while it is in use, by the commands of docs/vault.md."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person


def test_keys_are_turned_over_and_everything_stays_readable(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given two people with stored chats, one of whom writes under a second version of the key
    one, other = person("keys-one"), person("keys-other")
    chats = [one.chats("hello"), other.chats("hello")]
    dynamo, project = stack.aws("dynamodb"), stack.info.project_id
    locator = {"pk": {"S": "l#" + project}, "sk": {"S": chats[0]}}
    subject = dynamo.get_item(TableName=stack.info.outputs["RecordsTable"], Key=locator)["Item"]["subject"]["S"]
    assert one.operator("vault", "rotate", project, subject, "--json")["keyver"] == 2
    chats.append(one.chats("hello again"))

    def readable() -> list[int]:
        return [one.get(f"/chat/completions/{chat}").status_code for chat in chats]

    # when a new epoch begins and everything is moved to it
    epochs = one.operator("vault", "new-epoch", "--json")
    assert readable() == [200] * 3
    with pytest.raises(subprocess.CalledProcessError):  # keys are still wrapped under it
        one.operator("vault", "retire-epoch", epochs["old"])
    assert one.operator("vault", "rewrap", "--dry-run", "--json")["moved"] >= 2
    assert one.operator("vault", "rewrap", "--json")["moved"] >= 2
    assert "moved" not in one.operator("vault", "rewrap", "--json")
    # then the old one can go, and all of it is readable without it
    subprocess.run(one.command("vault", "retire-epoch", epochs["old"]), env=stack.cli_environment(), check=True)
    status = one.operator("vault", "status", "--json")
    assert (status["current_epoch"], status["epochs"][epochs["old"]]) == (epochs["new"], "Disabled")
    assert all(row["whose"] == "current" for row in status["items"] if row["state"] == "active")
    assert readable() == [200] * 3
    # and under a key that the tenant brought, without which nothing is read or stored
    kms = stack.aws("kms")
    own = kms.create_key()["KeyMetadata"]["Arn"]
    subprocess.run(one.command("vault", "tenant-key", project, own), env=stack.cli_environment(), check=True)
    assert one.operator("vault", "rewrap", "--json")["moved"] >= 2
    for stop in (lambda: kms.disable_key(KeyId=own), lambda: kms.schedule_key_deletion(KeyId=own)):
        stop()
        body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
        asked = one.http.post("/chat/completions", json={**body, "store": True, "user": "keys-new"})
        for answer in (asked, *(one.get(f"/chat/completions/{chat}") for chat in chats)):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "tenant_key_unavailable")
        with pytest.raises(subprocess.CalledProcessError):
            one.operator("vault", "rotate", project, subject, "--json")
        kms.cancel_key_deletion(KeyId=own)
        kms.enable_key(KeyId=own)
    # given back, nothing is lost
    assert readable() == [200] * 3
    subprocess.run(one.command("vault", "tenant-key", project, "--remove"), env=stack.cli_environment(), check=True)
    assert one.operator("vault", "rewrap", "--json")["moved"] >= 2
    assert readable() == [200] * 3
