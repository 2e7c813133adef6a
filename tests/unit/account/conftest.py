"""The API as a fixture, and the endpoint for leaked keys."""

from __future__ import annotations

import pytest

from tests.unit.account.api import Api
from tests.unit.account.leak_world import World


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)
