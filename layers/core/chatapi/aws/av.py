"""DynamoDB attribute values in wire form (Amazon DynamoDB API reference, "AttributeValue").

========================  ======  =================================================
Python                    tag     wire
========================  ======  =================================================
``str``                   ``S``   text
``int``                   ``N``   decimal text, at most 38 digits; no floats at all
``bytes``                 ``B``   base64
``bool``, ``None``        ``BOOL``, ``NULL``
``list``, ``dict``        ``L``, ``M``
``frozenset[str|bytes]``  ``SS``, ``BS``  not empty, one type, sorted
========================  ======  =================================================

Texts of errors are fixed: a value never appears in one.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    Value: TypeAlias = (
        str | int | bool | bytes | list["Value"] | dict[str, "Value"] | frozenset[str] | frozenset[bytes] | None
    )

_LARGEST = 10**38


def to_av(value: Value) -> dict[str, Any]:
    """Encode one value. Raises TypeError for a type, ValueError for a number or set, that has no encoding."""
    kind = type(value)
    if kind is str:  # nearly all of them
        return {"S": value}
    encode = _ENCODERS.get(kind) or _encoder_of_base(kind)
    return encode(value)


def _encoder_of_base(kind: type) -> Callable[[Any], dict[str, Any]]:
    for base in kind.__mro__:  # a StrEnum is a str
        if base in _ENCODERS:
            return _ENCODERS[base]
    raise TypeError("no attribute value for this type")


def from_av(av: Mapping[str, Any]) -> Any:
    """Decode one attribute value. Raises ValueError for what :func:`to_av` cannot have written."""
    return from_item({"": av})[""]


def to_item(values: Mapping[str, Value]) -> dict[str, Any]:
    """Encode an item, or the value of an ``M``: names to values."""
    if not all(isinstance(name, str) for name in values):
        raise TypeError("attribute names are text")
    return {name: to_av(value) for name, value in values.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Decode an item, or the value of an ``M``. Raises ValueError for what :func:`to_av` cannot have written."""
    decoded: dict[str, Any] = {}
    try:
        for name, av in item.items():
            ((tag, wire),) = av.items()
            decoded[name] = wire if tag == "S" else _DECODERS[tag](wire)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    else:
        return decoded
    raise ValueError("not an attribute value")  # outside the handler: the cause quotes the value


def _b64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()


def _int_to_av(value: int) -> dict[str, Any]:
    if not -_LARGEST < value < _LARGEST:
        raise ValueError("a number has at most 38 digits")
    return {"N": str(int(value))}


def _set_to_av(value: frozenset[Any]) -> dict[str, Any]:
    kinds = {type(element) for element in value}
    if kinds == {str}:
        return {"SS": sorted(value)}
    if kinds == {bytes}:
        return {"BS": [_b64(element) for element in sorted(value)]}
    raise ValueError("a set holds texts only or bytes only, and at least one")


_ENCODERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    str: lambda value: {"S": value},
    int: _int_to_av,
    bytes: lambda value: {"B": _b64(value)},
    bool: lambda value: {"BOOL": value},
    type(None): lambda value: {"NULL": True},
    list: lambda value: {"L": [to_av(element) for element in value]},
    dict: lambda value: {"M": to_item(value)},
    frozenset: _set_to_av,
}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "S": lambda wire: wire,
    "N": int,
    "B": a2b_base64,
    "BOOL": lambda wire: wire,
    "NULL": lambda wire: None,
    "SS": frozenset,
    "BS": lambda wire: frozenset(map(a2b_base64, wire)),
    "L": lambda wire: [from_av(element) for element in wire],
    "M": from_item,
}
