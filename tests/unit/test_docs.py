"""The documents say what is there: links lead somewhere, every dependency has its reason."""

from __future__ import annotations

import re

import pytest

from tests.support.transformed import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: object) -> None:
    from pathlib import Path

    assert isinstance(page, Path)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_path_named_in_the_table_of_promises_exists() -> None:
    table = (ROOT / "README.md").read_text().partition("| promise |")[2].partition("\n\n")[0]
    for path in re.findall(r"`(tests/[^`]+)`", table):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("lock", ["layer", "runtime", "dev", "sam", "stack"])
def test_every_dependency_has_a_reason_and_no_lock_names_an_address(lock: str) -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    lines = (ROOT / "requirements" / f"{lock}.in").read_text().splitlines()
    for line in lines:
        if line and not line.startswith(("#", "-r")):
            assert re.split(r"[\[=<>~; ]", line)[0].lower() in reasons.lower(), line
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert not re.search(r"https?://|--find-links|--index-url", text)
    pinned = re.findall(r"^([a-z0-9][^ \n]*==[^ \n]+)", text, re.MULTILINE)
    assert len(pinned) == len(set(pinned)) > 0
    assert text.count("--hash=sha256:") >= len(pinned)


def test_the_suites_run_the_versions_that_ship() -> None:
    def pins(lock: str) -> set[str]:
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        return set(re.findall(r"^([a-z0-9][a-z0-9._-]*==[^ ;\n]+)", text, re.MULTILINE))

    assert pins("layer") <= pins("dev")
    assert pins("runtime") <= pins("dev")
