"""What a key itself restricts travels in its verdict: models, retention, and the addresses it may be used from."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from authorizer.service import Authorizer
from chatapi.clock import FixedClock
from chatapi.redaction import kinds_of
from chatapi.verdict import ADDRESS_NOT_ALLOWED, INSUFFICIENT_SCOPE, OK, Verdict
from tests.support.fake_projects import FakeProjects
from tests.support.transformed import ROOT
from tests.unit.authorizer.test_decide import CHAT, KEY, MINT, PEPPER, project


def decide(
    source_ip: str | None = None, ret: str = "history", scopes: tuple[str, ...] = (), red: str = "", **fields: Any
) -> Verdict:
    item = project(ret=ret, **({"red": red} if red else {}))
    item["k_k1"].update(fields, **({"s": list(scopes)} if scopes else {}))
    store = FakeProjects(item)
    service = Authorizer(store, table="T", mint=lambda: MINT, pepper=lambda: PEPPER, clock=FixedClock())
    verdict = service.decide(f"Bearer {KEY}", **CHAT, source_ip=source_ip)
    assert len(store.calls) == 1  # restrictions cost no further call
    assert Verdict.from_context(verdict.to_context()) == verdict
    return verdict


@pytest.mark.parametrize(
    ("of_project", "of_key", "kinds"),
    [
        ({}, {}, ""),
        ({"red": "email"}, {}, "email"),
        ({}, {"rd": "card"}, "card"),
        ({"red": "email"}, {"rd": "card"}, "email card"),
        ({"red": "all"}, {"rd": "card"}, "all"),
    ],
)
def test_what_project_and_key_demand_to_be_redacted_adds_up(
    of_project: dict[str, Any], of_key: dict[str, Any], kinds: str
) -> None:
    assert kinds_of(decide(**of_project, **of_key).redact) == kinds_of(kinds)


def test_a_key_without_restrictions_has_what_the_project_has() -> None:
    verdict = decide()
    assert (verdict.outcome, verdict.models, verdict.retention) == (OK, (), "history")


def test_models_travel_through_the_flat_context() -> None:
    verdict = decide(m=["a", "b:c/d"])
    assert verdict.models == ("a", "b:c/d")
    assert all(isinstance(value, str) for value in verdict.to_context().values())


def test_a_context_without_models_is_a_fault_and_not_a_key_for_all() -> None:
    context = decide().to_context()
    del context["models"]
    with pytest.raises(KeyError):
        Verdict.from_context(context)


@pytest.mark.parametrize(
    ("of_project", "of_key", "tighter"),
    [("history", None, "history"), ("history", "none", "none"), ("none", None, "none"), ("none", "none", "none")],
)
def test_the_tighter_retention_counts(of_project: str, of_key: str | None, tighter: str) -> None:
    assert decide(ret=of_project, **({"r": of_key} if of_key else {})).retention == tighter


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", True),
        ("2001:DB8:0:0::1", True),
        ("2001:db9::1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("::a00:1", False),
        (None, False),
        ("", False),
        ("not an address", False),
        ("10.0.0.1, 10.0.0.2", False),
        ("10.0.0.0/8", False),
    ],
)
def test_an_allow_list_of_addresses_fails_closed(address: str | None, allowed: bool) -> None:
    verdict = decide(address, ip=["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])
    assert verdict.outcome == (OK if allowed else ADDRESS_NOT_ALLOWED)


def test_an_empty_list_allows_nobody() -> None:
    assert decide("10.0.0.1", ip=[]).outcome == ADDRESS_NOT_ALLOWED


def test_from_a_wrong_address_a_key_learns_nothing_of_its_scopes() -> None:
    assert decide("10.0.0.1", scopes=("history",), ip=["10.0.0.0/8"]).outcome == INSUFFICIENT_SCOPE
    assert decide("11.0.0.1", scopes=("history",), ip=["10.0.0.0/8"]).outcome == ADDRESS_NOT_ALLOWED


def test_the_authorizer_does_not_import_what_most_keys_do_not_need() -> None:
    code = "import sys, authorizer.handler; sys.exit('ipaddress' in sys.modules)"
    path = f"{ROOT / 'layers/core'}:{ROOT / 'functions'}"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, check=False).returncode == 0
