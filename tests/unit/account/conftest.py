"""The API as a fixture."""

from __future__ import annotations

import pytest

from tests.unit.account.api import Api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)
