"""The terms of a project, as a person's session reads them: closed, unknown or damaged keeps nothing."""

from __future__ import annotations

from typing import Any

import pytest

from chatapi.aws.av import to_item
from chatapi.store.project_terms import ATTRIBUTES, project_terms


class Client:
    """Answers with one item."""

    def __init__(self, item: dict[str, Any] | None) -> None:
        self.item = item
        self.asked: dict[str, Any] = {}

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert operation == "GetItem"
        self.asked = payload
        return {} if self.item is None else {"Item": to_item(self.item)}


OPEN = {"pk": "p", "kind": "project", "st": "A", "ret": "history:30"}


@pytest.mark.parametrize(
    ("item", "terms"),
    [
        (OPEN, ("history:30", None)),
        ({**OPEN, "kms": "arn:aws:kms:x"}, ("history:30", "arn:aws:kms:x")),
        ({**OPEN, "st": "S"}, ("none", None)),
        ({**OPEN, "kind": "usage"}, ("none", None)),
        ({"pk": "p"}, ("none", None)),
        (None, ("none", None)),
    ],
)
def test_only_an_open_project_keeps_something(item: dict[str, Any] | None, terms: tuple[str, str | None]) -> None:
    client = Client(item)
    assert project_terms(client, "table", "abcdefgh") == terms
    assert set(client.asked["ExpressionAttributeNames"].values()) == set(ATTRIBUTES)
