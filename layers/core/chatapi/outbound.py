"""POST to an address that somebody else chose (a callback, a webhook) without being led anywhere else (OWASP,
"Server-Side Request Forgery Prevention").

    https alone, no user info, no fragment, a DNS name with an alphabetic last label ─▶ resolve once ─▶ every address
    public, or none is used ─▶ connect to that very address (pinned: no second look-up) ─▶ TLS for the name ─▶ the
    status line, and no byte more. No redirect is followed, no proxy is asked, all of it within one deadline.

Nothing of the URL or of the answer is in an error: a URL may carry a token.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

MAX_URL = 2048
MAX_BODY = 64 * 1024
TIMEOUT = 5.0
_PORTS = frozenset({443, 8443})
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})")
_TARGET = re.compile(r"[\x21-\x7e]*")
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r\n]")
_ADDRESSES, _TRIED = 16, 2
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
# Ways into the old Internet: what looks public as IPv6 may lead to a private IPv4 address (RFC 6052, 8215, 3056, 4380).
_TRANSLATED = tuple(ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[str]]


class BadUrl(ValueError):
    """The URL is none that is called from here."""

    def __init__(self) -> None:
        super().__init__("the URL is not https to a public DNS name")


class NotReached(Exception):
    """No answer. `reason` is one of dns, address, connect, tls, timeout, answer."""

    def __init__(self, reason: str) -> None:
        super().__init__("the receiver was not reached")
        self.reason = reason


@dataclass(frozen=True)
class Place:
    """Where a URL leads: checked in its form, not yet resolved."""

    host: str
    port: int
    target: str
    secure: bool

    @property
    def authority(self) -> str:
        """The Host header."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"


def place_of(url: str, *, loopback: bool = False) -> Place:
    """A URL taken apart. BadUrl for whatever is not https to a DNS name. `loopback` also admits http to this machine:
    for the stack on one machine alone."""
    if len(url) > MAX_URL or not _TARGET.fullmatch(url):
        raise BadUrl
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        raise BadUrl from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.fragment or "@" in parts.netloc or "\\" in url:
        raise BadUrl
    if loopback and parts.scheme == "http" and host in _LOOPBACK and port:
        return Place(host, port, target, secure=False)
    if parts.scheme != "https" or not _NAME.fullmatch(host) or len(host) > 253 or (port or 443) not in _PORTS:
        raise BadUrl
    return Place(host, port or 443, target, secure=True)


def is_public(text: str) -> bool:
    """Whether an address is one of the public Internet, in every disguise that IPv6 offers for an IPv4 address."""
    try:
        address: Address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in net for net in _TRANSLATED):
            return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    return address.is_global and not special


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outbound:
    """Posts. One instance may be shared by threads; it holds no connection."""

    def __init__(
        self,
        *,
        loopback: bool = False,
        resolve: Resolve = _resolve,
        permitted: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._loopback = loopback
        self._resolve = resolve
        self._permitted = permitted
        self._tls = tls
        self._timeout = timeout

    def check(self, url: str) -> None:
        """BadUrl where `post` would never call this URL."""
        place_of(url, loopback=self._loopback)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer. BadUrl, or NotReached with the reason. `headers` are the caller's own fixed names
        and values without line breaks; ValueError for others."""
        place = place_of(url, loopback=self._loopback)
        if len(body) > MAX_BODY:
            raise ValueError("the body is larger than what is sent")
        head = _head(place, headers, len(body))
        deadline = time.monotonic() + self._timeout
        failure = NotReached("address")
        for address in self._addresses(place)[:_TRIED]:
            try:
                return self._exchange(place, address, head + body, deadline)
            except ssl.SSLError:
                failure = NotReached("tls")
            except TimeoutError:
                failure = NotReached("timeout")
            except OSError:
                failure = NotReached("connect")
        raise failure

    def _addresses(self, place: Place) -> list[str]:
        """Every address of the name, if all of them may be called."""
        if not place.secure:
            return ["127.0.0.1"]
        try:
            found = self._resolve(place.host, place.port)
        except (OSError, UnicodeError):
            raise NotReached("dns") from None
        if not found or len(found) > _ADDRESSES or not all(self._permitted(address) for address in found):
            raise NotReached("address")
        return found

    def _exchange(self, place: Place, address: str, request: bytes, deadline: float) -> int:
        with socket.create_connection((address, place.port), _left(deadline)) as plain:
            if not place.secure:
                return _answer(plain, request, deadline)
            if self._tls is None:
                self._tls = ssl.create_default_context()
            plain.settimeout(_left(deadline))
            with self._tls.wrap_socket(plain, server_hostname=place.host) as secure:
                return _answer(secure, request, deadline)


def _answer(connection: socket.socket, request: bytes, deadline: float) -> int:
    connection.settimeout(_left(deadline))
    connection.sendall(request)
    line = b""
    while b"\n" not in line and len(line) < 512:
        connection.settimeout(_left(deadline))
        piece = connection.recv(512)
        if not piece:
            break
        line += piece
    found = _STATUS.match(line)
    if found is None:
        raise NotReached("answer")
    return int(found[1])


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _head(place: Place, headers: Mapping[str, str], length: int) -> bytes:
    fixed = {"Host": place.authority, "Content-Length": str(length), "Connection": "close", "User-Agent": "ChatAPI"}
    lines = [f"POST {place.target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **fixed}.items())]
    if any(not re.fullmatch(r"[\x20-\x7e]+", line) for line in lines):
        raise ValueError("a header line with a control character")
    return "\r\n".join([*lines, "", ""]).encode("ascii")
