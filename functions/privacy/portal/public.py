"""The pages that everybody may read: what this is, the policy with the state of each promise, verifying, developers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from chatapi.catalogue import POLICY, read_policy
from privacy.portal.markup import Html, el, many
from privacy.portal.shell import Answer, page
from privacy.portal.visit import Visit

SECTIONS = ("ENC", "SHR", "RGT", "COL", "MSG", "USE", "SEC", "XFR", "DPO", "POL", "RET", "REC")
_STATES = ("kept", "partly", "open")


def home(visit: Visit) -> Answer:
    """What the portal is for, and the ways in."""
    say = visit.say
    ways = (("requests" if visit.session else "sign-in", "rights"), ("policy", "policy"), ("verify", "verify"))
    cards = (
        el(
            "li",
            el("h2", el("a", say(f"home.{name}_title"), href=visit.url(path))),
            el("p", say(f"home.{name}_text")),
        )
        for path, name in (*ways, ("developers", "developers"))
    )
    steps = (el("li", say(f"home.step{number}")) for number in (1, 2, 3))
    return page(
        visit,
        say("home.title"),
        el("p", say("home.lead"), class_="lead"),
        el("ul", cards, class_="cards"),
        el("h2", say("home.how")),
        el("ol", steps, class_="steps"),
        _gpc(visit),
        el("p", _officer(visit), class_="note"),
    )


def policy(visit: Visit) -> Answer:
    """The policy in plain words: each promise, its article, and whether it is kept."""
    say, promises = visit.say, read_policy("commitments")
    counts = {state: sum(entry["state"] == state for entry in promises.values()) for state in _STATES}
    summary = (
        el("li", _badge(visit, state), " ", say(f"policy.{state}_text", count=counts[state])) for state in _STATES
    )
    versions = read_policy("versions")
    return page(
        visit,
        say("policy.title"),
        el("p", say("policy.lead"), class_="lead"),
        el("ul", summary, class_="summary"),
        *_sections(visit),
        el("h2", say("policy.text_title")),
        el("p", say("policy.text_lead", version=versions["current"])),
        el("p", _officer(visit)),
        el("details", el("summary", say("policy.text_show")), _document(versions)),
    )


def verify(visit: Visit) -> Answer:
    """Check a certificate or a receipt in this browser; without a script, the page says how on a command line."""
    say = visit.say
    steps = (el("li", say(f"verify.step{number}")) for number in (1, 2, 3))
    told = ("valid", "valid_choice", "invalid", "unreadable", "no_keys", "checking")
    texts = {"data_" + name: say(f"verify.{name}") for name in told}
    return page(
        visit,
        say("verify.title"),
        el("p", say("verify.lead"), class_="lead"),
        el("ol", steps, class_="steps"),
        el("p", say("verify.no_script"), id="no-script", class_="message info"),
        el(
            "form",
            el("div", el("label", say("verify.file"), for_="certificate"), _file("certificate"), class_="field"),
            el(
                "details",
                el("summary", say("verify.offline")),
                el("p", say("verify.offline_text"), id="keys-note", class_="note"),
                el("div", el("label", say("verify.keys"), for_="keys"), _file("keys", "keys-note"), class_="field"),
            ),
            el("div", id="verdict", role="status", aria_live="polite"),
            id="check",
            data_jwks=f"{visit.base}/.well-known/jwks.json",
            hidden=True,
            **texts,
        ),
        el("h2", say("verify.shell_title")),
        el("p", say("verify.shell_text")),
        el("pre", el("code", "chatapi verify certificate.json --jwks jwks.json"), dir="ltr", tabindex="0"),
        script="verify.js",
    )


def developers(visit: Visit) -> Answer:
    """Where a project's people find keys, usage, retention and their end users' rights."""
    say = visit.say
    topics = (
        ("usage", el("a", say("developers.usage_link"), href=visit.url("usage"))),
        ("keys", el("a", say("developers.keys_link"), href=visit.url("keys"))),
        ("retention", el("code", "store: true", dir="ltr")),
        ("rights", el("code", "POST /v1/privacy/requests", dir="ltr")),
        ("links", el("code", "POST /v1/privacy/sessions", dir="ltr")),
    )
    rows = (
        el(
            "div",
            el("dt", say(f"developers.{name}_title")),
            el("dd", el("p", say(f"developers.{name}_text")), el("p", what)),
        )
        for name, what in topics
    )
    return page(
        visit,
        say("developers.title"),
        el("p", say("developers.lead"), class_="lead"),
        el("dl", rows, class_="topics"),
        el("h2", say("developers.terms_title")),
        el("p", say("developers.terms_lead")),
        _terms(visit),
        el("p", el("a", say("developers.openapi"), href=f"{visit.base}/openapi.json")),
    )


def _terms(visit: Visit) -> Html:
    """How long each kind of record lives: from policy/retention.toml itself."""
    days = read_policy("retention")["days"]
    shown = ("completion", "conversation", "response", "day", "usage", "case", "contact")
    rows = (
        el("tr", el("th", visit.say(f"kinds.{kind}"), scope="row"), el("td", days[kind], class_="number"))
        for kind in shown
    )
    head = el(
        "tr",
        el("th", visit.say("developers.kind"), scope="col"),
        el("th", visit.say("developers.days"), scope="col", class_="number"),
    )
    table = el("table", el("caption", visit.say("developers.terms_caption")), el("thead", head), el("tbody", rows))
    return el(
        "div", table, class_="scroll", role="region", tabindex="0", aria_label=visit.say("developers.terms_title")
    )


def _sections(visit: Visit) -> Iterator[Html]:
    ordered = sorted(read_policy("commitments").items(), key=lambda item: (SECTIONS.index(item[0][:3]), item[0]))
    for prefix, entries in groupby(ordered, key=lambda item: item[0][:3]):
        yield el("h2", visit.say(f"sections.{prefix}"))
        yield el(
            "ul",
            (_promise(visit, number, entry["state"], entry.get("gap")) for number, entry in entries),
            class_="promises",
        )


def _promise(visit: Visit, number: str, state: str, gap: str | None) -> Html:
    return el(
        "li",
        el("div", el("span", visit.say(f"promises.{number}")), el("code", number, class_="number", dir="ltr")),
        _badge(visit, state),
        # What is missing is written by engineers, in English, beside the promise in policy/commitments.toml.
        el("p", visit.say("policy.gap"), " ", el("span", gap, lang="en", dir="ltr"), class_="note") if gap else None,
    )


def _badge(visit: Visit, state: str) -> Html:
    return el("span", visit.say(f"policy.{state}"), class_=f"badge {state}")


def _document(versions: dict[str, dict[str, dict[str, str]]]) -> Html:
    """The published text, word for word; it is in English."""
    text = (POLICY / versions["versions"][str(versions["current"])]["document"]).read_text(encoding="utf-8")
    return el("div", (el("p", line) for line in text.splitlines() if line), class_="document", lang="en", dir="ltr")


def _officer(visit: Visit) -> Html:
    controller = read_policy("rights")["controller"]
    developer = el("a", el("bdi", controller["developer"]), href=controller["website"])
    officer = el("bdi", controller["officer"], dir="ltr")
    return many(visit.say("home.officer"), " ", officer, " · ", visit.say("home.developer"), " ", developer)


def _gpc(visit: Visit) -> Html | None:
    return el("p", visit.say("home.gpc"), class_="message info") if visit.gpc else None


def _file(name: str, note: str | None = None) -> Html:
    return el("input", type="file", id=name, accept=".json,application/json", aria_describedby=note)
