"""The attribute-value codec loses nothing, agrees with boto3's, and quotes no value when it refuses one."""

from __future__ import annotations

from base64 import b64encode
from enum import StrEnum
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from chatapi.aws.av import from_av, from_item, to_av, to_item

leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.binary(),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.frozensets(st.text(), min_size=1),
    st.frozensets(st.binary(), min_size=1),
)
value: st.SearchStrategy[Any] = st.recursive(
    leaf, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def on_the_wire(av: Any) -> Any:
    """What boto3 sends for its own serialised form: binary as base64; the order of a set is of no account."""
    ((tag, inner),) = av.items()
    match tag:
        case "B":
            return {"B": b64encode(bytes(inner)).decode()}
        case "BS":
            return {"BS": {b64encode(bytes(element)).decode() for element in inner}}
        case "SS":
            return {"SS": set(inner)}
        case "L":
            return {"L": [on_the_wire(element) for element in inner]}
        case "M":
            return {"M": {name: on_the_wire(element) for name, element in inner.items()}}
    return av


def unordered(av: Any) -> Any:
    ((tag, inner),) = av.items()
    match tag:
        case "SS" | "BS":
            assert len(inner) == len(set(inner))
            return {tag: set(inner)}
        case "L":
            return {"L": [unordered(element) for element in inner]}
        case "M":
            return {"M": {name: unordered(element) for name, element in inner.items()}}
    return av


@given(value)
def test_round_trip(value: Any) -> None:
    decoded = from_av(to_av(value))
    assert decoded == value
    assert repr(type(decoded)) == repr(type(value))


@given(st.dictionaries(st.text(), value))
def test_an_item_round_trips(item: dict[str, Any]) -> None:
    assert from_item(to_item(item)) == item


@given(value)
def test_equal_to_boto3(value: Any) -> None:
    assert unordered(to_av(value)) == on_the_wire(TypeSerializer().serialize(value))


def test_true_is_no_number_and_a_named_text_is_a_text() -> None:
    class Kind(StrEnum):
        CHAT = "chat"

    assert to_av(True) == {"BOOL": True}
    assert to_av(1) == {"N": "1"}
    assert to_av(Kind.CHAT) == {"S": "chat"}


@pytest.mark.parametrize(
    "unfit", [1.5, {1: "x"}, ("canary",), {"canary"}, frozenset(), frozenset({"canary", b"canary"}), 10**38, object()]
)
def test_what_has_no_encoding_is_refused_without_being_quoted(unfit: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        to_av(unfit)
    assert "canary" not in str(caught.value)
    assert str(10**38) not in str(caught.value)


@pytest.mark.parametrize(
    "wire", [{"N": "canary"}, {"B": "canary!"}, {"canary": 1}, {}, {"S": "a", "N": "1"}, {"M": "canary"}]
)
def test_what_is_no_attribute_value_is_refused_without_being_quoted(wire: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        from_av(wire)
    assert str(caught.value) == "not an attribute value"
    assert caught.value.__context__ is None
