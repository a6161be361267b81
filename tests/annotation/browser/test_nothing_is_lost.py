"""No waiting and nothing lost: the next task lies ready, and an answer waits in the browser until it has arrived."""

from django.urls import reverse

from annotation import actions
from annotation.models import Assignment, AssignmentState, Judgment, Project, Slot
from tests.annotation.browser.pages import (
    assert_accessible,
    drafts_saved,
    held,
    judged_letters,
    press,
    submitted,
    wait_for_next,
    wait_until_ahead,
    wait_until_saved,
)

WAITING = "[data-waiting]:not([hidden])"


def test_the_next_task_is_there_before_the_answer_has_arrived(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    sent = []
    page.route("**/submit/", lambda route: sent.append(route))  # answered by nobody yet
    press(page, "1 2 3 4 Enter")
    wait_for_next(page, first)
    assert page.evaluate("document.activeElement.id") == "task-title"
    assert not Judgment.objects.exists()
    page.wait_for_selector("text=Sending…")
    for route in sent:
        route.continue_()
    submitted(page, first)


def test_an_answer_waits_for_the_connection_and_is_sent_once(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    page.context.set_offline(True)
    press(page, "2 1 3 4 Enter")
    wait_for_next(page, first)
    page.wait_for_selector(f"{WAITING} >> text=1 answer waits for the connection")
    assert not Judgment.objects.exists()
    page.context.set_offline(False)
    assert judged_letters(submitted(page, first)) == [["B"], ["A"], ["C"], ["D"]]
    page.wait_for_selector("[data-waiting]", state="hidden")
    assert Judgment.objects.count() == 1
    page.errors.clear()  # the browser reports what this test cut off


def test_an_answer_that_arrived_unheard_is_sent_again_and_counts_once(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    page.route("**/submit/", lambda route: (route.fetch(), route.abort()), times=1)  # kept, but nobody was told
    press(page, "1 2 3 4 Enter")
    page.wait_for_selector(WAITING)
    page.get_by_role("button", name="Send now").click()
    submitted(page, first)
    assert Judgment.objects.count() == 1
    page.errors.clear()


def test_offline_without_a_task_ahead_the_answer_stays_until_it_is_sent(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    press(page, "1 2 3 4")
    page.context.set_offline(True)
    press(page, "Enter")
    wait_for_next(page, first)
    second = Assignment.objects.exclude(pk=first.pk).get()
    press(page, "4 3 2 1 Enter")  # nothing was fetched ahead of this one
    page.wait_for_selector(f"{WAITING} >> text=2 answers wait")
    assert page.locator("form[data-task]").get_attribute("data-task") == str(second.pk)
    page.context.set_offline(False)
    wait_for_next(page, second)
    assert [judged_letters(each)[0] for each in Judgment.objects.order_by("pk")] == [["A"], ["D"]]
    page.errors.clear()


def test_an_unsent_answer_survives_a_closed_tab(open_page, live_server, project):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    page.route("**/submit/", lambda route: route.abort())
    press(page, "3 1 2 4 Enter")
    page.wait_for_selector(WAITING)
    context = page.context
    page.close()
    assert not Judgment.objects.exists()
    later = context.new_page()
    later.goto(live_server.url + reverse("annotation:annotate", args=[project.slug]))
    wait_for_next(later, first)
    assert judged_letters(Judgment.objects.get(assignment=first)) == [["C"], ["A"], ["B"], ["D"]]
    page.errors.clear()


def test_an_answer_is_never_sent_for_another_user(open_page, live_server, project, alice, client):
    page = open_page()
    wait_until_ahead(page)
    page.route("**/submit/", lambda route: route.abort())
    press(page, "1 2 3 4 Enter")
    page.wait_for_selector(WAITING)
    page.unroute("**/submit/")
    client.force_login(alice)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    page.context.add_cookies([session])
    page.get_by_role("button", name="Send now").click()
    page.wait_for_selector(f"{WAITING} >> text=signed in again as before")
    other = page.context.new_page()
    other.goto(live_server.url + reverse("annotation:annotate", args=[project.slug]))
    other.wait_for_selector(".is-enhanced")
    assert other.locator(WAITING).count() == 0
    assert not Judgment.objects.exists()
    page.errors.clear()


def test_after_signing_in_again_elsewhere_the_answer_goes_out(open_page, live_server):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    drafts_saved(page, "1 2 3 4")
    page.context.clear_cookies(name="sessionid")
    press(page, "Enter")
    page.wait_for_selector(f"{WAITING} >> text=signed in again")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    other = opened.value
    other.fill("[name=username]", "bob")
    other.fill("[name=password]", "bob's password")
    other.click("main button")
    other.wait_for_url("**/")
    page.bring_to_front()
    page.get_by_role("button", name="Send now").click()
    assert judged_letters(submitted(page, first)) == [["A"], ["B"], ["C"], ["D"]]
    page.errors.clear()  # the browser reports the 401


def lose_lease(task, project, alice):
    Slot.objects.filter(pk=task.slot_id).update(free_from=task.created_at)
    actions.claim_next(project=project, annotator=alice)


def test_a_lost_lease_is_said_with_what_was_answered(open_page, project, alice):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    drafts_saved(page, "1 2 3 4")
    lose_lease(first, project, alice)
    press(page, "Enter")
    notice = page.locator("[data-refused] [role=alert]")
    notice.wait_for()
    assert "another annotator has this comparison now" in notice.inner_text()
    notice.locator("summary").click()
    assert "A better > B better > C better > D" in notice.inner_text()
    notice.get_by_role("button", name="Dismiss").click()
    notice.wait_for(state="detached")
    page.errors.clear()  # the browser reports the 409


def test_a_lost_lease_is_said_while_the_answer_stays(open_page, project, alice):
    page = open_page(comparisons=1)
    first = held()
    drafts_saved(page, "1 2 3 4")
    lose_lease(first, project, alice)
    press(page, "Enter")
    page.wait_for_selector("#task [role=alert]:not([hidden])")
    assert "another annotator has this comparison now" in page.locator("#task").inner_text()
    assert page.locator(".board .is-ranked").count() == 4
    page.errors.clear()


def test_an_answer_that_was_refused_can_be_opened_and_mended(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    press(page, "1 2 3 4")
    Project.objects.update(rationale="required")  # changed by a manager meanwhile
    press(page, "Enter")
    notice = page.locator("[data-refused] [role=alert]")
    notice.wait_for()
    assert "Say why" in notice.inner_text()
    assert page.locator(".task-progress").inner_text().startswith("0 of 3 done by you")
    assert_accessible(page)
    notice.get_by_role("link", name="Open that answer").click()
    page.wait_for_selector(f"form.is-enhanced[data-task='{first.pk}']")
    assert page.locator(".board .is-ranked").count() == 4
    press(page, "n")
    page.keyboard.type("Because.")
    press(page, "Control+Enter")
    assert submitted(page, first).rationale == "Because."
    page.wait_for_selector("[data-refused] [role=alert]", state="detached")
    page.errors.clear()


def test_a_double_click_is_one_judgment(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    press(page, "1 2 3 4")
    page.dblclick("[data-submit]")
    wait_until_saved(page, first)
    assert Judgment.objects.count() == 1
    assert Assignment.objects.filter(state=AssignmentState.SUBMITTED).count() == 1


def test_an_answer_that_was_on_its_way_when_the_page_was_reloaded_arrives(open_page):
    page = open_page(comparisons=1)  # so that the page stays on it
    first = held()
    page.route("**/submit/", lambda route: route.abort())
    press(page, "4 3 2 1 Enter")
    page.wait_for_selector(WAITING)
    page.reload()
    page.wait_for_selector(WAITING)
    assert page.locator(".board .is-ranked").all_inner_texts() == ["D", "C", "B", "A"]
    page.unroute("**/submit/")
    page.get_by_role("button", name="Send now").click()
    page.wait_for_selector("text=Nothing to rank right now")
    assert judged_letters(Judgment.objects.get(assignment=first)) == [["D"], ["C"], ["B"], ["A"]]
    page.errors.clear()
