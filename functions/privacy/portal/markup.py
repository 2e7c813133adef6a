"""HTML by construction: whatever is not made by `el` is text, and text is escaped. There is no way to forget it.

el("p", "Hello ", el("b", name), class_="lead")
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = frozenset({"input", "link", "meta", "br", "hr"})
_URLS = frozenset({"href", "src", "action"})


class Html(str):
    """Markup that `el` made. Plain strings are text."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Value: TypeAlias = "str | int | bool | None"


def el(name: str, /, *children: Child, **attributes: Value) -> Html:
    """An element. Children: text, markup, numbers, None (nothing) and iterables of them. Attributes: True stands
    without a value, None and False are left out; a trailing `_` is dropped, others read as `-`. ValueError for a URL
    that is neither a path nor a fragment of this origin nor https."""
    text = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{text}>")
    return Html(f"<{name}{text}>{_inner(children)}</{name}>")


def many(*children: Child) -> Html:
    """Children without an element around them."""
    return Html(_inner(children))


def _inner(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str | int):
        return escape(str(child))
    return "".join(_inner(one) for one in child)


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = str(value)
    safe = ("/", "#", "?", "https://", "http://127.0.0.1:")  # the last is the stores of the stack on one machine
    if name in _URLS and not (text.startswith(safe) and not text.startswith("//")):
        raise ValueError("a link leads to this origin or to https")
    return f' {name}="{escape(text)}"'
