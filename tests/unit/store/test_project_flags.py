"""The flag that somebody in a project allowed an optional purpose: set blindly, read by the authorizer alone."""

from __future__ import annotations

from typing import Any

import pytest

from authorizer.faults import _KEPT
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.catalogue import catalogue, read_policy
from chatapi.store.project_flags import FLAGS, ProjectFlags, allowed_by_some
from chatapi.verdict import Verdict


class Store:
    """Records updates; fails where told."""

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.updates: list[dict[str, Any]] = []

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert operation == "UpdateItem"
        self.updates.append(payload)
        if self.error:
            raise self.error
        return {}


def test_a_flag_for_each_purpose_that_something_is_processed_for() -> None:
    purposes = read_policy("purposes")["purposes"]
    processed = {name for name, purpose in purposes.items() if purpose.get("today", "nothing") != "nothing"}
    assert set(FLAGS.values()) == processed
    assert all(catalogue().kinds["project"].allows(flag) for flag in FLAGS)


def test_a_flag_is_set_without_seeing_anything_of_the_project() -> None:
    store = Store()
    ProjectFlags(store, "T").set("p1", "analytics")
    (update,) = store.updates
    assert update["ReturnValues"] == "NONE"
    assert "ReturnValuesOnConditionCheckFailure" not in update
    assert set(update["ExpressionAttributeNames"].values()) == {"o_analytics", "kind"}


def test_nothing_is_set_for_what_nothing_is_processed_for() -> None:
    store = Store()
    ProjectFlags(store, "T").set("p1", "marketing")
    assert store.updates == []


def test_a_project_that_is_gone_is_none_and_a_silent_store_is_said() -> None:
    ProjectFlags(Store(AwsError("ConditionalCheckFailedException", 400)), "T").set("p1", "analytics")
    with pytest.raises(AwsUnavailable):
        ProjectFlags(Store(AwsUnavailable("Timeout")), "T").set("p1", "analytics")


def test_what_is_kept_for_the_time_without_a_store_has_no_flag() -> None:
    item = dict.fromkeys(_KEPT, 1)
    assert allowed_by_some({**item, "o_analytics": True}) == ("analytics",)
    assert allowed_by_some(item) == ()
    assert Verdict("p", "k").purposes == ()
