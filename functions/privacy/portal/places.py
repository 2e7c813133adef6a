"""Where the API and its portal are, from API Gateway's event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapi.environment import setting
from chatapi.errors import BadRequest

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def is_local() -> bool:
    """Whether this is the stack on one machine, where the portal has no TLS."""
    return setting("STAGE") == "local"


def stage_path(event: Mapping[str, Any]) -> str:
    """What stands before the API's own paths in a URL: `/live` at API Gateway's address, nothing at a custom one."""
    whole, own = str(event["requestContext"].get("path", "")), str(event["path"])
    return whole.removesuffix(own) if whole.endswith(own) else ""


def api_root(event: Mapping[str, Any]) -> str:
    """The API's URL as the caller reached it. API Gateway has matched the host and has no clear text; the stack on one
    machine has nothing else."""
    host = str(event["requestContext"].get("domainName") or "localhost")
    return f"{'http' if host.partition(':')[0] in LOOPBACK else 'https'}://{host}{stage_path(event)}"


def portal_root(event: Mapping[str, Any]) -> str:
    """The portal's URL as the caller reached it. API Gateway has matched the host to this API; on one machine nothing
    has, so there only loopback counts: a link with a code in it must not lead to a host that somebody made up."""
    host = str(event["requestContext"].get("domainName", ""))
    if is_local() and (host[:5] if host.startswith("[") else host.partition(":")[0]) not in LOOPBACK:
        raise BadRequest("The portal of this machine answers at 127.0.0.1 or localhost.", code="invalid_host")
    return f"{'http' if is_local() else 'https'}://{host}{stage_path(event)}/portal"
