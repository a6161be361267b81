"""Flag, skip, note and the way out of a correction: what a key or a tap means there, and where it leads back to."""

import pytest
from django.urls import reverse

from annotation.models import Flag, Judgment
from tests.annotation.browser.pages import (
    PHONE,
    assert_accessible,
    held,
    press,
    submitted,
    wait_for_next,
    wait_until_ahead,
)


def test_in_a_flag_ctrl_enter_sends_the_flag_and_not_the_answer(open_page, bob):
    page = open_page()
    press(page, "1 2 3 4 !")
    page.keyboard.type("Both are in Dutch")
    press(page, "Control+Enter")
    page.wait_for_selector("[data-status]:text-is('Flagged for the managers.')", state="attached")
    assert Flag.objects.get(raised_by=bob).note == "Both are in Dutch"
    assert not Judgment.objects.exists()


def test_in_the_reason_of_a_skip_ctrl_enter_skips(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    press(page, "1 2 3 4")
    page.locator("[data-skip-menu] summary").click()
    page.get_by_label("Another reason").fill("Not my language")
    with page.expect_response("**/skip/"):
        press(page, "Control+Enter")
        wait_for_next(page, first)
    first.refresh_from_db()
    assert (first.state, first.skip_reason) == ("skipped", "Not my language")
    assert not Judgment.objects.exists()


def test_a_flag_that_does_not_get_through_keeps_its_words(open_page):
    page = open_page()
    page.route("**/flag/", lambda route: route.abort())
    press(page, "!")
    page.keyboard.type("Both are in Dutch")
    press(page, "Control+Enter")
    page.get_by_text("The server cannot be reached. Your note is still under Flag.").wait_for()
    assert page.locator("[data-flag-menu] textarea").input_value() == "Both are in Dutch"
    assert page.locator("#connection").is_hidden()
    page.errors.clear()


@pytest.mark.parametrize("key", ["x", "!", "n"])
def test_escape_from_a_menu_leads_back_to_where_enter_submits(open_page, key):
    page = open_page(comparisons=1)
    first = held()
    press(page, f"1 2 3 4 {key} Escape")
    assert page.evaluate("document.activeElement.id") == "task-title"
    assert page.locator(".rank-bar .menu[open]").count() == 0
    press(page, "Enter")
    submitted(page, first)


def test_a_correction_leads_back_to_work_and_is_not_left_without_a_word(open_page, live_server):
    page = open_page(comparisons=2)
    first = held()
    press(page, "1 2 3 4 Enter")
    submitted(page, first)
    second = held()
    correction = live_server.url + reverse("annotation:assignment", args=[first.pk])
    page.goto(correction)
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    press(page, "]")
    page.wait_for_selector(f".is-enhanced[data-task='{second.pk}']")
    page.goto(correction)
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    press(page, "1 Escape")
    page.get_by_role("dialog", name="Leave without saving?").wait_for()
    assert_accessible(page)
    page.get_by_role("button", name="Stay here").click()
    assert page.evaluate("document.activeElement.id") == "task-title"
    page.get_by_role("link", name="Back to work").click()
    page.get_by_role("button", name="Leave it").click()
    page.wait_for_selector(f".is-enhanced[data-task='{second.pk}']")
    assert Judgment.objects.get().revision == 1


def test_on_a_phone_what_is_seldom_wanted_is_behind_more(open_page, bob):
    page = open_page(**PHONE)
    flag = page.locator("[data-flag-menu] summary")
    assert flag.is_hidden()
    page.get_by_role("button", name="More").tap()
    flag.tap()
    assert_accessible(page)
    page.get_by_label("What should a manager look at?").fill("Both are in Dutch")
    page.get_by_role("button", name="Flag it").tap()
    page.wait_for_selector("[data-status]:text-is('Flagged for the managers.')", state="attached")
    assert Flag.objects.get(raised_by=bob).note == "Both are in Dutch"


def test_a_comparison_is_flagged_without_leaving_it(open_page, bob):
    page = open_page()
    press(page, "1 !")
    page.keyboard.type("Both are in Dutch")
    page.get_by_role("button", name="Flag it").click()
    page.wait_for_selector("[data-status]:text-is('Flagged for the managers.')", state="attached")
    assert Flag.objects.get(raised_by=bob).note == "Both are in Dutch"
    assert page.locator(".board .is-ranked").count() == 1
