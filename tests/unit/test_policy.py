"""policy/ is data that the code obeys: it has to be whole."""

from __future__ import annotations

import copy
import datetime
import hashlib
import io
import json
import re
from contextlib import redirect_stdout

import pytest

from chat.models import Registry
from chatapi.catalogue import POLICY, catalogue, read_policy
from chatapi.logs import FIELDS, log, log_error
from chatapi.store.tags import tags_of
from tests.support.transformed import ROOT


def test_the_published_document_is_the_one_the_version_names() -> None:
    versions = read_policy("versions")
    current = versions["versions"][versions["current"]]
    assert hashlib.sha256((POLICY / current["document"]).read_bytes()).hexdigest() == current["sha256"]


def test_no_processor_has_marketing_as_a_purpose_and_each_has_an_agreement() -> None:
    purposes = read_policy("purposes")["purposes"]
    for processor in read_policy("processors")["processors"].values():
        assert set(processor["purposes"]) <= set(purposes)
        assert not any("marketing" in purpose for purpose in processor["purposes"])
        # what the answer to a Global Privacy Control signal says: nothing is sold or shared
        assert set(processor["purposes"]) <= {"service", "security", "accountability"}
        assert isinstance(processor["agreement"]["expires"], datetime.date)
        assert processor["training"] is False


def test_every_purpose_has_a_legal_basis() -> None:
    assert all("Art. 6" in purpose["basis"] for purpose in read_policy("purposes")["purposes"].values())


def test_an_optional_purpose_is_off_and_has_a_store_of_its_own_or_nothing() -> None:
    purposes = read_policy("purposes")["purposes"]
    optional = {name for name, purpose in purposes.items() if purpose["optional"]}
    assert optional == {"analytics", "improvement", "marketing"}
    assert all(purposes[name]["default"] == "off" for name in optional)
    for name in optional:
        kinds = [kind for kind in catalogue().kinds.values() if kind.purpose == name]
        stores = {kind.store for kind in kinds}
        assert stores == ({purposes[name]["today"]} - {"nothing"})
        # what consent alone allows is not kept without a term
        assert all(kind.days and kind.days <= 30 for kind in kinds)
    assert purposes["marketing"]["today"] == "nothing"
    for processor in read_policy("processors")["processors"].values():
        assert not optional & set(processor["purposes"])
    assert all(purpose["reason"] for name, purpose in purposes.items() if name not in optional)


def test_a_kind_of_a_purpose_that_nobody_knows_stops_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = read_policy("catalogue")["kinds"]
    monkeypatch.setitem(kinds, "pattern", {**kinds["pattern"], "purpose": "profiling"})
    with pytest.raises(ValueError, match="unknown store or purpose"):
        catalogue.__wrapped__()


def test_every_model_names_a_processor_of_the_register() -> None:
    processors = read_policy("processors")["processors"]
    assert all(model["processor"] in processors for model in read_policy("models")["models"].values())


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_the_entries_of_models_and_processors_can_be(stage: str) -> None:
    models = Registry(stage, openai=True, region="eu-central-1").models
    assert set(models) == {n for n, m in read_policy("models")["models"].items() if stage in m["stages"]}


def test_entries_have_no_field_that_nobody_reads() -> None:
    known = {
        "models": {
            *("provider", "processor", "upstream", "capabilities", "context", "created", "price", "stages"),
            *("extra", "fallback", "base_url", "api_version", "guardrail", "cache", "call_begins"),
        },
        "processors": {
            *("name", "kind", "purposes", "categories", "region", "training", "agreement", "erasure"),
            *("secret", "retention_days"),
        },
        "guardrails": {"id", "version", "mode"},
        "transfers": {"basis", "importer", "assessed", "expires"},
    }
    for file, fields in known.items():
        assert all(set(entry) <= fields for entry in read_policy(file)[file].values()), file


def test_a_processor_elsewhere_has_a_record_of_its_transfer() -> None:
    transfers = read_policy("transfers")["transfers"]
    elsewhere = {n for n, p in read_policy("processors")["processors"].items() if p["region"] not in ("home", "local")}
    assert elsewhere == set(transfers)


COMMITMENTS = read_policy("commitments")


