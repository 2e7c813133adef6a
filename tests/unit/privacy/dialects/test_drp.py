"""Agents speak the Data Rights Protocol: what they sign is checked in order, what they claim proves little."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import privacy.handler
from chatapi.catalogue import Catalogued
from chatapi.clock import iso
from chatapi.outbound import Outbound
from chatapi.store.agents import Agents, BadAgent
from privacy.dialects.bindings import Binding, Bindings
from privacy.dialects.drp import MAX_AN_HOUR, PREFIX, Drp
from privacy.dialects.following import Ports, follow
from privacy.handler import handler
from privacy.intake.service import ANSWERED, INTAKE
from tests.unit.privacy.world import World

AGENT, OTHER, BUSINESS = "EXAMPLE_AGENT", "OTHER_AGENT", "CHATAPI"


class Network:
    """Two registered agents, and the handler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        table = Catalogued(self.world.requests, "requests")
        self.agents, self.bindings = Agents(table), Bindings(table)
        self.keys = {name: Ed25519PrivateKey.generate() for name in (AGENT, OTHER)}
        for name, key in self.keys.items():
            self.agents.add(name, name, base64.b64encode(key.public_key().public_bytes_raw()).decode(), 1)
        self.followed: list[Binding] = []
        self.drp = Drp(
            self.agents,
            self.world.cases,
            self.bindings,
            self.world.clock,
            lambda: b"p" * 86,
            Outbound(),
            self.followed.append,
            business=BUSINESS,
        )
        monkeypatch.setattr(privacy.handler._agents, "made", self.drp)
        self.tokens = {name: self.call("POST", f"/v1/agent/{name}", self.sign(name))[1]["token"] for name in self.keys}

    def claims(self, agent: str = AGENT, **changes: Any) -> dict[str, Any]:
        now = self.world.clock.now()
        made = {
            "agent-id": agent,
            "business-id": BUSINESS,
            "issued-at": iso(now - 5),
            "expires-at": iso(now + 600),
            "drp.version": "1.0",
            **changes,
        }
        return {name: value for name, value in made.items() if value is not None}

    def sign(self, agent: str = AGENT, key: str | None = None, **changes: Any) -> str:
        text = json.dumps(self.claims(agent, **changes)).encode()
        return base64.b64encode(self.keys[key or agent].sign(text) + text).decode()

    def request(self, agent: str = AGENT, **changes: Any) -> str:
        made = {"exercise": "deletion", "regime": "ccpa", "email": "canary@example.org", "email_verified": True}
        return self.sign(agent, **{**made, **changes})

    def call(self, method: str, path: str, body: str | None = None, token: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = {"requestId": "r", "path": path, "domainName": "api.example.org"}
        event = {"httpMethod": method, "path": path, "headers": headers, "requestContext": context, "body": body}
        answer = handler({**event, "queryStringParameters": None, "isBase64Encoded": False}, None)
        assert "canary" not in str(answer)
        return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None

    def exercise(self, agent: str = AGENT, **changes: Any) -> tuple[int, Any]:
        return self.call("POST", PREFIX, self.request(agent, **changes), self.tokens[agent])


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


def test_a_token_is_the_agents_and_a_new_one_ends_it(network: Network) -> None:
    token = network.tokens[AGENT]
    assert network.call("GET", f"/v1/agent/{AGENT}", token=token) == (200, {})
    assert network.call("GET", f"/v1/agent/{OTHER}", token=token)[0] == 403
    assert token not in str(network.world.requests.rows)
    network.world.clock.advance(60)
    _, renewed = network.call("POST", f"/v1/agent/{AGENT}", network.sign())
    assert network.call("GET", f"/v1/agent/{AGENT}", token=token)[0] == 403
    assert network.call("GET", f"/v1/agent/{AGENT}", token=renewed["token"])[0] == 200
    network.agents.remove(AGENT)
    assert network.call("GET", f"/v1/agent/{AGENT}", token=renewed["token"])[0] == 403


def test_a_message_that_was_overheard_sets_up_no_second_token(network: Network) -> None:
    network.world.clock.advance(60)
    message = network.sign()
    assert network.call("POST", f"/v1/agent/{AGENT}", message)[0] == 200
    assert network.call("POST", f"/v1/agent/{AGENT}", message) == (403, None)
    assert network.call("POST", f"/v1/agent/{OTHER}", message) == (403, None)
    assert network.call("POST", "/v1/agent/NOBODY", message) == (403, None)
    assert network.call("POST", "/v1/agent/x'; --", message) == (403, None)


def test_an_agent_has_so_many_calls_an_hour_and_no_other_or_stranger_uses_them_up(network: Network) -> None:
    # given that strangers and another agent have called in its name
    network.world.clock.advance(3600 - network.world.clock.now() % 3600 + 1)
    for token in (None, AGENT + "." + "x" * 43, network.tokens[OTHER]):
        assert network.call("GET", f"/v1/agent/{AGENT}", token=token)[0] == 403
    network.call("POST", f"/v1/agent/{AGENT}", network.sign(key=OTHER))
    # when it calls as often as it may
    answers = [network.call("GET", f"/v1/agent/{AGENT}", token=network.tokens[AGENT])[0] for _ in range(MAX_AN_HOUR)]
    # then the next one is too many, of whatever kind, and the next hour is another
    assert set(answers) == {200}
    assert network.exercise()[0] == 429
    assert network.call("POST", f"/v1/agent/{AGENT}", network.sign()) == (403, None)
    assert network.call("GET", f"/v1/agent/{OTHER}", token=network.tokens[OTHER])[0] == 200
    network.world.clock.advance(3600)
    assert network.exercise()[0] == 200


def test_a_deletion_waits_for_the_user_and_keeps_nothing_that_was_claimed(network: Network) -> None:
    status, shown = network.exercise(**{"agent-request-id": "ref-1", "name": "canary"})
    assert status == 200
    (case,) = network.world.cases.list(INTAKE)[0]
    assert (case.status, case.get("reason")) == ("on_hold", "identity")
    assert shown["user_verification_url"] == "https://api.example.org/portal"
    assert (shown["status"], shown["reason"]) == ("in_progress", "need_user_verification")
    assert (shown["agent_request_id"], shown["expected_by"]) == ("ref-1", iso(case.get("due")))
    assert "canary" not in str(network.world.requests.rows)
    assert network.call("GET", f"{PREFIX}/{shown['request_id']}", token=network.tokens[AGENT]) == (200, shown)


def test_one_message_is_one_request_and_an_agents_requests_are_its_own(network: Network) -> None:
    message = network.request()
    first = network.call("POST", PREFIX, message, network.tokens[AGENT])
    assert network.call("POST", PREFIX, message, network.tokens[AGENT]) == first
    assert len(network.world.cases.list(INTAKE)[0]) == 1
    path = f"{PREFIX}/{first[1]['request_id']}"
    assert network.call("GET", path, token=network.tokens[OTHER])[0] == 403
    assert network.call("DELETE", path, network.sign(OTHER), network.tokens[OTHER])[0] == 403
    assert network.call("GET", f"{PREFIX}/canary", token=network.tokens[AGENT])[0] == 403
    # another agent's request for the same person is a case of its own
    network.exercise(OTHER)
    assert len(network.world.cases.list(INTAKE)[0]) == 2


def test_revoked_denied_and_fulfilled(network: Network) -> None:
    token = network.tokens[AGENT]
    _, shown = network.exercise()
    path = f"{PREFIX}/{shown['request_id']}"
    assert network.call("DELETE", path, "canary", token)[0] == 400
    status, revoked = network.call("DELETE", path, network.sign(reason="canary"), token)
    assert (status, revoked["status"]) == (200, "revoked")
    assert network.call("DELETE", path, network.sign(), token)[1]["status"] == "revoked"

    for reason, told in (("identity_not_established", "insuf_verification"), ("excessive", "too_many_requests")):
        _, shown = network.exercise(email=f"{reason}@example.org")
        case = network.world.cases.get(INTAKE, network.bindings.get(INTAKE, "drp", shown["request_id"]).case)
        network.world.cases.deny(case, reason, network.world.clock.now())
        _, denied = network.call("GET", f"{PREFIX}/{shown['request_id']}", token=token)
        assert (denied["status"], denied["reason"]) == ("denied", told)

    _, shown = network.exercise(email="c@example.org", exercise="access:specific")
    case = network.world.cases.get(INTAKE, network.bindings.get(INTAKE, "drp", shown["request_id"]).case)
    network.world.cases.act(case, ANSWERED, completed=1)
    assert network.call("GET", f"{PREFIX}/{shown['request_id']}", token=token)[1]["status"] == "fulfilled"
    assert network.call("DELETE", f"{PREFIX}/{shown['request_id']}", network.sign(), token)[0] == 409


def test_nothing_is_sold_so_there_is_nothing_to_opt_out_of_or_into(network: Network) -> None:
    _, out = network.exercise(exercise="sale:opt-out")
    assert (out["status"], "never sold" in out["processing_details"]) == ("fulfilled", True)
    _, into = network.exercise(exercise="sale:opt_in")
    assert (into["status"], into["reason"]) == ("denied", "claim_not_covered")


def test_the_checks_come_in_the_protocols_order(network: Network) -> None:
    """Each message has every fault after the first one too: the first is what is told."""
    token, now = network.tokens[AGENT], network.world.clock.now()
    wrong = {"expires-at": iso(now - 1), "issued-at": iso(now + 60), "business-id": "B", "agent-id": OTHER}
    expected = []
    for name in ("expires-at", "issued-at", "business-id", "agent-id"):
        faults = {key: wrong[key] for key in list(wrong)[: list(wrong).index(name) + 1]}
        expected.append((network.request(**faults), name))
    forged = network.request(key=OTHER, **wrong)
    expected += [(forged, "signature"), ("%%%", "base64")]
    for message, told in expected:
        status, refused = network.call("POST", PREFIX, message, token)
        assert (status, refused["code"], refused["fatal"]) == (400, "400", True)
        word = {"expires-at": "expired", "issued-at": "future", "business-id": "another business", "agent-id": "agent"}
        assert word.get(told, told) in refused["message"]
    assert network.world.cases.list(INTAKE)[0] == []


@pytest.mark.parametrize(
    "token", [None, "", "canary", f"{AGENT}.{'a' * 43}", f"{AGENT}.x", "X" * 5000, "EXAMPLE_AGENT"]
)
def test_without_the_token_nothing_of_the_message_is_looked_at(network: Network, token: str | None) -> None:
    for method, path in (("POST", PREFIX), ("GET", PREFIX + "/x"), ("DELETE", PREFIX + "/x")):
        assert network.call(method, path, "%%%", token)[0] == 403


def test_an_agent_cannot_use_anothers_token_or_signature(network: Network) -> None:
    assert network.call("POST", PREFIX, network.request(AGENT), network.tokens[OTHER])[0] == 400
    assert network.call("POST", PREFIX, network.request(OTHER), network.tokens[AGENT])[0] == 400
    assert network.world.cases.list(INTAKE)[0] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"exercise": "canary"}, {"exercise": None}, {"exercise": 7}, {"drp.version": None}, {"drp.version": "0.5"},
        {"regime": "canary"}, {"agent-request-id": "canary\r\nX: y"}, {"agent-request-id": 7},
        {"status_callback": "http://canary.test/"}, {"status_callback": "https://169.254.169.254/"},
        {"status_callback": 7}, {"expires-at": "canary"}, {"issued-at": 7}, {"expires-at": "2999-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_refusals_have_the_protocols_shape_and_quote_nothing(network: Network, changes: dict[str, Any]) -> None:
    status, refused = network.exercise(**changes)
    assert (status, refused.keys()) == (400, {"code", "message", "fatal"})
    assert network.world.cases.list(INTAKE)[0] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_no_bytes_but_the_agents_own_open_anything(network: Network, noise: bytes) -> None:
    assert network.call("POST", PREFIX, base64.b64encode(noise).decode(), network.tokens[AGENT])[0] == 400


def test_a_flipped_bit_ends_it(network: Network) -> None:
    message = bytearray(base64.b64decode(network.request()))
    for place in (0, 63, 64, len(message) - 1):
        message[place] ^= 1
        assert network.call("POST", PREFIX, base64.b64encode(message).decode(), network.tokens[AGENT])[0] == 400
        message[place] ^= 1
    huge = base64.b64encode(bytes(message) + b" " * 20_000).decode()
    assert network.call("POST", PREFIX, huge, network.tokens[AGENT])[0] == 413


def test_a_status_callback_is_told_the_same(network: Network) -> None:
    class Hook(Outbound):
        seen: list[Any] = []  # noqa: RUF012 - one for the test

        def post(self, url: str, headers: Any, body: bytes) -> int:
            self.seen.append((url, json.loads(body)))
            return 200

    _, shown = network.exercise(status_callback="https://agent.example.org/cb")
    (binding,) = network.followed
    ports = Ports(network.world.cases, network.bindings, network.world.signer, Hook(), network.world.clock)
    assert follow(ports, INTAKE, "drp", binding.external)["done"] is False
    assert Hook.seen == []
    network.call("DELETE", f"{PREFIX}/{shown['request_id']}", network.sign(), network.tokens[AGENT])
    assert follow(ports, INTAKE, "drp", binding.external)["done"] is True
    ((url, told),) = Hook.seen
    assert (url, told["status"], told["request_id"]) == ("https://agent.example.org/cb", "revoked", shown["request_id"])


@pytest.mark.parametrize(
    ("agent", "name", "key"),
    [
        ("lower", "x", "A" * 43 + "="),
        ("A", "", "A" * 43 + "="),
        ("A", "x\n", "A" * 43 + "="),
        ("A", "x", "AAAA"),
        ("A", "x", "%"),
    ],
)
def test_what_cannot_be_an_agent_is_not_registered(network: Network, agent: str, name: str, key: str) -> None:
    with pytest.raises(BadAgent):
        network.agents.add(agent, name, key, 1)
    assert {one.id for one in network.agents.list()} == {AGENT, OTHER}
