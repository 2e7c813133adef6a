"""Choices in the portal: as easy to withdraw as to give, the person's own alone, with a receipt that verifies."""

from __future__ import annotations

import json

import pytest

from chatapi.catalogue import read_policy
from chatapi.certificates import verify_receipt
from chatapi.store.consents import optional_purposes
from privacy.portal.words import LANGUAGES, words
from tests.unit.portal.reader import Form, Page, Portal
from tests.unit.privacy.world import PROJECT


def forms(page: Page) -> dict[str, Form]:
    """The form of each purpose."""
    return {form.fields["purpose"]: form for form in page.forms if "purpose" in form.fields}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_allows_a_purpose_withdraws_it_again_and_holds_the_receipt(portal: Portal, language: str) -> None:
    text, alice = words(language), portal.enter("alice")
    alice.language = language
    # given a person who has not chosen: everything is off
    page = alice.get("/portal/choices")
    assert set(forms(page)) == set(optional_purposes())
    assert text["choices.never"] in page.text.replace("&#x27;", "'")
    assert {form.fields["state"] for form in forms(page).values()} == {"granted"}
    # when they allow one, then it is on, flagged for the authorizer, and theirs alone
    page = alice.post(forms(page)["analytics"])
    assert text["choices.saved"] in page.text
    assert portal.flags == [(PROJECT, "analytics")]
    assert forms(page)["analytics"].fields["state"] == "withdrawn"
    assert {form.fields["state"] for form in forms(portal.enter("bob").get("/portal/choices")).values()} == {"granted"}
    # and the record says that the person told us, not the project
    ((row,),) = [portal.consents.all(PROJECT, each["pk"].split("#")[2], 0).values() for each in portal.followed]
    assert row["events"][-1]["by"] == "person"
    # when its receipt was signed, it is downloaded and verifies
    assert text["choices.receipt_soon"] in page.text
    assert alice.get("/portal/choices/receipt?purpose=analytics").status == 404
    portal.sign_receipts()
    file = alice.get("/portal/choices/receipt?purpose=analytics")
    assert file.headers["content-disposition"] == ['attachment; filename="receipt-analytics.json"']
    assert verify_receipt(json.loads(file.text), portal.rights.jwks()) == []
    # when they withdraw it, it is off again
    page = alice.post(forms(alice.get("/portal/choices"))["analytics"])
    assert forms(page)["analytics"].fields["state"] == "granted"


def test_what_is_not_for_choosing_cannot_be_chosen_by_a_form_that_was_changed(portal: Portal) -> None:
    alice = portal.enter("alice")
    form = forms(alice.get("/portal/choices"))["marketing"]
    assert alice.post(form, purpose="service").status == 400
    assert alice.post(form, purpose="<b>").status == 400
    assert alice.post(form, state="maybe").status == 400
    assert "<b>" not in alice.post(form, purpose="<b>").text
    assert portal.flags == []


def test_a_stranger_is_sent_to_sign_in_and_a_form_from_elsewhere_is_refused(portal: Portal) -> None:
    assert portal.reader().ask("GET", "/portal/choices", None).headers["location"] == ["/portal/sign-in"]
    alice = portal.enter("alice")
    form = forms(alice.get("/portal/choices"))["analytics"]
    assert alice.post(form, headers={"origin": "https://evil.example"}).status == 403
    assert portal.flags == []


def test_a_page_says_where_nothing_is_processed_today(portal: Portal) -> None:
    page = portal.enter("alice").get("/portal/choices")
    idle = sum(read_policy("purposes")["purposes"][name]["today"] == "nothing" for name in optional_purposes())
    assert page.text.count(words("en")["choices.nothing_today"]) == idle
