"""Whom to ask is written down once: the pages, the API's description and the published policy say the same (DPO-3)."""

from __future__ import annotations

import json

from chatapi.catalogue import POLICY, read_policy
from tests.support.transformed import ROOT
from tests.unit.portal.reader import Portal


def test_the_developers_contact_on_the_page_is_the_apis_and_the_policys(portal: Portal) -> None:
    controller = read_policy("rights")["controller"]
    described = json.loads((ROOT / "functions/privacy/openapi.json").read_text())["info"]["contact"]
    assert described == {"name": controller["developer"], "url": controller["website"]}
    versions = read_policy("versions")
    text = (POLICY / versions["versions"][versions["current"]]["document"]).read_text(encoding="utf-8")
    for path in ("/portal", "/portal/policy"):
        page = portal.reader().get(path)
        for part in (controller["developer"], controller["officer"]):
            assert part in page.text
            assert part in text
        assert controller["website"] in page.links
        assert controller["website"].removeprefix("https://") in text
