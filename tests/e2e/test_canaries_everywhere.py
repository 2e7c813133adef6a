"""What a person said, asked of every store of the running stack (everywhere.py): in clear nowhere while it is stored,
in the person's own copy, and nowhere after the erasure. RGT-1, RGT-2, RGT-3, RGT-4, RGT-5, RGT-6, RGT-7, RGT-8, DPO-1.
"""

from __future__ import annotations

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatapi.ids import random62
from tests.e2e.everywhere import found
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.test_portal_story import code, form
from tests.support.canary import Canary, which

MODEL = "smollm2-135m"
TOLD = ("message", "metadata", "input", "item", "noted", "answer", "wrong", "right", "statement")
"""The places into which a canary is put, besides the person's own id."""


@pytest.fixture
def planted() -> dict[str, Canary]:
    return {name: Canary(f"{name}-{random62(8)}") for name in (*TOLD, "user")}


def posted(who: Person, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = who.http.post(path, json=body).raise_for_status().json()
    return answer


def tells(who: Person, planted: dict[str, Canary]) -> str:
    """A person says something into every place that keeps what is said; the id of a stored chat."""
    text = {name: canary.text for name, canary in planted.items()}
    mine = {"store": True, "user": who.name, "model": MODEL}
    said = [
        {"role": "user", "content": text["message"]},
        {"role": "assistant", "content": text["answer"]},
        {"role": "user", "content": text["wrong"]},
    ]
    metadata = {"city": text["metadata"]}
    chat = posted(who, "/chat/completions", {**mine, "messages": said, "metadata": metadata, "max_tokens": 2})["id"]
    posted(who, "/responses", {**mine, "input": text["input"], "max_output_tokens": 16})
    items = [{"role": "user", "content": text["item"]}]
    posted(who, "/conversations", {"items": items, "metadata": {"note": text["noted"]}, "user": who.name})
    posted(who, "/embeddings", {"model": MODEL + "-embeddings", "input": text["message"], "user": who.name})
    # and has one of them corrected, and a statement kept beside it
    change = {"record": chat, "path": "/messages/2/content", "value": text["right"]}
    assert who.asks("correction", changes=[change])["result"] == {"changes": [{"record": chat, "outcome": "corrected"}]}
    statement = {"record": chat, "text": text["statement"]}
    assert who.asks("completion", statements=[statement])["status"] == "completed"
    return str(chat)


def copied(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def names(canaries: dict[str, Canary], seen: list[Canary]) -> set[str]:
    return {name for name, canary in canaries.items() if canary in seen}


def test_what_a_person_said_is_in_clear_nowhere_then_in_their_copy_alone_and_after_the_erasure_nowhere(
    stack: RunningStack, person: Callable[[str], Person], planted: dict[str, Canary]
) -> None:
    # given somebody who said something everywhere, and somebody else
    who, foreign = person(planted["user"].text), Canary(f"foreign-{random62(8)}")
    other = person(foreign.text)
    tells(who, planted)
    other.chats(foreign.text)
    # then none of it is in clear in any store
    assert found(stack, foreign, *planted.values()) == {}
    # when they take a copy, then it has all of theirs and nothing of the other, not even the text that was corrected
    request = who.asks("access")
    copy = copied(who.export(request["id"]))
    own = names(planted, which(list(planted.values()), copy))
    assert own == set(TOLD) - {"wrong"}  # and the id is nowhere: it is known as a pseudonym
    assert not foreign.found_in(copy)
    # and it lies in one place alone, whose bucket the store key encrypts (tests/template/test_stores.py)
    places = found(stack, foreign, *planted.values())
    assert set(places) == {planted[name].text for name in own}
    (place,) = set.union(*places.values())
    bucket, _, key = place[1].partition("/")
    assert (place[0], bucket) == ("object", stack.info.outputs["ExportsBucket"])
    assert request["id"] in key
    # when they are erased, then it is nowhere at all
    assert who.asks("erasure")["status"] == "completed"
    assert found(stack, foreign, *planted.values()) == {}


def test_a_copy_that_is_read_in_lies_in_its_archive_alone_until_it_was_read_and_goes_with_an_erasure(
    stack: RunningStack, person: Callable[[str], Person], planted: dict[str, Canary]
) -> None:
    who = person(planted["user"].text)
    tells(who, planted)
    copy = who.export(who.asks("portability")["id"])
    assert who.asks("erasure")["status"] == "completed"
    subject = {"subject": {"user": who.name}}

    def put() -> dict[str, Any]:
        place = posted(who, "/privacy/imports", {**subject, "size": len(copy)})
        httpx.put(place["url"], content=copy, headers=place["headers"]).raise_for_status()
        return place

    # when the copy was put, then it is there and nowhere else
    place = put()
    places = found(stack, *planted.values())
    ((kind, where),) = set.union(*places.values())
    assert (kind, where.partition("/")[0]) == ("object", stack.info.outputs["ExportsBucket"])
    assert place["archive"] in where
    # when it was read in, then it is in clear nowhere again
    assert who.asks("import", archive=place["archive"])["status"] == "completed"
    assert found(stack, *planted.values()) == {}
    # and one that was put and never read in goes with the erasure, as what was read in does
    put()
    assert who.asks("erasure")["status"] == "completed"
    assert found(stack, *planted.values()) == {}
    assert who.asks("access")["status"] == "completed"
    assert found(stack, *planted.values()) == {}


def test_what_a_hold_keeps_is_in_clear_nowhere_and_goes_when_the_hold_ends(
    stack: RunningStack, person: Callable[[str], Person], planted: dict[str, Canary]
) -> None:
    who, project = person(planted["user"].text), stack.info.project_id
    tells(who, planted)
    add = ("holds", "add", project, "--user", "-", "--kind", "completion", "--basis", "a court order", "--by", "dpo")
    hold = who.operator(*add, "--days", "9")["hold"]
    # when they are erased, then the chat is kept, sealed, and is in their copy
    request = who.asks("erasure")
    assert (request["status"], request["reason"]) == ("on_hold", "legal_hold")
    assert found(stack, *planted.values()) == {}
    # and when the hold ends it goes, too
    assert who.operator("holds", "release", project, hold, "--user", "-")["erasing"] == [request["id"]]
    assert who.until(request["id"], "completed", "failed")["status"] == "completed"
    assert found(stack, *planted.values()) == {}


def test_a_choice_keeps_nothing_in_clear_and_outlives_an_erasure(
    stack: RunningStack, person: Callable[[str], Person], planted: dict[str, Canary]
) -> None:
    # given somebody who allows everything that can be allowed, in a project that improves itself by what it is told
    who, project = person(planted["user"].text), stack.info.project_id
    improve = who.command("projects", "update", project, "--improve")
    subprocess.run(improve, env=stack.cli_environment(), check=True, capture_output=True)
    subject = {"subject": {"user": who.name}}
    for purpose in ("analytics", "improvement", "marketing"):
        posted(who, "/privacy/consents", {**subject, "purpose": purpose, "state": "granted"})
    tells(who, planted)
    # then streams and samples have none of it in clear
    assert found(stack, *planted.values()) == {}
    copy = copied(who.export(who.asks("access")["id"]))
    assert "improvement" in copy.decode(errors="replace")
    # and when they withdraw and are erased, it is nowhere
    for purpose in ("analytics", "improvement", "marketing"):
        assert who.asks("objection", purpose=purpose)["status"] == "completed"
    assert who.asks("erasure")["status"] == "completed"
    assert found(stack, *planted.values()) == {}
    # while what they chose stands, also when they come back (RGT-8)
    who.chats("hello again")
    shown = posted(who, "/privacy/consents/query", subject)["data"]
    assert {one["purpose"]: (one["allowed"], one["record"]["event_state"]) for one in shown} == dict.fromkeys(
        ("analytics", "improvement", "marketing"), (False, "withdrawn")
    )


def test_an_owners_address_is_in_clear_nowhere_but_where_it_was_mailed_to(stack: RunningStack) -> None:
    # given a project whose owner has an address, who signs in, and one that a stranger typed
    name = random62(8).lower()
    address, strange = (Canary(kind, f"canary-{kind}-{name}@example.org") for kind in ("owner", "stranger"))
    command = [*Person.command("projects", "create", "--name", "p"), "--contact", address.text, "--json"]
    made = subprocess.run(command, env=stack.cli_environment(), capture_output=True, text=True, check=True)
    project, key = (str(json.loads(made.stdout)[field]) for field in ("project_id", "api_key"))
    with httpx.Client(trust_env=False, base_url=stack.info.portal_url, follow_redirects=True) as client:
        for typed in (strange, address):
            client.post("/sign-in", data={**form(client, "/sign-in"), "project": project, "address": typed.text})
        code(stack, address.text)
    assert found(stack, address, strange) == {address.text: {("sent", "mail")}}
    # when they are erased, by the key of the project
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=stack.info.base_url, headers=headers, trust_env=False, timeout=30) as api:
        body = {"type": "erasure", "subject": {"owner": True}}
        request = api.post("/privacy/requests", json=body).raise_for_status().json()["id"]
        deadline = time.monotonic() + 90
        while (shown := api.get(f"/privacy/requests/{request}").json()).get("status") != "completed":
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)
    assert found(stack, address, strange) == {address.text: {("sent", "mail")}}


