"""The ranking page in a real browser: Debian's chromium against the live server."""

import os
from pathlib import Path

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Assignment, AssignmentState, Judgment, Project, Slot

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is absent: install Debian's chromium"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    # Playwright's loop runs in this thread, which Django takes for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def open_page(browser, live_server, project, write, client, bob):
    """open_page(**context options): Bob's ranking page, with three comparisons waiting."""
    opened = []

    def open_page(path=None, comparisons=3, k=4, **options):
        actions.open_comparisons(project=project, completions=write(prompts=comparisons), k=k)
        client.force_login(bob)
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context.add_cookies([session])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
        opened.append((context, page))
        page.goto(live_server.url + (path or reverse("annotation:annotate", args=[project.slug])))
        return page

    yield open_page
    for context, page in opened:
        assert page.errors == []
        context.close()


def held():
    return Assignment.objects.get(state=AssignmentState.HELD)


def judged_letters(judgment):
    """The judgment's groups by the letters that its annotator saw."""
    letters = dict(zip(judgment.assignment.display_order, "ABCDEFGH", strict=False))
    return [sorted(letters[pk] for pk in group) for group in judgment.ranking]


def press(page, keys):
    for key in keys.split():
        page.keyboard.press(key)


def wait_for_next(page, before):
    page.wait_for_selector(f"form[data-task]:not([data-task='{before.pk}'])")


def test_a_comparison_is_ranked_with_the_keyboard_alone(open_page):
    page = open_page()
    first = held()
    press(page, "3 1 = 4 2 s Enter")
    wait_for_next(page, first)
    judgment = Judgment.objects.get()
    assert judged_letters(judgment) == [["C"], ["A", "D"], ["B"]]
    # s weakens the newest gap, between the tie and B: "better" became "slightly better".
    assert judgment.strengths == ["better", "slightly_better"]
    assert judgment.seconds_spent >= 0
    assert page.locator(".task-progress").inner_text().startswith("1 of 3 done by you")
    press(page, "1 2 3 4 Enter")  # the next one takes keys at once
    page.wait_for_selector("text=2 of 3 done by you")


def test_letters_backspace_and_picking_again_correct_a_ranking(open_page):
    page = open_page()
    press(page, "a b Backspace c")  # A > C
    press(page, "a d b a")  # A off, then C > D > B > A
    assert page.locator(".board").inner_text().count("better") > 0
    press(page, "Enter")
    page.wait_for_selector("text=1 of 3 done by you")
    assert judged_letters(Judgment.objects.get()) == [["C"], ["D"], ["B"], ["A"]]


def test_an_arrow_marks_the_gap_whose_strength_changes(open_page):
    page = open_page()
    first = held()
    press(page, "1 2 3 4 ArrowLeft ArrowLeft Shift+S Enter")
    wait_for_next(page, first)
    assert Judgment.objects.get().strengths == ["significantly_better", "better", "better"]


def test_enter_does_nothing_while_a_completion_has_no_rank(open_page):
    page = open_page()
    press(page, "1 2 Enter")
    assert "C, D not ranked yet" in page.locator("[data-status]").inner_text()
    assert page.locator("[data-submit]").is_disabled()
    assert not Judgment.objects.exists()


def test_a_comparison_is_ranked_by_clicks(open_page):
    page = open_page()
    first = held()
    page.click("[data-pick=B]")
    page.click("[data-pick=D]")
    page.click("[data-tie=A]")
    page.click(".tray [data-chip=C]")
    page.select_option("[data-gap='0']", "significantly_better")
    page.click("[data-submit]")
    wait_for_next(page, first)
    judgment = Judgment.objects.get()
    assert judged_letters(judgment) == [["B"], ["A", "D"], ["C"]]
    assert judgment.strengths == ["significantly_better", "better"]


def drag(page, letter, target):
    chip = page.locator(f".board [data-chip={letter}]").bounding_box()
    page.mouse.move(chip["x"] + 10, chip["y"] + 10)
    page.mouse.down()
    page.mouse.move(chip["x"] + 30, chip["y"] + 5)  # far enough to be a drag; the places to drop open up
    box = page.locator(f"[data-drop='{target}']").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()


def test_a_comparison_is_ranked_by_dragging(open_page):
    page = open_page()
    first = held()
    drag(page, "D", "gap:0")  # D
    drag(page, "A", "gap:1")  # D > A
    drag(page, "B", "gap:0")  # B > D > A
    drag(page, "C", "group:1")  # B > D = C > A
    drag(page, "A", "gap:0")  # A > B > D = C
    page.click("[data-submit]")
    wait_for_next(page, first)
    assert judged_letters(Judgment.objects.get()) == [["A"], ["B"], ["C", "D"]]


def test_a_finger_ranks_on_a_phone(open_page):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    first = held()
    for letter in "DCBA":
        page.tap(f".tray [data-chip={letter}]")
    page.tap("[data-submit]")
    wait_for_next(page, first)
    assert judged_letters(Judgment.objects.get()) == [["D"], ["C"], ["B"], ["A"]]


@pytest.mark.parametrize("k", [2, 4])
def test_nothing_sticks_out_of_a_phones_screen(open_page, write, project, k):
    long = ["x" * 3000, "| a |" * 60 + "\n" + "|---|" * 60, "```\n" + "y" * 500 + "\n```", "$$" + "a+" * 300 + "b$$"]
    actions.open_comparisons(project=project, completions=write(long), k=k)
    page = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, k=k)
    press(page, "1 2 3 4")
    width, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert (width, screen) == (390, 390)


def test_of_two_completions_one_key_says_which(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "2 Shift+S Enter")
    wait_for_next(page, first)
    judgment = Judgment.objects.get()
    assert judged_letters(judgment) == [["B"], ["A"]]
    assert judgment.strengths == ["significantly_better"]