@pytest.mark.parametrize("number", sorted(COMMITMENTS))
def test_a_promise_that_counts_as_kept_has_its_controls_and_tests(number: str) -> None:
    entry = COMMITMENTS[number]
    assert entry["state"] in ("kept", "partly", "open")
    assert bool(entry.get("gap")) == (entry["state"] == "partly")
    assert bool(entry.get("controls")) == bool(entry.get("tests")) == (entry["state"] != "open")
    for path in (*entry.get("controls", ()), *entry.get("tests", ())):
        assert (ROOT / path).exists(), path


RIGHTS = [number for number in COMMITMENTS if number.startswith(("RGT-", "DPO-"))]


@pytest.mark.parametrize("number", sorted(RIGHTS))
def test_a_right_is_proved_on_the_running_stack_by_files_that_name_it(number: str) -> None:
    files = [path for path in COMMITMENTS[number]["tests"] if path.startswith("tests/e2e/")]
    assert files
    assert [path for path in files if number not in (ROOT / path).read_text()] == []


def test_the_readme_claims_no_promise_that_is_open() -> None:
    table = (ROOT / "README.md").read_text().partition("| promise |")[2].partition("\n\n")[0]
    claimed = set(re.findall(r"\b[A-Z]{3}-[0-9]\b", table))
    assert claimed
    assert all(COMMITMENTS[number]["state"] != "open" for number in claimed)


def test_a_kind_that_outlives_an_erasure_says_why() -> None:
    assert all(kind.why for kind in catalogue().kinds.values() if kind.erase in ("keep", "none"))


PLAIN = set(
    "pk sk kind rev chunks write ttl generation subject model since until completion hold origin requests shard"  # noqa: SIM905
    " tokens_in tokens_out basis categories purpose inf r0_* r1_* t0_* t1_* u_*".split()
)
"""What stands in the clear beside ciphertext: opaque ids, counts, times, and names of our own registers."""


def test_what_stands_in_the_clear_beside_ciphertext_is_no_digest_unless_it_says_so() -> None:
    for kind in catalogue().of_store("records"):
        assert kind.fields - kind.encrypted - kind.indexes.keys() <= PLAIN, kind.name
    indexed = {(kind.name, *index) for kind in catalogue().kinds.values() for index in kind.indexes.items()}
    handed_in = {("change", "sk", "subject"), ("case", "deposit", "subject"), ("open", "sk", "subject")}
    short = {("locator", "tags", "cut"), ("idempotency", "sk", "day"), ("idempotency", "digest", "day")}
    assert indexed == handed_in | short
    assert {len(tag) for tag in tags_of(b"pepper", {"a": "b", "c": "d"})} == {2}


@pytest.mark.parametrize(
    ("kind", "indexes"),
    [
        ("completion", {"body": "shared"}),  # under a key that outlives the subject
        ("completion", {"missing": "subject"}),
        ("completion", {"sk": "day"}),  # of a row that lives for weeks
    ],
)
def test_a_blind_index_under_a_shared_key_cannot_be_catalogued(
    kind: str, indexes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = copy.deepcopy(read_policy("catalogue"))
    raw["kinds"][kind]["indexes"] = indexes
    read = read_policy
    monkeypatch.setattr("chatapi.catalogue.read_policy", lambda name: raw if name == "catalogue" else read(name))
    with pytest.raises(ValueError, match=kind):
        catalogue.__wrapped__()
    raw["kinds"][kind]["indexes"] = {"body": "subject"}
    assert catalogue.__wrapped__().kinds[kind].indexes == {"body": "subject"}


def logged(**fields: object) -> dict[str, object]:
    out = io.StringIO()
    with redirect_stdout(out):
        log("event", **fields)  # type: ignore[arg-type]
    line: dict[str, object] = json.loads(out.getvalue())
    return line


def test_a_log_line_takes_no_field_off_the_list_and_no_sentence() -> None:
    assert logged(project="abc", count=3) == {"event": "event", "project": "abc", "count": 3}
    assert logged(code="a sentence somebody wrote") == {"event": "event", "code": "<withheld>"}
    assert logged(code="x" * 500)["code"] == "<withheld>"
    with pytest.raises(ValueError, match="allow-list"):
        log("event", prompt="x")
    assert not FIELDS & {"prompt", "content", "messages", "user", "body", "headers"}


def test_an_error_is_logged_by_type_and_place_alone() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        try:
            raise ValueError("canary in a text")
        except ValueError as error:
            log_error("failed", error)
    assert "canary" not in out.getvalue()
    assert json.loads(out.getvalue())["error"] == "ValueError"
