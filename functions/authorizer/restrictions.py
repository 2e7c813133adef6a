"""What a key itself restricts: its models, its retention ceiling, what is redacted, and the addresses it may be used
from (docs/keys.md).

They lie beside the key's hash in the item that the limiter's update returns, so they cost no further call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatapi.retention import tightest
from chatapi.verdict import ADDRESS_NOT_ALLOWED, Verdict


def restrict(verdict: Verdict, key: Mapping[str, Any], source_ip: str | None) -> Verdict:
    """The verdict, tightened by a key's fields `m`, `r`, `rd` and `ip`.

    A key with an allow-list is refused where `source_ip` is not on it, absent or no address.
    """
    tightened = verdict._replace(
        models=tuple(key.get("m", ())),
        retention=tightest(verdict.retention, key.get("r", "history")),
        redact=f"{verdict.redact} {key['rd']}" if "rd" in key else verdict.redact,
    )
    if "ip" in key and not _listed(source_ip, key["ip"]):
        return tightened._replace(outcome=ADDRESS_NOT_ALLOWED)
    return tightened


def _listed(source_ip: str | None, cidrs: Sequence[str]) -> bool:
    from ipaddress import IPv6Address, ip_address, ip_network  # most keys have no list and need not pay for it

    try:
        address = ip_address(source_ip or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ip_network(cidr) for cidr in cidrs)
