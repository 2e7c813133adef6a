"""A portal over fakes."""

from __future__ import annotations

import pytest

from tests.unit.portal.reader import Portal


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Portal:
    return Portal(monkeypatch)
