"""One request to the portal, read from API Gateway's event: bounded, decoded, and checked for forgery."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from chatapi.buffered import body_of
from chatapi.errors import BadRequest, Forbidden, RequestTooLarge
from chatapi.ids import random62
from privacy.identity.service import Identity
from privacy.identity.tokens import Session
from privacy.portal.places import is_local, portal_root, stage_path
from privacy.portal.words import preferred, words

MAX_FORM_BYTES = 16 * 1024
MAX_FIELDS = 20
FORM_TYPE = "application/x-www-form-urlencoded"
_YEAR = 31_536_000


class Forged(Forbidden):
    """403: the form was not made by this portal for this browser (or the browser lost its cookie)."""

    code = "form_refused"
    message = "This form has expired or did not come from this page. Open the page again and repeat the step."


def cookie_name(name: str) -> str:
    """A cookie's name. With TLS the prefix `__Host-` binds it to this very host (RFC 6265bis, 4.1.3.2); on one machine,
    without TLS, browsers would refuse that."""
    return "chatapi-" + name if is_local() else "__Host-chatapi-" + name


@dataclass(frozen=True)
class Visit:
    """A request. `path` is relative to the portal, without slashes around it; `form` and `query` hold decoded texts."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    language: str
    base: str
    root: str
    visitor: str
    session: Session | None
    gpc: bool = False
    form_key: str = ""
    cookies: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict, repr=False)

    def url(self, path: str = "") -> str:
        """A path of the portal, as it stands in a link."""
        return f"{self.base}/portal/{path}" if path else f"{self.base}/portal"

    def say(self, key: str, **values: object) -> str:
        """A text of the catalogue. KeyError where it has none: the languages' test finds it first."""
        text = self.words[key]
        return text.format(**values) if values else text

    def setting(self, name: str, value: str, seconds: int) -> Visit:
        """The visit with a cookie to set; 0 seconds removes it."""
        secure = "" if is_local() else "; Secure"
        line = f"{cookie_name(name)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
        return replace(self, cookies=(*self.cookies, line))


def visit_of(event: Mapping[str, Any], identity: Identity) -> Visit:
    """The visit of an event. RequestTooLarge, BadRequest or Forged where it is not one that a browser of ours sends."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    query = {str(k): str(v)[:2048] for k, v in (event.get("queryStringParameters") or {}).items()}
    kept = _cookies(headers.get("cookie", ""))
    visitor = kept.get(cookie_name("visitor"), "")
    if not (len(visitor) == 22 and visitor.isascii() and visitor.isalnum()):
        visitor = ""
    session = identity.who(kept.get(cookie_name("session")))
    language = preferred(headers.get("accept-language", ""), query.get("lang") or kept.get(cookie_name("lang")))
    method, root = str(event["httpMethod"]), portal_root(event)
    path = str(event["path"]).removeprefix("/portal").strip("/")
    made = visitor or random62(22)
    visit = Visit(
        method=method,
        path=path,
        query=query,
        form={},
        language=language,
        base=stage_path(event),
        root=root,
        visitor=made,
        session=session,
        gpc=headers.get("sec-gpc") == "1",
        form_key=identity.form_key(made, session),
        words=words(language),
    )
    if not visitor:
        visit = visit.setting("visitor", made, 86_400)
    if query.get("lang") == language:
        visit = visit.setting("lang", language, _YEAR)
    if method == "POST":
        form = _form(event, headers)
        _not_forged(visit, headers, form, known=bool(visitor))
        visit = replace(visit, form=form)
    return visit


def _not_forged(visit: Visit, headers: Mapping[str, str], form: Mapping[str, str], *, known: bool) -> None:
    """Three independent signs that the form is ours: what the browser says of its origin, a cookie that it brought, and
    a key in the form that only this cookie and session have (OWASP, "Cross-Site Request Forgery Prevention")."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    ours = visit.root.removesuffix("/portal").removesuffix(visit.base)
    good = hmac.compare_digest(form.get("key", "").encode(), visit.form_key.encode())
    if not (known and good and origin in (None, ours) and site in ("same-origin", "none")):
        raise Forged


def _form(event: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, str]:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise BadRequest("The portal takes forms.", code="invalid_form")
    body = body_of(event)
    if len(body) > MAX_FORM_BYTES:
        raise RequestTooLarge("The form is larger than 16 KiB.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        pairs = []
    if not pairs:
        raise BadRequest("The form is not valid.", code="invalid_form")
    return dict(pairs)


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header[:8192]).items()}
    except CookieError:
        return {}
