"""Drafts survive, one can go back and forth between one's answers, and all of it works without a script too."""

from django.urls import reverse

from annotation.models import Judgment
from tests.annotation.browser.pages import (
    drafts_saved,
    held,
    judged_letters,
    press,
    submitted,
    wait_for_next,
    wait_until_ahead,
    wait_until_saved,
)


def test_a_draft_survives_a_reload(open_page):
    page = open_page()
    first = held()
    drafts_saved(page, "2 4 s")
    board = page.locator(".board").inner_text()
    page.reload()
    assert page.locator(".board").inner_text() == board
    press(page, "1 3 Enter")
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["B"], ["D"], ["A"], ["C"]]
    assert judgment.strengths[0] == "slightly_better"


def test_a_draft_that_never_reached_the_server_survives_a_closed_tab(open_page):
    page = open_page()
    page.route("**/draft/", lambda route: route.abort())
    press(page, "2 4 n")
    page.keyboard.type("Because")
    context, address = page.context, page.url
    page.close()
    assert held().draft is None
    later = context.new_page()
    later.goto(address)
    assert later.locator(".board .is-ranked").all_inner_texts() == ["B", "D"]
    assert later.input_value("[name=rationale]") == "Because"
    page.errors.clear()


def test_skipping_by_keyboard_gives_the_next_one(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    with page.expect_response("**/skip/"):
        press(page, "x Enter")
        wait_for_next(page, first)
    first.refresh_from_db()
    assert (first.state, first.skip_reason) == ("skipped", "I cannot judge this")


def test_skipping_with_words_of_ones_own(open_page):
    page = open_page(comparisons=1)
    first = held()
    press(page, "x")
    page.fill("[name=reason][maxlength]", "It is in Dutch")
    press(page, "Enter")
    page.wait_for_selector("text=Nothing to rank right now")
    first.refresh_from_db()
    assert first.skip_reason == "It is in Dutch"


def test_back_through_ones_own_answers_once_they_have_arrived(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    press(page, "1 2 3 4 Enter [")  # back at once, while the answer is on its way
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    assert page.locator("form[data-task]").get_attribute("data-task") == str(first.pk)
    press(page, "1 1 Enter")  # A off, and on again: now the last
    page.wait_for_url("**/annotate/?done=*")
    judgment = Judgment.objects.current().get()
    assert judgment.revision == 2
    assert judged_letters(judgment) == [["B"], ["C"], ["D"], ["A"]]


def test_after_a_task_that_was_opened_by_its_own_address_a_reload_shows_the_newest(open_page, live_server):
    page = open_page()
    first = held()
    page.goto(live_server.url + reverse("annotation:assignment", args=[first.pk]))
    wait_until_ahead(page)
    press(page, "1 2 3 4 Enter")
    wait_until_saved(page, first)
    second = held()
    page.reload()
    page.wait_for_selector(f"form[data-task='{second.pk}']")


def test_it_works_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    first = held()
    for letter, rank in zip("ABCD", "2134", strict=True):
        page.select_option(f"[name=rank_{letter}]", rank)
    page.select_option("[name=strength_2]", "negligibly_better")
    page.click("[data-submit]")
    page.wait_for_selector("text=1 of 3 done by you")
    judgment = Judgment.objects.get()
    assert judgment.assignment == first
    assert judged_letters(judgment) == [["B"], ["A"], ["C"], ["D"]]
    assert judgment.strengths == ["better", "negligibly_better", "better"]
