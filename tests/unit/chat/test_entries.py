"""What an entry of the register may say: a wrong one is an error and never a request to somewhere else."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import receipts
from chat.entries import BadEntry, is_address
from chat.models import Registry
from chatapi.catalogue import read_policy
from chatapi.errors import Forbidden

ABROAD = {
    "name": "Somebody",
    "kind": "processor",
    "purposes": ["service"],
    "categories": ["messages"],
    "region": "us",
    "training": False,
    "secret": "somebody",
    "retention_days": 30,
    "agreement": {"signed": datetime.date(2026, 1, 1), "expires": datetime.date(2027, 1, 1), "text": "their DPA"},
    "erasure": "told by nobody",
}
MODEL = {
    "provider": "openai",
    "base_url": "https://api.example.com/v1",
    "processor": "somebody",
    "upstream": "m-1",
    "capabilities": ["tools"],
    "context": 1000,
    "created": 1730419200,
    "price": {"input": 1.0, "cached": 0.5, "output": 2.0},
    "stages": ["local"],
    "cache": "salt",
}
RECORD = {
    "basis": "standard contractual clauses, module 2",
    "importer": "Somebody, Inc.",
    "assessed": datetime.date(2026, 1, 31),
    "expires": datetime.date(2027, 1, 31),
}


@pytest.fixture(autouse=True)
def register(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setitem(read_policy("processors")["processors"], "somebody", ABROAD)
    return monkeypatch


def registry(patch: pytest.MonkeyPatch, **changes: Any) -> Registry:
    entry = {name: value for name, value in {**MODEL, **changes}.items() if value is not None}
    patch.setitem(read_policy("models")["models"], "theirs", entry)
    return Registry("local", openai=False, region="eu-central-1")


def test_a_model_elsewhere_is_offered_and_needs_a_record_of_the_transfer(register: pytest.MonkeyPatch) -> None:
    # given a model of a processor in another region, without MODEL_URL
    offered = registry(register)
    model = offered.get("theirs", ())
    assert (model.base_url, model.secret, model.region) == ("https://api.example.com/v1", "somebody", "us")
    assert "smollm2-135m" not in offered.models
    # when nobody assessed a transfer, then nothing is sent
    with pytest.raises(Forbidden, match="transfer"):
        offered.permitted(model, datetime.date(2026, 6, 1))
    # and once somebody did, then it is served, and the receipt tells the basis and what the processor keeps
    register.setitem(read_policy("transfers")["transfers"], "somebody", RECORD)
    offered = registry(register)
    model = offered.permitted(offered.get("theirs", ()), datetime.date(2026, 6, 1))
    assert receipts.header(model, None) == (
        "retained=none; processor=somebody; region=us; training=no"
        "; transfer=standard contractual clauses, module 2; processor-retention=30d"
    )
    told = receipts.body(model, None)
    assert (told["transfer"], told["processor_retention_days"]) == (RECORD["basis"], 30)
    assert model.public()["chatapi"]["transfer"] == RECORD["basis"]
    # and not once the agreement has ended
    with pytest.raises(Forbidden, match="agreement"):
        offered.permitted(model, datetime.date(2027, 1, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "unheard-of"},
        {"capabilities": ["telepathy"]},
        {"capabilities": ["embeddings"], "fallback": ["smollm2-135m"]},
        {"provider": "bedrock"},  # has no address
        {"base_url": None},  # a processor elsewhere is not on this machine
        {"base_url": "http://api.example.com/v1"},
        {"base_url": "https://127.0.0.1:8080/v1"},  # nor is this machine elsewhere
        {"processor": "local-model"},
        {"provider": "azure", "base_url": None, "processor": "local-model"},
        {"provider": "bedrock-openai"},  # nor has this one
        {"provider": "bedrock", "base_url": None},  # and its region is the home region
        {"provider": "bedrock-openai", "base_url": None, "processor": "amazon-bedrock", "capabilities": ["embeddings"]},
        {"provider": "bedrock", "base_url": None, "processor": "amazon-bedrock", "guardrail": "unheard-of"},
        {"guardrail": "ours"},
        {"cache": None},
        {"cache": "shared"},
        {"cache": "key"},  # OpenAI's merely routes
        {"cache": "salt", "capabilities": ["cache_points"]},  # are Converse's
        {"capabilities": ["embeddings"]},  # with a cache
        {"price": {"input": 1.0, "cached": 0.5, "written": 0.9, "output": 2.0}},
        {"provider": "azure-deployment"},
        {"api_version": "2024-10-21"},
        {"provider": "azure-deployment", "api_version": "2024&x=1"},
    ],
)
def test_a_contradiction_is_an_error(register: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    register.setitem(read_policy("guardrails")["guardrails"], "ours", {"id": "abc", "version": "1"})
    with pytest.raises(BadEntry, match="theirs"):
        registry(register, **changes)


@pytest.mark.parametrize(
    "changes",
    [{"version": "DRAFT"}, {"version": ""}, {"id": "arn:aws:bedrock:us-east-1:1:guardrail/abc"}, {"mode": "later"}],
)
def test_a_guardrail_is_a_numbered_one_of_this_account(register: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    entry = {"id": "abc", "version": "1", **changes}
    register.setitem(read_policy("guardrails")["guardrails"], "ours", entry)
    with pytest.raises(BadEntry, match="ours"):
        registry(register)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("processors", {"secret": "../mint"}),
        ("processors", {"secret": ""}),
        ("processors", {"region": "us; training=yes"}),
        ("processors", {"retention_days": -1}),
        ("transfers", {"basis": "a\r\nset-cookie: b"}),
        ("transfers", {"basis": "clauses; region=home"}),
    ],
)
def test_nothing_of_the_registers_breaks_out_of_a_receipt(
    register: pytest.MonkeyPatch, file: str, changes: dict[str, Any]
) -> None:
    register.setitem(read_policy(file)[file], "somebody", {**(ABROAD if file == "processors" else RECORD), **changes})
    with pytest.raises(BadEntry):
        registry(register)


def test_two_processors_have_no_key_in_common(register: pytest.MonkeyPatch) -> None:
    register.setitem(read_policy("processors")["processors"], "another", ABROAD)
    with pytest.raises(BadEntry, match="one processor"):
        registry(register)


@pytest.mark.parametrize(
    ("url", "elsewhere", "local"),
    [
        ("https://api.example.com/v1", True, False),
        ("https://mine.openai.azure.com:443/openai/deployments/a-b_c.1/", True, False),
        ("http://127.0.0.1:8080/v1", False, True),
        ("https://localhost:8080/v1", False, True),
        ("http://[::1]:8080/v1", False, True),
        ("http://api.example.com/v1", False, False),
        ("https://10.0.0.1/v1", False, False),
        ("https://169.254.169.254/latest", False, False),
        ("https://api.example.com@evil.example/v1", False, False),
        ("https://api.example.com/v1?x=1", False, False),
        ("https://api.example.com/v1#x", False, False),
        ("https://api.example.com/../v1", False, False),
        ("https://api.example.com//v1", False, False),
        ("https://api.example.com:port/v1", False, False),
        ("https://example/v1", False, False),
        ("https://bücher.example/v1", False, False),
        ("ftp://127.0.0.1/v1", False, False),
        ("file:///etc/passwd", False, False),
        ("", False, False),
    ],
)
def test_addresses(url: str, elsewhere: bool, local: bool) -> None:
    assert (is_address(url, local=False), is_address(url, local=True)) == (elsewhere, local)


@given(st.text(max_size=40))
def test_no_text_makes_an_address_of_another_scheme(text: str) -> None:
    for url in (text, f"https://{text}", f"http://{text}"):
        if is_address(url, local=False):
            assert url.startswith("https://")
            assert not set(url) & set(" \r\n\\?#@")