def test_a_mail_lies_in_its_bucket_alone_and_its_sender_in_what_was_mailed_back(
    stack: RunningStack, tmp_path: Path
) -> None:
    name = random62(8).lower()
    said, about = (Canary(f"{kind}-{name}", f"canary-{kind}-{name}-Zq7!") for kind in ("said", "about"))
    sender = Canary("sender", f"canary-sender-{name}@example.org")
    letter = tmp_path / "letter.eml"
    letter.write_text(
        f"From: A <{sender.text}>\r\nTo: privacy@chatapi.com\r\nMIME-Version: 1.0\r\nSubject: {about.text}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{said.text}\r\n"
    )
    command = Person.command("mail", "receive", str(letter))
    done = subprocess.run(command, env=stack.cli_environment(), capture_output=True, text=True, check=False)
    request = json.loads(done.stdout)["request"]
    places = found(stack, said, about, sender)
    ((kind, where),) = places[said.text]
    assert (kind, where.partition("/")[0]) == ("object", stack.info.outputs["MailBucket"])
    assert places[about.text] == {(kind, where)}
    assert places[sender.text] == {(kind, where), ("sent", "mail")}
    # nobody's erasure reaches a mail, which is known to belong to nobody: its bucket ends it (policy/retention.toml)
    s3, rules = stack.aws("s3"), stack.info.outputs["MailBucket"]
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=rules)["Rules"]
    assert (rule["Status"], rule["Expiration"]["Days"]) == ("Enabled", 7)
    # here an operator, when it was answered
    ended = Person.command("mail", "answered", request)
    subprocess.run(ended, env=stack.cli_environment(), capture_output=True, check=True)
    s3.delete_object(Bucket=rules, Key=where.partition("/")[2])
    assert found(stack, said, about, sender) == {sender.text: {("sent", "mail")}}
