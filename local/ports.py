"""Loopback ports: is one free, find one, does something answer there."""

from __future__ import annotations

import http.client
import socket

from local.errors import Refused
from local.settings import HOST


def require_free(port: int, variable: str) -> None:
    """Raise Refused, naming the port and the variable that changes it, unless `port` can be bound on loopback."""
    with socket.socket() as probe:
        # What asyncio's and http.server's listeners set: a port in TIME_WAIT from the last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Refused(f"port {port} is in use; choose another with {variable}=NUMBER") from None
    # macOS lets a loopback address be bound beside a listener on every address; a connection finds that one.
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise Refused(f"port {port} is in use; choose another with {variable}=NUMBER")


def free_port() -> int:
    """A port that was free a moment ago, chosen by the kernel."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Whether GET `path` on `port` gives 200 within a second. Goes past any proxy."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
