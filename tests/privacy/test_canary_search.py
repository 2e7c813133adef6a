"""The search for canaries finds what is there: the control that makes its silence mean something."""

from __future__ import annotations

import base64
import json
import os
import zlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.canary import Canary, as_bytes

CANARY = Canary("control")


@pytest.mark.parametrize(
    "disguise",
    [
        str.encode,
        lambda text: json.dumps({"a": [text]}).encode(),
        lambda text: json.dumps({"a": [text]}, ensure_ascii=False).encode(),
        lambda text: text.encode().hex().encode(),
        lambda text: quote(text).encode(),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.urlsafe_b64encode(b"?" + text.encode() + b">"),
        lambda text: base64.b64encode(json.dumps({"deep": text}).encode()),
        lambda text: as_bytes({"blob": text.encode(), "n": 1}),
    ],
)
def test_a_planted_canary_is_found_in_every_disguise(disguise: object) -> None:
    assert CANARY.found_in(b'{"event":"x","value":"' + disguise(CANARY.text) + b'"}')  # type: ignore[operator]


@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_it_is_found_inside_base64_at_any_alignment(before: bytes, after: bytes) -> None:
    assert CANARY.found_in(base64.b64encode(before + CANARY.text.encode() + after))


def test_it_is_not_found_where_it_is_not() -> None:
    assert not CANARY.found_in(os.urandom(100_000))
    assert not CANARY.found_in(base64.b64encode(os.urandom(100_000)))
    assert not CANARY.found_in(Canary("other").text.encode())
    # and the search says nothing of compressed data: nothing in the product compresses
    assert not CANARY.found_in(zlib.compress(CANARY.text.encode()))
