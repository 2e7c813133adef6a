"""A browser without scripts, over fakes: keeps cookies, follows redirects, fills in the forms that a page has."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

import privacy.handler
from chatapi.catalogue import Catalogued
from chatapi.certificates import seal_receipt
from chatapi.store.consents import Consents
from chatapi.store.items import Item
from privacy.asking import Terms
from privacy.consents import Choices, receipt
from privacy.downloads import Links
from privacy.imports import Imports
from privacy.service import Rights
from tests.unit.identity.world import OWNER, PEPPER, People
from tests.unit.privacy.api import Downloads, Executions
from tests.unit.privacy.world import PROJECT, World

HOST = "127.0.0.1:8080"


@dataclass
class Form:
    """A form of a page: where it posts to, and its fields as the page filled them."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class Page(HTMLParser):
    """What came back."""

    def __init__(self, status: int, headers: dict[str, list[str]], text: str) -> None:
        super().__init__()
        self.status, self.headers, self.text = status, headers, text
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        if tag == "form":
            self.forms.append(Form(named.get("action") or "", named.get("method") or "get"))
        if tag == "input" and named.get("name") and self.forms:
            self.forms[-1].names.add(str(named["name"]))
            if named.get("type") not in ("radio", "checkbox"):
                self.forms[-1].fields[str(named["name"])] = named.get("value") or ""
        if tag == "a":
            self.links.append(named.get("href") or "")

    def form(self, action: str) -> Form:
        (found,) = [form for form in self.forms if form.action.endswith(action)]
        return found


class Reader:
    """One browser at one portal."""

    def __init__(self, portal: Portal, language: str = "en") -> None:
        self.portal = portal
        self.language = language
        self.cookies: dict[str, str] = {}

    def get(self, url: str, **headers: str) -> Page:
        return self._follow(self.ask("GET", url, None, **headers))

    def post(self, form: Form, follow: bool = True, headers: dict[str, str] | None = None, **fields: str) -> Page:
        body = urlencode({**form.fields, **fields})
        page = self.ask("POST", form.action, body, **(headers or {}))
        return self._follow(page) if follow else page

    def ask(self, method: str, url: str, body: str | None, **headers: str) -> Page:
        parts = urlsplit(url)
        sent = {"host": HOST, "accept-language": self.language}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            sent |= {"content-type": "application/x-www-form-urlencoded", "origin": f"http://{HOST}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        event = {
            "httpMethod": method,
            "path": parts.path,
            "headers": sent,
            "queryStringParameters": dict(parse_qsl(parts.query)) or None,
            "body": base64.b64encode(body.encode()).decode() if body is not None else None,
            "isBase64Encoded": body is not None,
            "requestContext": {"requestId": "req-1", "path": parts.path, "domainName": self.portal.host},
        }
        answer = privacy.handler.handler(event, None)
        for line in answer["multiValueHeaders"].get("set-cookie", ()):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        return Page(answer["statusCode"], answer["multiValueHeaders"], answer["body"])

    def _follow(self, page: Page) -> Page:
        return self.get(page.headers["location"][0]) if page.status == 303 else page

    def sign_in(self, address: str = OWNER, project: str = PROJECT) -> Page:
        """As the owner, by the code in the mail."""
        page = self.post(self.get("/portal/sign-in").form("sign-in"), project=project, address=address)
        self.portal.people.deliver()
        return self.post(page.form("code"), code=self.portal.people.code())


class Store:
    """Where archives may be put."""

    def place(self, key: str, size: int, seconds: int) -> str:
        return f"https://store.example/{key}?{size}&{seconds}"

    def form(self, key: str, most: int, seconds: int, back: str) -> tuple[str, dict[str, str]]:
        return "https://store.example/", {"key": key, "policy": f"{most} {seconds}", "success_action_redirect": back}


class Portal:
    """The handler over fakes, an owner who can be reached, and what happens behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STAGE", "local")
        self.host = HOST
        self.world = World()
        self.people = People(self.world)
        self.people.contacts.set(PROJECT, OWNER)
        self.executions = Executions()
        self.rights = self._rights()
        self.consents = Consents(Catalogued(self.world.requests, "requests"))
        self.flags: list[tuple[str, str]] = []
        self.followed: list[Item] = []
        monkeypatch.setattr(privacy.handler._service, "made", self.rights)
        monkeypatch.setattr(privacy.handler._choices, "made", self._choices())
        monkeypatch.setattr(privacy.handler._who, "made", self.people.identity)
        self.terms = Terms("history")
        monkeypatch.setattr(privacy.handler, "_terms", lambda project: self.terms)
        monkeypatch.setattr(privacy.handler._imports, "made", Imports(Store(), self.world.clock, self.rights.pseudonym))

    def _rights(self) -> Rights:
        world = self.world
        links = Links(Catalogued(world.requests, "requests"), world.cases, Downloads(), world.clock)
        return Rights(
            world.cases, self.executions, world.signer, world.clock, lambda: PEPPER, links=links, asking=world.asking
        )

    def _choices(self) -> Choices:
        def flag(project: str, purpose: str) -> None:
            self.flags.append((project, purpose))

        return Choices(self.consents, self.world.clock, self.rights.pseudonym, flag, self)

    def follow(self, row: Item) -> None:
        """What follows a choice: here its receipt is signed when the test says so."""
        self.followed.append(row)

    def sign_receipts(self) -> None:
        """What the workflow of a choice does."""
        for row in self.followed:
            self.consents.note(row, receipt=seal_receipt(receipt(row), self.world.signer))
        self.followed.clear()

    def reader(self, language: str = "en") -> Reader:
        return Reader(self, language)

    def link(self, user: str) -> str:
        """A portal link for an end user, as the project gets it."""
        token, _ = self.people.identity.link(PROJECT, user)
        return f"/portal/enter?t={token}"

    def enter(self, user: str) -> Reader:
        """A browser that went in by such a link."""
        reader = self.reader()
        reader.post(reader.get(self.link(user)).form("enter"))
        return reader
