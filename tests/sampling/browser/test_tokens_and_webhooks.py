"""Tokens and webhooks in a browser, on a phone: what is shown once can be copied, and long addresses fit."""

import pytest
from django.urls import reverse

from sampling.models import Event
from sampling.webhooks import actions
from tests.annotation.browser.pages import PHONE, assert_accessible


def assert_fits(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_a_token_is_made_and_shown_once(new_page, alice):
    page = new_page(alice, reverse("sampling:api_token_new"), **PHONE)
    page.fill("#id_name", "notebook " + "long" * 20)
    page.click("button:text-is('Make the token')")
    page.wait_for_selector("#new-token")
    assert page.input_value("#new-token").startswith("wst_")
    assert_accessible(page)
    assert_fits(page)
    page.click("a:text-is('Done')")
    assert page.locator("tbody tr").count() == 1
    assert_fits(page)


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_a_webhook_with_a_long_address_begins_with_its_deliveries_and_fits(new_page, live_server, alice, options):
    url = f"https://example.org/{'long' * 40}"
    webhook = actions.create_webhook(url=url, events=[Event.ROUND_FINISHED], created_by=alice)
    page = new_page(alice, webhook.get_absolute_url(), **options)
    assert page.evaluate("[scrollY, document.activeElement.tagName]") == [0, "BODY"]
    assert_fits(page)
    page.click("a:text-is('Delete')")
    page.wait_for_selector("h1:text-is('Delete this webhook?')")
    assert_fits(page)
    page.goto(live_server.url + reverse("sampling:webhooks"))
    assert_fits(page)
