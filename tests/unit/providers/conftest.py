"""What the adapters call: a server on loopback that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chatapi.aws.transport import Transport
from tests.unit.aws.stub import Stub, running


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """The server. What was connected to it is closed: where a test's world is a cycle, the collector chooses whether
    a connection is finalized before the transport that would close it, which is a warning."""
    made: list[Transport] = []
    init = Transport.__init__

    def recorded(self: Transport, *args: Any, **named: Any) -> None:
        init(self, *args, **named)
        made.append(self)

    monkeypatch.setattr(Transport, "__init__", recorded)
    with running(Stub()) as stub:
        yield stub
    for transport in made:
        transport.close()
