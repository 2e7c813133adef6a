"""The rights of a data subject on the local stack, as an operator and a developer see them: RGT-1, RGT-6."""

from __future__ import annotations

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.support.canary import Canary
from tests.support.transformed import ROOT


@pytest.fixture
def jwks(stack: RunningStack, tmp_path: Path) -> str:
    root = stack.info.base_url.removesuffix("/v1")
    (tmp_path / "jwks.json").write_bytes(httpx.get(root + "/.well-known/jwks.json").content)
    return str(tmp_path / "jwks.json")


def test_an_export_has_every_own_canary_and_verifies_offline(
    stack: RunningStack, person: Callable[[str], Person], tmp_path: Path, jwks: str
) -> None:
    # given two people
    own, foreign = Canary("own"), Canary("foreign")
    someone, other = person("export-1"), person("export-2")
    chat = someone.chats(own.text)
    other.chats(foreign.text)
    # when one of them asks for access
    request = someone.asks("access")
    assert request["status"] == "completed"
    # then a link opens once
    link = someone.http.get(f"/privacy/requests/{request['id']}/export").json()
    answer = httpx.get(link["url"], follow_redirects=True)
    assert answer.status_code == 200
    assert httpx.get(link["url"]).status_code == 404
    # and the archive has the own data and not the other's, in OpenAI's shape, and holds
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
        (line,) = [json.loads(line) for line in archive.read("chats.jsonl").splitlines()]
    assert own.found_in(everything)
    assert not foreign.found_in(everything)
    assert (line["completion"]["id"], line["messages"][0]["content"]) == (chat, own.text)
    file = tmp_path / "export.zip"
    file.write_bytes(answer.content)
    verify = [str(ROOT / ".venv" / "bin" / "chatapi"), "verify", str(file), "--jwks", jwks]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    (tmp_path / "receipt.json").write_bytes(someone.http.get(f"/privacy/requests/{request['id']}/certificate").content)
    receipt = [*verify[:2], str(tmp_path / "receipt.json"), *verify[3:]]
    assert subprocess.run(receipt, check=False, capture_output=True).returncode == 0
    # and an erasure takes the export with it
    late = someone.http.get(f"/privacy/requests/{request['id']}/export").json()["url"]
    assert someone.asks("erasure")["status"] == "completed"
    assert httpx.get(late).status_code == 404
    listed = stack.aws("s3").list_objects_v2(Bucket=stack.info.outputs["ExportsBucket"]).get("Contents", [])
    assert not [entry for entry in listed if request["id"] in entry["Key"]]


