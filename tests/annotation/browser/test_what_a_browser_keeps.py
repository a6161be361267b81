"""What lies in the browser: entries that are refused for good, drafts of two devices, nothing after signing out."""

import time

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Assignment, Judgment, Project
from sampling.models import Completion
from tests.annotation.browser.pages import drafts_saved, held, judged_letters, press, submitted, wait_until_ahead

WAITING = "[data-waiting]:not([hidden])"


@pytest.fixture
def other_project(project, open_page, bob, alice, run):
    """A second project in which Bob works, with comparisons of the same completions."""
    other = actions.create_project(name="Rivers", overlap=1, created_by=alice)
    actions.add_member(project=other, user=bob, role="annotator")
    return other


def test_an_answer_to_a_project_that_one_was_removed_from_stands_in_nobodys_way(
    open_page, other_project, project, run, bob, live_server
):
    page = open_page()
    wait_until_ahead(page)
    page.route("**/submit/", lambda route: route.abort())
    press(page, "1 2 3 4 Enter")
    page.wait_for_selector(WAITING)
    actions.open_comparisons(project=other_project, completions=run.completions.all(), k=4)
    page.goto(live_server.url + reverse("annotation:annotate", args=[other_project.slug]))
    page.wait_for_selector(f"{WAITING} >> text=1 answer waits")
    wait_until_ahead(page)  # what waits is another project's
    actions.remove_member(project=project, user=bob)
    page.unroute("**/submit/")
    page.get_by_role("button", name="Send now").click()
    notice = page.locator("[data-refused] [role=alert]")
    notice.get_by_text("You are no longer a member of this project.").wait_for()
    notice.locator("summary").click()
    assert "A better > B better > C better > D" in notice.inner_text()
    assert notice.get_by_role("link").count() == 0
    notice.get_by_role("button", name="Dismiss").click()
    notice.wait_for(state="detached")
    assert page.locator(WAITING).count() == 0
    assert not Judgment.objects.exists()
    page.errors.clear()  # the browser reports what was cut off, and the 403


def keys_of_words(page):
    return page.evaluate("Object.keys(localStorage).filter((key) => /^whetstone-(draft|outbox)-/.test(key))")


def sign_out(page):
    page.click(".user-menu summary")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_selector("[name=password]")


def test_signing_out_saves_the_draft_and_leaves_none_of_ones_words_in_the_browser(open_page):
    page = open_page()
    press(page, "1 n")
    page.keyboard.type("In confidence")
    sign_out(page)
    assert held().draft["rationale"] == "In confidence"
    assert keys_of_words(page) == []
    assert "In confidence" not in page.evaluate("JSON.stringify(localStorage)")


def test_a_draft_that_cannot_be_saved_is_not_left_behind_either_but_an_answer_is(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    page.route("**/submit/", lambda route: route.abort())
    page.route("**/draft/", lambda route: route.abort())
    press(page, "1 2 3 4 Enter")
    page.wait_for_selector(WAITING)
    page.wait_for_timeout(350)  # for so long, keys are taken for those of the task before
    press(page, "2")
    assert len(keys_of_words(page)) == 2
    sign_out(page)
    (key,) = keys_of_words(page)  # its only copy: sent when Bob is back
    assert str(first.pk) in page.evaluate(f"localStorage.getItem('{key}')")
    page.errors.clear()


def write_elsewhere(task, drafted_at, **draft):
    Assignment.objects.filter(pk=task.pk).update(draft={**draft, "drafted_at": int(drafted_at * 1000)})


@pytest.mark.parametrize(("age", "shown"), [(-3600, ["A", "B"]), (+3600, ["D"])], ids=["older", "newer"])
def test_of_two_drafts_the_newer_one_counts(open_page, age, shown):
    page = open_page()
    page.route("**/draft/", lambda route: route.abort())
    press(page, "1 2")
    write_elsewhere(held(), time.time() + age, rank_D=1)
    page.reload()
    page.wait_for_selector(".is-enhanced")
    assert page.locator(".board .is-ranked").all_inner_texts() == shown
    page.errors.clear()


def test_a_draft_says_when_it_was_written(open_page):
    page = open_page()
    before = page.evaluate("Date.now()")
    drafts_saved(page, "1")
    assert before <= held().draft["drafted_at"] <= page.evaluate("Date.now()")


def test_an_edit_begins_with_what_was_written_and_not_with_how_it_is_shown(open_page, run):
    Project.objects.update(allow_edits=True)
    page = open_page(k=2, comparisons=1)
    first = held()
    Completion.objects.filter(pk=first.display_order[0]).update(text="pay\u202elive")
    page.reload()
    press(page, "1")
    page.click("[data-edit=A]")
    assert page.input_value("[name=edit_text]") == "pay\u202elive"
    page.fill("[name=edit_text]", "pay\u202elive!")
    press(page, "Escape Enter")
    assert judged_letters(submitted(page, first)) == [["+"], ["A"], ["B"]]


def test_what_is_not_all_in_the_page_is_not_edited_there(open_page):
    Project.objects.update(allow_edits=True)
    page = open_page(k=2, comparisons=1)
    Completion.objects.filter(pk=held().display_order[0]).update(text="word " * 10_001)
    page.reload()
    page.click("[data-edit=A]")
    page.wait_for_selector("[role=alert] >> text=A is too long to be edited here")
    assert page.locator("[name=edit_text]").is_hidden()


def test_a_renewal_holds_the_task_ahead_too(open_page, project):
    """The lease is 900 seconds, renewed each 300; the clock is the page's own."""
    Project.objects.update(lease_seconds=900)
    page = open_page()
    first = held()
    page.clock.install()
    page.reload()
    wait_until_ahead(page)
    long_ago = first.created_at
    for turn in range(4):
        Assignment.objects.filter(state="held").update(leased_until=long_ago)
        page.mouse.move(200, 200 + turn)  # somebody is there
        with page.expect_response("**/renew/"):
            page.clock.fast_forward(301_000)
        assert all(lease > long_ago for lease in Assignment.objects.values_list("leased_until", flat=True))
    assert Assignment.objects.filter(state="held").count() == 2
    waiting = []
    page.route("**/submit/", lambda route: waiting.append(route))
    press(page, "1 2 3 4 Enter")  # 1,204 seconds after it was fetched, the next one is still there
    page.wait_for_selector(f"form[data-task]:not([data-task='{first.pk}'])")
    for route in waiting:
        route.continue_()
    page.clock.resume()
    submitted(page, first)