def test_of_two_completions_one_click_says_which_and_how_much(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    page.get_by_role("button", name="A is slightly better").click()
    page.click("[data-submit]")
    wait_for_next(page, first)
    judgment = Judgment.objects.get()
    assert (judged_letters(judgment), judgment.strengths) == ([["A"], ["B"]], ["slightly_better"])


def test_two_completions_can_be_tied(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "= Enter")
    wait_for_next(page, first)
    assert judged_letters(Judgment.objects.get()) == [["A", "B"]]


def test_a_draft_survives_a_reload(open_page):
    page = open_page()
    with page.expect_response(lambda response: response.url.endswith("/draft/")):
        press(page, "2 4 s")
    board = page.locator(".board").inner_text()
    page.reload()
    assert page.locator(".board").inner_text() == board
    press(page, "1 3 Enter")
    page.wait_for_selector("text=1 of 3 done by you")
    judgment = Judgment.objects.get()
    assert judged_letters(judgment) == [["B"], ["D"], ["A"], ["C"]]
    assert judgment.strengths[0] == "slightly_better"


def test_a_double_click_is_one_judgment(open_page):
    page = open_page()
    first = held()
    press(page, "1 2 3 4")
    page.dblclick("[data-submit]")
    wait_for_next(page, first)
    page.wait_for_timeout(300)
    assert Judgment.objects.count() == 1


def test_skipping_by_keyboard_gives_the_next_one(open_page):
    page = open_page()
    first = held()
    press(page, "k Enter")
    wait_for_next(page, first)
    first.refresh_from_db()
    assert (first.state, first.skip_reason) == ("skipped", "I cannot judge this")


def test_a_note_is_kept_and_typing_it_ranks_nothing(open_page):
    page = open_page()
    first = held()
    press(page, "n")
    page.keyboard.type("1 2 because = s")
    press(page, "Escape 1 2 3 4 Enter")
    wait_for_next(page, first)
    assert Judgment.objects.get().rationale == "1 2 because = s"


def test_when_the_server_cannot_be_reached_the_answer_stays_and_can_be_sent_again(open_page):
    page = open_page()
    first = held()
    press(page, "1 2 3 4")
    page.route("**/submit/", lambda route: route.abort())
    press(page, "Enter")
    page.wait_for_selector("[data-failure]:not([hidden])")
    assert "Your answer is still here" in page.locator("[data-failure]").inner_text()
    page.unroute("**/submit/")
    press(page, "Enter")
    wait_for_next(page, first)
    assert judged_letters(Judgment.objects.get()) == [["A"], ["B"], ["C"], ["D"]]
    page.errors.clear()  # the browser reports the request that this test cut off


def test_after_signing_in_again_elsewhere_the_answer_can_still_be_sent(open_page, live_server):
    page = open_page()
    first = held()
    press(page, "1 2 3 4")
    page.wait_for_timeout(900)  # the draft is saved
    page.context.clear_cookies(name="sessionid")
    press(page, "Enter")
    page.wait_for_selector("text=You are signed out")
    other = page.context.new_page()
    other.goto(live_server.url + reverse("login"))
    other.fill("[name=username]", "bob")
    other.fill("[name=password]", "bob's password")
    other.click("main button")
    other.wait_for_url("**/")
    page.bring_to_front()
    press(page, "Enter")
    wait_for_next(page, first)
    assert judged_letters(Judgment.objects.get()) == [["A"], ["B"], ["C"], ["D"]]
    page.errors.clear()  # the browser reports the 401


def test_a_lost_lease_is_said_while_the_answer_stays(open_page, project, alice):
    page = open_page()
    first = held()
    Slot.objects.filter(pk=first.slot_id).update(free_from=first.created_at)
    press(page, "1 2 3 4")
    page.wait_for_timeout(900)  # the draft is saved
    actions.claim_next(project=project, annotator=alice)
    press(page, "Enter")
    page.wait_for_selector("[role=alert]:not([hidden])")
    assert "another annotator has this comparison now" in page.locator("#task").inner_text()
    assert page.locator(".board .is-ranked").count() == 4
    page.errors.clear()  # the browser reports the 409


def test_after_the_last_one_the_page_says_so(open_page):
    page = open_page(comparisons=1)
    press(page, "1 2 3 4 Enter")
    page.wait_for_selector("text=Nothing to rank right now")
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    press(page, "1 1 Enter")  # A off, and on again: now the last
    page.wait_for_url("**/annotate/?done=*")
    judgment = Judgment.objects.current().get()
    assert judgment.revision == 2
    assert judged_letters(judgment) == [["B"], ["C"], ["D"], ["A"]]


def test_the_help_opens_and_keys_do_not_rank_below_it(open_page):
    page = open_page()
    press(page, "?")
    assert page.locator("dialog#keys").is_visible()
    press(page, "1 2")
    press(page, "Escape")
    assert not page.locator("dialog#keys").is_visible()
    assert page.locator(".board .is-ranked").count() == 0


def test_where_ties_are_not_allowed_none_can_be_made(open_page, project):
    Project.objects.update(allow_ties=False)
    page = open_page()
    press(page, "1 = 2")
    assert page.locator(".board .group").count() == 2
    assert page.locator("[data-tie]").count() == 0


def test_raw_text_is_shown_on_demand(open_page):
    page = open_page()
    assert page.get_by_text("It is **Paris**, of course.").is_hidden()
    press(page, "r")
    assert page.get_by_text("It is **Paris**, of course.").is_visible()


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


def test_the_theme_is_kept(open_page):
    page = open_page()
    page.click(".user-menu summary")
    page.click("[data-theme-toggle]")
    page.click("[data-theme-toggle]")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