def test_billing_is_held_and_explained_and_erased_when_the_hold_ends(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given a person with a stored chat and a hold on what was disclosed and used
    someone, project = person("held-billing"), stack.info.project_id
    chat = someone.chats("hello")
    add = ("holds", "add", project, "--user", "-", "--kind", "day", "--basis", "tax law", "--by", "dpo", "--days", "9")
    hold = someone.operator(*add)["hold"]
    # when the person is erased
    request = someone.asks("erasure")
    # then the chat is gone, the rest is kept and said to be kept, until when and why
    assert (request["status"], request["reason"]) == ("on_hold", "legal_hold")
    assert request["until"] > time.time()
    assert "Art. 17(3)" in request["explanation"]
    with OpenAI(base_url=stack.info.base_url, api_key=stack.info.api_key) as api, pytest.raises(openai.NotFoundError):
        api.chat.completions.retrieve(chat)
    first = someone.http.get(f"/privacy/requests/{request['id']}/certificate").content
    # and when the hold is released nobody has to ask again
    assert someone.operator("holds", "release", project, hold, "--user", "-")["erasing"] == [request["id"]]
    ended = someone.until(request["id"], "completed", "failed")
    assert ended["status"] == "completed"
    assert "held" not in [line["outcome"] for line in ended["stores"] if line["store"] == "records"]
    assert someone.http.get(f"/privacy/requests/{request['id']}/certificate").content == first
    second = someone.http.get(f"/privacy/requests/{request['id']}/certificate", params={"part": "release"})
    assert second.json()["payload"]["supplements"]


def test_a_hold_that_expires_by_its_date_ends_the_case_by_the_clock_alone(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given an erasure of which a hold keeps a chat
    someone, project = person("held-by-date"), stack.info.project_id
    someone.chats("hello")
    add = ("holds", "add", project, "--user", "-", "--kind", "completion", "--basis", "a court order")
    hold = someone.operator(*add, "--by", "dpo", "--days", "1")["hold"]
    request = someone.asks("erasure")
    assert (request["status"], request["reason"]) == ("on_hold", "legal_hold")
    # when the day has passed: hold and timer are moved back by it, since nobody can move the stack's clock
    dynamodb, table = stack.aws("dynamodb"), stack.info.outputs["RequestsTable"]
    now = int(time.time())
    for row in dynamodb.scan(TableName=table)["Items"]:
        key = {"pk": row["pk"], "sk": row["sk"]}
        if row["sk"]["S"] == hold:
            values = {":now": {"N": str(now)}}
            dynamodb.update_item(
                TableName=table, Key=key, UpdateExpression="SET expires = :now", ExpressionAttributeValues=values
            )
        if row["sk"]["S"].endswith(f"{request['id']}#holds"):
            day, rest = time.strftime("%Y%m%d", time.gmtime(now)), row["sk"]["S"].partition("#")[2]
            dynamodb.delete_item(TableName=table, Key=key)
            moved = {"pk": {"S": f"t#{day}"}, "sk": {"S": f"{now:012d}#{rest}"}}
            dynamodb.put_item(TableName=table, Item={**row, **moved})
    # then the schedule ends the case, which MiniStack looks at every ten seconds: this one need not be a minute old
    events = stack.aws("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "Clock" in rule["Name"]]
    events.put_rule(Name=rule, ScheduleExpression="rate(0 minutes)")
    ended = someone.until(request["id"], "completed", "failed")
    assert ended["status"] == "completed"
    events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)")
    assert someone.http.get(f"/privacy/requests/{request['id']}/certificate", params={"part": "release"}).is_success


def test_the_officer_is_told_of_a_request_that_nobody_ended(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given a request that was received twenty-one days ago and waits
    someone, project = person("told-officer"), stack.info.project_id
    dynamodb, table, now = stack.aws("dynamodb"), stack.info.outputs["RequestsTable"], int(time.time())
    request, day = "dsr_" + "T" * 24, time.strftime("%Y%m%d", time.gmtime(now))
    times = {name: {"N": str(at)} for name, at in {"created": now, "due": now + 9 * 86400, "ttl": now + 10**6}.items()}
    words = {"kind": "case", "type": "erasure", "status": "failed", "stage": "reversible", "subject": "sub_x"}
    case = {"pk": f"r#{project}", "sk": request, **words}
    dynamodb.put_item(TableName=table, Item={**{k: {"S": v} for k, v in case.items()}, **times})
    timer = {"pk": f"t#{day}", "sk": f"{now:012d}#{project}#{request}#remind", "kind": "timer"}
    dynamodb.put_item(TableName=table, Item={**{k: {"S": v} for k, v in timer.items()}, "ttl": times["ttl"]})
    # then the clock's next run sends a mail with the opaque ids
    ran = stack.aws("lambda").invoke(FunctionName=stack.info.stack_name + "-clock")
    assert "FunctionError" not in ran
    deadline = time.monotonic() + 30  # the schedule may have been faster, and be sending it
    while request not in (sent := httpx.get(stack.info.aws_endpoint_url + "/_ministack/ses/messages").text):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert someone.name not in sent
    dynamodb.delete_item(TableName=table, Key={"pk": {"S": case["pk"]}, "sk": {"S": request}})
