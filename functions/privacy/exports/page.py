"""The page of an export that a person reads first. Everything is escaped, nothing runs, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from chatapi.catalogue import catalogue, read_policy
from chatapi.clock import iso
from chatapi.store.cases import Case

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your data</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border:1px solid}</style>
</head><body><main>
"""
_TAIL = "</main></body></html>\n"


def page(case: Case, now: int, files: list[dict[str, Any]], recipients: Mapping[str, Mapping[str, Any]]) -> str:
    """The index as HTML: what is in the files, why, who received data, how long it is kept, where it comes from."""
    purposes = read_policy("purposes")["purposes"]
    processors = read_policy("processors")["processors"]
    contact = read_policy("rights")["controller"]
    kinds = [kind for kind in catalogue().kinds.values() if kind.export]
    parts = [
        _HEAD,
        "<h1>Your data</h1>",
        _p(f"Request {case.id}, received {iso(case.created)}, answered {iso(now)}."),
        _p("Each file's SHA-256 is in manifest.json, which is signed; 'chatapi verify FILE' checks it."),
        "<h2>Files</h2>",
        _table(
            ("File", "What is in it", "Records"),
            ([f["name"], f["what"], f["records"]] for f in files),
        ),
        "<h2>Why data is processed</h2>",
        _table(("Purpose", "What for", "Legal basis"), ([n, p["text"], p["basis"]] for n, p in purposes.items())),
        "<h2>Who received data of yours</h2>",
        _table(
            ("Recipient", "Days", "Requests", "Purpose and basis", "Categories", "Region and transfers"),
            (
                [
                    processors.get(name, {}).get("name", name),
                    f"{entry['first']} to {entry['last']}",
                    entry["requests"],
                    f"{entry['purpose']}: {entry['basis']}",
                    ", ".join(entry["categories"]),
                    _transfer(processors.get(name, {})),
                ]
                for name, entry in sorted(recipients.items())
            ),
        )
        if recipients
        else _p("Nobody, as far as our records reach back."),
        "<h2>How long it is kept</h2>",
        _table(
            ("Kind of record", "Purpose", "Days", "At an erasure"),
            ([k.name, k.purpose, k.days or "while the account lives", _end(k.erase, k.why)] for k in kinds),
        ),
        "<h2>Where it comes from</h2>",
        _p("From you: through the application whose developer uses this service, or from your own requests."),
        _p("No decision about you is made by automated means alone, and no profile is made of you."),
        "<h2>Your rights</h2>",
        _table(("Right", "What it is", "GDPR"), ([n, t["text"], t["article"]] for n, t in _types())),
        _p(contact["complain"]),
        _TAIL,
    ]
    return "\n".join(parts)


def _types() -> list[tuple[str, dict[str, str]]]:
    return list(read_policy("rights")["types"].items())


def _end(erase: str, why: str) -> str:
    return "deleted" if erase == "delete" else f"kept: {why}"


def _transfer(processor: Mapping[str, Any]) -> str:
    region = str(processor.get("region", "unknown"))
    agreement = processor.get("agreement", {}).get("text", "")
    return f"{region}; {agreement}"


def _p(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(head: Iterable[str], body: Iterable[Iterable[object]]) -> str:
    rows = ["<tr>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in head) + "</tr>"]
    rows += ["<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>" for row in body]
    return "<table>" + "".join(rows) + "</table>"
