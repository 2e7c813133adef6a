"""A certificate verifies offline, and no change to it goes unseen."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.certificates import MemorySigner, b64url, canonical, commitment_digest, issue, thumbprint, verify
from chatapi.ledger import GENESIS, commit, entry, proof

SIGNER = MemorySigner()
JWKS = {"keys": [SIGNER.jwk()]}
OPENING = bytes(range(32))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", max_size=3), inner, max_size=3),
    max_leaves=10,
)


def body(**changes: Any) -> dict[str, Any]:
    stores = [
        {"store": "vault", "outcome": "shredded", "count": 1, "reason": "…"},
        {"store": "records", "outcome": "deleted", "count": 4, "reason": "…"},
        {"store": "exports", "outcome": "nothing_found", "count": 0, "reason": "…"},
    ]
    made = {"version": 1, "type": "erasure", "request": "dsr_1", "stores": stores}
    return {**made, "canary": {"subject": "sub_1", "ciphertext": "AAAA", "opens": False}, **changes}


def signed(payload: dict[str, Any], signer: MemorySigner = SIGNER) -> dict[str, Any]:
    """A certificate of a payload, its ledger entry included."""
    found = entry(1, "erasure.completed", 1000, commit(OPENING, commitment_digest(payload)), GENESIS)
    document: dict[str, Any] = json.loads(issue({**payload, "ledger": proof(found, OPENING)}, signer))
    return document


GOOD = signed(body())


def test_a_good_one_has_no_findings() -> None:
    assert verify(GOOD, JWKS) == []
    assert (
        verify(
            signed(
                body(
                    canary=None,
                    stores=[
                        {"store": "vault", "outcome": "nothing_found", "count": 0},
                        {"store": "records", "outcome": "nothing_found", "count": 0},
                    ],
                )
            ),
            JWKS,
        )
        == []
    )


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every leaf."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*at, key))
    else:
        yield at


@pytest.mark.parametrize("path", list(paths(GOOD)), ids=str)
@pytest.mark.parametrize("value", ["changed", 7, None, True, -1, [], {}, 1.5])
def test_any_changed_value_is_found(path: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(GOOD)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert verify(changed, JWKS) != [] or changed == GOOD


@given(st.integers(0, len(GOOD["jws"]) - 1), st.characters(codec="ascii"))
def test_any_changed_character_of_the_signature_is_found(place: int, character: str) -> None:
    jws = GOOD["jws"][:place] + character + GOOD["jws"][place + 1 :]
    assert (verify({**GOOD, "jws": jws}, JWKS) == []) == (jws == GOOD["jws"])


def test_a_signature_has_one_spelling() -> None:
    """The last character carries four bits that base64 ignores."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    jws = GOOD["jws"]
    for other in range(1, 16):
        spelt = jws[:-1] + letters[letters.index(jws[-1]) ^ other]
        assert verify({**GOOD, "jws": spelt}, JWKS) == ["the signature does not hold"]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"version": 2}, "a version that this verifier does not know"),
        ({"canary": None}, "the canary is not shown to be unreadable"),
        ({"canary": {"ciphertext": "AAAA", "opens": True}}, "the canary is not shown to be unreadable"),
        ({"canary": {"ciphertext": "AAAA", "opens": 0}}, "the canary is not shown to be unreadable"),
        ({"stores": []}, "no store is accounted for"),
        ({"stores": ["vault"]}, "no store is accounted for"),
        ({"stores": [{"store": "vault", "outcome": "failed", "count": 1}]}, "a store has failed"),
        ({"stores": [{"store": "vault", "outcome": "skipped", "count": 1}]}, "a store has an outcome that is none"),
        ({"stores": [{"store": "vault", "outcome": "deleted", "count": True}]}, "a store has an outcome that is none"),
        (
            {"stores": [{"store": "vault", "outcome": "deleted", "count": 0}]},
            "a store's outcome and its count contradict each other",
        ),
        (
            {"stores": [{"store": "vault", "outcome": "shredded", "count": 1}]},
            "the vault or the records are not accounted for",
        ),
    ],
)
def test_a_signed_lie_is_found(changes: dict[str, Any], finding: str) -> None:
    """Whoever holds the key can sign anything; what it says is checked all the same."""
    assert finding in verify(signed(body(**changes)), JWKS)


def test_another_signer_is_not_accepted() -> None:
    other = MemorySigner()
    assert verify(signed(body(), other), JWKS) == ["the signing key is not in the key set"]
    posing = {**other.jwk(), "kid": SIGNER.jwk()["kid"]}
    assert verify(GOOD, {"keys": [posing]}) == ["the signature does not hold"]


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256", "kid": "k", "typ": "t"}, {"alg": "ES256"}, [], "ES256"]
)
def test_no_other_algorithm_is_accepted(header: Any) -> None:
    _, payload, signature = GOOD["jws"].split(".")
    jws = f"{b64url(canonical(header))}.{payload}.{signature}"
    assert verify({**GOOD, "jws": jws}, JWKS) == ["the signature is not ES256 with a key id"]


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": None},
        {"keys": [None, 1, {}]},
        {"keys": [{"kty": "EC", "crv": "P-256", "kid": SIGNER.jwk()["kid"]}]},
    ],
)
def test_a_bad_key_set_is_a_finding_and_no_crash(jwks: Any) -> None:
    assert verify(GOOD, jwks) != []


@given(JSON)
def test_anything_else_is_a_finding_and_no_crash(value: Any) -> None:
    assert verify({"object": "privacy.certificate", "payload": value, "jws": value, "request": value}, JWKS) != []
    assert verify({**GOOD, "payload": {**GOOD["payload"], "stores": value}}, JWKS) != []
    assert verify({**GOOD, "payload": {**GOOD["payload"], "ledger": value}}, JWKS) != []


@given(JSON)
def test_canonical_text_is_one_text_of_the_same_value(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text("abc", max_size=3), st.integers()))
def test_canonical_text_does_not_depend_on_order(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), {"a": [0.5]}, {1: 1}, {"é": 1}, b"", (1,), {"a": {1, 2}}, "\ud800"]
)
def test_what_has_no_canonical_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical(value)


def test_the_key_id_is_the_thumbprint() -> None:
    """RFC 7638 over the members of an EC key (RFC 7517, appendix A.1)."""
    x, y = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    assert thumbprint(x, y) == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"


def test_deep_nesting_is_a_finding_and_no_crash() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert verify({**GOOD, "payload": {**GOOD["payload"], "stores": deep}}, JWKS) == ["the payload is not canonical"]
