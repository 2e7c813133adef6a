"""Where the keys of the function's role come from, asked anew for each call.

Lambda puts them into the environment; under SnapStart they are fetched from a local address instead, since what was in
the environment at init is frozen and expires (Lambda Developer Guide, "Defined runtime environment variables"; AWS SDKs
and Tools Reference Guide, "Container credential provider").
"""

from __future__ import annotations

import json
import os
import time

from chatapi.aws.errors import AwsUnavailable, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

REFRESH_BEFORE = 300.0
_ISO = "%Y-%m-%dT%H:%M:%SZ"
_LINK_LOCAL = ("169.254.170.2", "169.254.170.23")


class Credentials:
    """An access key, its secret and, for a role, the session token. Immutable; its repr shows none of them."""

    __slots__ = ("access_key", "secret_key", "token")
    access_key: str
    secret_key: str
    token: str | None

    def __init__(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        # By hand, because importing dataclasses costs more than the rest of this package.
        object.__setattr__(self, "access_key", access_key)
        object.__setattr__(self, "secret_key", secret_key)
        object.__setattr__(self, "token", token)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("credentials are immutable")

    def __repr__(self) -> str:
        return "Credentials(...)"


class AmbientCredentials:
    """The credentials of the environment that the process runs in; call it to get the current ones.

    Raises :class:`AwsUnavailable` (``CredentialsMissing``) when there are none.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, timeout: float = 2.0) -> None:
        self._clock = clock
        self._timeout = timeout
        self._fetched: tuple[tuple[str, str], str, Credentials] | None = None
        self._ambient: tuple[tuple[bytes | None, ...], Credentials] = ((), Credentials("", ""))

    def __call__(self) -> Credentials:
        """The credentials to sign the next request with."""
        raw = os.environb.get  # a quarter of what os.environ takes, three times a call
        found = raw(b"AWS_ACCESS_KEY_ID"), raw(b"AWS_SECRET_ACCESS_KEY"), raw(b"AWS_SESSION_TOKEN")
        if found[0] and found[1]:
            known, made = self._ambient  # one tuple, so that two threads never see halves of two
            if found != known:
                access_key, secret_key, token = (os.fsdecode(value or b"") for value in found)
                made = Credentials(access_key, secret_key, token or None)
                self._ambient = found, made
            return made
        env = os.environ
        address = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not address:
            raise AwsUnavailable("CredentialsMissing")
        return self._from_container((address, env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")))

    def _from_container(self, source: tuple[str, str]) -> Credentials:
        """Fetch, unless what was fetched from this very source (a restored snapshot has another) is fresh."""
        known = self._fetched if self._fetched and self._fetched[0] == source else None
        if known and known[1] > self._iso(REFRESH_BEFORE):
            return known[2]
        fetched = _fetch(*source, timeout=self._timeout)
        if fetched is None:
            if known and known[1] > self._iso(0):
                return known[2]
            raise AwsUnavailable("CredentialsMissing")
        self._fetched = (source, *fetched)
        return fetched[1]

    def _iso(self, ahead: float) -> str:
        # ISO 8601 in UTC orders as text, so no date needs to be parsed (strptime costs 5 ms to import).
        return time.strftime(_ISO, time.gmtime(self._clock() + ahead))


def _fetch(address: str, authorization: str, *, timeout: float) -> tuple[str, Credentials] | None:
    """GET the credentials: ``(expiry, credentials)``, or None for any failure."""
    from chatapi.aws.transport import Transport

    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    try:
        transport = Transport(f"{scheme}://{host}", timeout=timeout, clear_text_hosts=_LINK_LOCAL)
        headers = {"host": host, "authorization": authorization} if authorization else {"host": host}
        response = transport.send("GET", f"/{path}", headers, b"")
        found = json.loads(response.read())
        transport.close()
        if response.status == 200:
            return found["Expiration"], Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    except (TransportError, ValueError, KeyError, TypeError):
        pass
    return None
