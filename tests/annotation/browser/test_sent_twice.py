"""An answer that is changed after it was sent, or in another tab: what the page calls saved is what was kept."""

from django.urls import reverse

from annotation.models import Judgment
from tests.annotation.browser.pages import held, judged_letters, press, submitted, wait_until_ahead, wait_until_saved
from tests.annotation.judged import judge, make_comparison, make_project


def lose_the_reply(page):
    """The next answer is kept, but nobody is told."""
    page.route("**/submit/", lambda route: (route.fetch(), route.abort()), times=1)


def wait_until_unreachable(page):
    page.wait_for_selector("[data-failure]:not([hidden]) >> text=The server cannot be reached")


def current():
    return Judgment.objects.current().get()


def open_correction(page, task):
    page.goto(page.url.split("/projects/")[0] + reverse("annotation:assignment", args=[task.pk]))
    page.wait_for_selector(".is-enhanced >> text=Save correction")


def test_a_correction_that_is_changed_after_it_arrived_unheard_is_kept_as_it_was_last(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "1 Enter")
    submitted(page, first)
    open_correction(page, first)
    lose_the_reply(page)
    press(page, "2 Enter")
    wait_until_unreachable(page)
    assert judged_letters(current()) == [["B"], ["A"]]
    press(page, "= Enter")
    page.wait_for_url("**/annotate/?done=*")
    assert (judged_letters(current()), current().revision) == ([["A", "B"]], 3)
    page.errors.clear()  # the browser reports what this test cut off


def test_a_change_that_was_never_sent_is_back_after_a_reload_and_replaces_what_arrived_unheard(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "1 Enter")
    submitted(page, first)
    open_correction(page, first)
    lose_the_reply(page)
    press(page, "2 Enter")
    wait_until_unreachable(page)
    press(page, "=")
    page.reload()
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    assert page.locator(".scale [aria-pressed=true]").get_attribute("aria-label") == "Tie"
    press(page, "Enter")
    page.wait_for_url("**/annotate/?done=*")
    assert (judged_letters(current()), current().revision) == ([["A", "B"]], 3)
    page.errors.clear()


def test_an_answer_that_this_browser_cannot_keep_may_be_changed_and_sent_again(open_page):
    page = open_page(k=2, comparisons=1)
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    lose_the_reply(page)
    press(page, "1 Enter")
    wait_until_unreachable(page)
    press(page, "2 Enter")
    page.wait_for_selector("text=Nothing to rank right now")
    assert (judged_letters(current()), current().revision) == ([["B"], ["A"]], 2)
    page.errors.clear()


def test_a_reviewers_decision_that_arrived_unheard_and_was_changed_is_the_changed_one(new_page, alice):
    comparison = make_comparison(make_project(), ["Fruit and sugar.", "A traffic jam."])
    judge(comparison, "bob", [[0], [1]])
    judge(comparison, "eve", [[1], [0]])
    page = new_page(alice, reverse("annotation:comparison", args=[comparison.pk]))
    page.get_by_role("button", name="Decide").click()
    page.wait_for_selector("form.is-enhanced")
    lose_the_reply(page)
    press(page, "1 Enter")
    wait_until_unreachable(page)
    page.get_by_role("button", name="Tie", exact=True).click()
    page.get_by_role("button", name="Decide").click()
    page.wait_for_url("**" + reverse("annotation:comparison", args=[comparison.pk]))
    decision = Judgment.objects.current().get(is_decision=True)
    assert (judged_letters(decision), decision.annotator) == ([["A", "B"]], alice)
    page.errors.clear()


def test_what_two_tabs_say_of_one_task_is_never_overwritten_unseen(open_page):
    page = open_page()
    first = held()
    other = page.context.new_page()
    other.goto(page.url)
    wait_until_ahead(page)
    wait_until_ahead(other)
    press(page, "1 2 3 4 Enter")
    wait_until_saved(page, first)
    press(other, "4 3 2 1 Enter")
    notice = other.locator("[data-refused] [role=alert]")
    notice.get_by_text("You answered this differently in another tab").wait_for()
    assert judged_letters(current()) == [["A"], ["B"], ["C"], ["D"]]
    notice.get_by_role("link", name="Open that answer").click()
    other.wait_for_selector(".is-enhanced >> text=Save correction")
    assert other.locator(".board .is-ranked").all_inner_texts() == ["D", "C", "B", "A"]
    press(other, "Enter")
    other.wait_for_url("**/annotate/?done=*")
    assert (judged_letters(current()), current().revision) == ([["D"], ["C"], ["B"], ["A"]], 2)
    page.errors.clear()


def test_a_stale_tab_that_shows_no_other_task_meanwhile_says_so_in_place(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector(".is-enhanced")
    press(page, "1 Enter")
    submitted(page, first)
    press(other, "2 Enter")
    other.wait_for_selector("[role=alert] >> text=Save once more to replace it")
    assert judged_letters(current()) == [["A"], ["B"]]
    other.get_by_role("button", name="Save correction").click()
    other.wait_for_url("**/annotate/?done=*")
    assert judged_letters(current()) == [["B"], ["A"]]
    page.errors.clear()
