"""What the adapters call: a server on loopback that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.aws.stub import Stub, running


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running(Stub()) as stub:
        yield stub
