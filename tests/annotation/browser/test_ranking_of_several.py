"""Rankings of three and more: by keyboard, by mouse, by dragging and with a finger, with ties and strengths."""

import pytest

from annotation import actions
from annotation.models import Judgment, Project
from tests.annotation.browser.pages import PHONE, assert_accessible, held, judged_letters, press, submitted


def test_a_comparison_is_ranked_with_the_keyboard_alone(open_page):
    page = open_page()
    first = held()
    press(page, "3 1 = 4 2 s Enter")
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["C"], ["A", "D"], ["B"]]
    # s weakens the newest gap, between the tie and B: "better" became "slightly better".
    assert judgment.strengths == ["better", "slightly_better"]
    assert judgment.seconds_spent >= 0
    assert page.locator(".task-progress").inner_text().startswith("1 of 3 done by you")
    second = held()
    press(page, "1 2 3 4 Enter")  # the next one takes keys at once
    submitted(page, second)
    assert page.locator(".task-progress").inner_text().startswith("2 of 3 done by you")


def test_letters_backspace_and_picking_again_correct_a_ranking(open_page):
    page = open_page()
    first = held()
    press(page, "a b Backspace c")  # A > C
    press(page, "a d b a")  # A off, then C > D > B > A
    assert page.locator(".board").inner_text().count("better") > 0
    press(page, "Backspace Backspace Shift+Backspace Shift+Backspace")  # two back and forth again
    press(page, "Enter")
    assert judged_letters(submitted(page, first)) == [["C"], ["D"], ["B"], ["A"]]


def test_an_arrow_marks_the_gap_whose_strength_changes(open_page):
    page = open_page()
    first = held()
    press(page, "1 2 3 4 ArrowLeft ArrowLeft Shift+S Enter")
    assert submitted(page, first).strengths == ["significantly_better", "better", "better"]


def test_enter_leads_to_what_is_missing_while_a_completion_has_no_rank(open_page):
    page = open_page()
    press(page, "1 2 Enter")
    assert "Rank C, D first" in page.locator("[data-status]").inner_text()
    assert page.locator("[data-missing]").inner_text() == "To do: Rank C, D"
    assert page.locator("[data-submit]").is_disabled()
    assert page.evaluate("'board' in document.activeElement.dataset")  # and on no letter, which Enter would press
    press(page, "Enter Enter 4")
    assert page.locator("[data-missing]").inner_text() == "To do: Rank C"
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
    judgment = submitted(page, first)
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
    assert judged_letters(submitted(page, first)) == [["A"], ["B"], ["C", "D"]]


def test_an_empty_board_takes_a_drop_anywhere(open_page):
    page = open_page()
    chip = page.locator(".tray [data-chip=C]").bounding_box()
    board = page.locator(".board").bounding_box()
    page.mouse.move(chip["x"] + 10, chip["y"] + 10)
    page.mouse.down()
    page.mouse.move(board["x"] + board["width"] / 2, board["y"] + 5, steps=4)  # on the hint: no place of its own
    page.mouse.up()
    assert page.locator(".board .group").all_inner_texts() == ["C"]


def test_a_strength_that_nobody_chose_is_shown_as_such(open_page):
    page = open_page(k=3, comparisons=1)
    first = held()
    press(page, "1 2 3")
    gaps = page.locator("[data-gap]")
    assert [gap.evaluate("each => each.selectedOptions[0].text") for gap in gaps.all()] == ["better?", "better?"]
    assert "Dashed: not chosen, “better” counts" in page.locator("[data-missing]").inner_text()
    gaps.first.select_option("better")
    assert [gap.evaluate("each => each.selectedOptions[0].text") for gap in gaps.all()] == ["better", "better?"]
    press(page, "Escape Enter")
    assert submitted(page, first).strengths == ["better", "better"]


def test_a_finger_ranks_on_a_phone(open_page):
    page = open_page(**PHONE)
    first = held()
    for letter in "DCBA":
        page.tap(f".tray [data-chip={letter}]")
    assert_accessible(page)
    page.tap("[data-submit]")
    assert judged_letters(submitted(page, first)) == [["D"], ["C"], ["B"], ["A"]]


def test_nine_are_ranked_by_their_digits(open_page):
    page = open_page(k=9, comparisons=1)
    first = held()
    press(page, "9 8 7 6 5 4 3 2 1")
    assert_accessible(page)
    press(page, "Enter")
    assert judged_letters(submitted(page, first)) == [[letter] for letter in "IHGFEDCBA"]


def test_where_no_strength_is_asked_none_is_shown(open_page):
    Project.objects.update(strength_scale="none")
    page = open_page(k=3, comparisons=1)
    first = held()
    press(page, "1 2 3 s")
    assert page.locator(".board select").count() == 0
    assert "no strength" in page.locator("[data-status]").inner_text()
    press(page, "Enter")
    assert submitted(page, first).strengths == ["better", "better"]


def test_where_ties_are_not_allowed_none_can_be_made(open_page):
    Project.objects.update(allow_ties=False)
    page = open_page()
    press(page, "1 = 2")
    assert page.locator(".board .group").count() == 2
    assert page.locator("[data-tie]").count() == 0


def test_several_may_all_be_bad_without_any_rank(open_page):
    Project.objects.update(allow_all_bad=True)
    page = open_page(comparisons=1)
    first = held()
    press(page, "2 0 Enter")  # B is least bad; what has no rank is tied below it
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["B"], ["A", "C", "D"]]
    assert judgment.all_bad


@pytest.mark.parametrize("k", [2, 4])
def test_nothing_sticks_out_of_a_phones_screen(open_page, write, project, k):
    Project.objects.update(
        allow_edits=True, allow_all_bad=True, ask_safety=True, rationale="required", show_length=True,
        aspects=[{"key": "a", "label": "Antidisestablishmentarianism", "lowest": -5, "highest": 5}],
        defects=[{"key": "d", "label": "Does not follow what the user has asked for in so many words"}],
    )  # fmt: skip
    long = ["x" * 3000, "| a |" * 60 + "\n" + "|---|" * 60, "```\n" + "y" * 500 + "\n```", "$$" + "a+" * 300 + "b$$"]
    actions.open_comparisons(project=project, completions=write(long), k=k)
    page = open_page(k=k, **PHONE)
    press(page, "1 2 3 4")
    width, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert (width, screen) == (390, 390)
