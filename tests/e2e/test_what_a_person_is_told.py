"""What a data subject gets to know: who had their data, what they asked for, until when, why not, and whom to ask.

RGT-1, RGT-9, SHR-2, DPO-2 and DPO-3, and that what the requests themselves leave behind ends by itself.
"""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from chatapi.catalogue import catalogue, read_policy
from chatapi.deadlines import acknowledge_by, ccpa_due, due
from chatapi.ids import random62
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.test_portal_story import form
from tests.support.canary import Canary

DAY = 86_400


def exported(who: Person, request: str) -> dict[str, bytes]:
    """The files of a finished export."""
    with zipfile.ZipFile(io.BytesIO(who.export(request))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_an_export_has_what_was_disclosed_asked_for_and_chosen_with_the_data_itself(
    person: Callable[[str], Person],
) -> None:
    # given two people who chatted, keep a conversation and chose
    own, foreign = Canary("told-own"), Canary("told-foreign")
    who, other = person("told-" + random62(6)), person("told-other")
    for one, canary in ((who, own), (other, foreign)):
        one.chats(canary.text)
        items = [{"type": "message", "role": "user", "content": canary.text}]
        kept = {"items": items, "metadata": {"k": canary.text}, "user": one.name}
        one.http.post("/conversations", json=kept).raise_for_status()
        choice = {"subject": {"user": one.name}, "purpose": "marketing", "state": "withdrawn"}
        one.http.post("/privacy/consents", json=choice).raise_for_status()
    # when one of them asks for a copy, and then for another
    first = who.asks("portability")
    files = exported(who, who.asks("access")["id"])
    # then the copy has their own data in each of its places, and not a word of the other's
    for name in ("chats.jsonl", "conversations.jsonl", "conversation-items.jsonl"):
        assert own.found_in(files[name]), name
    assert not foreign.found_in(b"".join(files.values()))
    # and one line for the day and the recipient
    (disclosed,) = csv.DictReader(io.StringIO(files["disclosures.csv"].decode()))
    assert (disclosed["recipient"], disclosed["purpose"]) == ("local-model", "service")
    assert (disclosed["date"], disclosed["requests"]) == (datetime.now(UTC).strftime("%Y%m%d"), "1")
    # and what they asked for themselves
    asked = {line["id"]: line for line in lines(files["requests.jsonl"])}
    assert asked[first["id"]]["status"] == "completed"
    assert {line["type"] for line in asked.values()} == {"access", "portability"}
    assert b"marketing" in files["consents.jsonl"]
    assert all(who.name not in json.dumps(line) for line in asked.values())


def test_a_request_says_until_when_and_a_refusal_says_why_and_where_to_complain(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given a request that waits until it is known who asks
    who, project = person("told-why"), stack.info.project_id
    dynamodb, now = stack.aws("dynamodb"), int(time.time())
    request = "dsr_" + "W" * 24
    case = {"pk": f"r#{project}", "sk": request, "kind": "case", "type": "access", "subject": "sub_" + "w" * 32}
    words = {**case, "status": "received", "stage": "reversible"}
    times = {"created": now, "due": int(due(now, UTC)), "ttl": now + 10**6}
    item = {k: {"S": v} for k, v in words.items()} | {k: {"N": str(v)} for k, v in times.items()}
    dynamodb.put_item(TableName=stack.info.outputs["RequestsTable"], Item=item)
    shown = who.operator("requests", "pause", project, request)
    assert shown["status"] == "on_hold"
    # then both laws' terms are shown, from the moment it came
    told = who.get(f"/privacy/requests/{request}").json()
    assert told["due_at"] == told["clocks"]["gdpr"]["due_at"] == times["due"]
    assert told["due_at"] - told["created_at"] <= 30 * DAY
    assert told["clocks"]["ccpa"] == {"acknowledge_by": int(acknowledge_by(now)), "due_at": int(ccpa_due(now))}
    assert told["reason"] == "identity"
    # and an extension moves the term once, and says why
    assert who.operator("requests", "extend", project, request, "--reason", "complexity")["due_at"] > times["due"]
    told = who.get(f"/privacy/requests/{request}").json()
    assert told["clocks"]["gdpr"]["extended"] is True
    # and when it is refused, the subject is told the reason and the way to complain
    reason = "identity_not_established"
    who.operator("requests", "deny", project, request, "--reason", reason)
    told = who.get(f"/privacy/requests/{request}").json()
    rights = read_policy("rights")
    assert (told["status"], told["reason"]) == ("failed", reason)
    assert told["explanation"] == rights["denials"][reason]
    assert told["complain"] == rights["controller"]["complain"]
    assert "data protection authority" in told["complain"]
    dynamodb.delete_item(TableName=stack.info.outputs["RequestsTable"], Key={"pk": item["pk"], "sk": item["sk"]})


def test_page_api_and_files_name_the_same_person_to_ask(stack: RunningStack) -> None:
    root, controller = stack.info.base_url.removesuffix("/v1"), read_policy("rights")["controller"]
    contact = httpx.get(root + "/openapi.json").json()["info"]["contact"]
    assert contact == {"name": controller["developer"], "url": controller["website"]}
    for page in ("", "/policy"):
        text = httpx.get(stack.info.portal_url + page, follow_redirects=True).text
        assert controller["developer"] in text
        assert controller["website"] in text
    assert controller["officer"] in httpx.get(stack.info.portal_url + "/policy").text


def test_what_the_requests_leave_behind_ends_by_itself(stack: RunningStack, person: Callable[[str], Person]) -> None:
    # given a sign-in that was begun, a portal link that was used, a link to an export, a choice and a request
    who, root, now = person("told-end"), stack.info.portal_url, int(time.time())
    with httpx.Client(trust_env=False, base_url=root, follow_redirects=True) as client:
        address = {"project": stack.info.project_id, "address": "nobody@example.com"}
        client.post("/sign-in", data={**form(client, "/sign-in"), **address}).raise_for_status()
        made = who.http.post("/privacy/sessions", json={"subject": {"user": who.name}}).json()
        token = made["url"].rpartition("=")[2]
        client.post("/enter", data=form(client, f"/enter?t={token}")).raise_for_status()
    request = who.asks("access")
    who.get(f"/privacy/requests/{request['id']}/export").raise_for_status()
    # then every row that has a term in policy/retention ends no later than that, and of the others none is of a person
    days, kinds = read_policy("retention")["days"], catalogue().of_store("requests")
    pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.info.outputs["RequestsTable"])
    items = [item for page in pages for item in page["Items"]]
    rows = [{name: next(iter(value.values())) for name, value in item.items()} for item in items]
    # what a legal hold of another story kept waiting has its term from the end of the hold on
    held = {row["sk"] for row in rows if row["kind"] == "case" and "watched" in row}
    seen: dict[str, int] = {}
    for row in rows:
        kind = row["kind"]
        waits = held & {row["sk"], row.get("case", "")}
        if "ttl" in row:
            left = int(row["ttl"]) - now - (days["hold"] * DAY if waits else 0)
            seen[kind] = max(seen.get(kind, left), left)
        else:
            assert kind not in days or kind == "consent", kind
    assert {"challenge", "asking", "spent", "download", "case", "own", "open"} <= set(seen)
    for kind, seconds in seen.items():
        term = days[kind] + (92 if kind == "timer" else 0)  # of a timer from its moment on: a term, once extended
        assert seconds <= term * DAY + 120, kind
    assert seen["challenge"] <= 600 + 120
    assert seen["spent"] <= 900 + 120
    assert {kind.name for kind in kinds if kind.name not in days} <= {"agent", "webhook", "consent"}
    # and what lies in buckets is ended by the bucket: exports and the officer's mail after seven days
    s3 = stack.aws("s3")
    for name, term in (("ExportsBucket", 7), ("MailBucket", days["letter"])):
        rules = s3.get_bucket_lifecycle_configuration(Bucket=stack.info.outputs[name])["Rules"]
        assert [(rule["Status"], rule["Expiration"]["Days"]) for rule in rules] == [("Enabled", term)], name
