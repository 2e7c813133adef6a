"""Where the authorizer's signals go: the composition of `chatapi.signals`, loaded by the first failure alone."""

from __future__ import annotations

from chatapi.aws.client import AwsClient
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.environment import region
from chatapi.signals import Signals
from chatapi.wiring import store_of


def compose() -> Signals:
    """Nothing is read or called here. Short calls, tried once: signals are not worth a client's time."""
    clock = SystemClock()

    def table() -> Catalogued:
        client = AwsClient("dynamodb", region=region(), timeout=0.3, attempts=1)
        return store_of(client, "signals", clock)

    return Signals(table, clock)
