"""Two completions: one key or one click on a scale, in each published form."""

from annotation.models import Judgment, Project
from tests.annotation.browser.pages import (
    assert_accessible,
    held,
    judged_letters,
    press,
    submitted,
    wait_until_ahead,
)


def scale(page):
    return [" ".join(words.split()) for words in page.locator(".scale button").all_inner_texts()]


def test_of_two_completions_one_key_says_which(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "2 Shift+S")
    assert_accessible(page)
    press(page, "Enter")
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["B"], ["A"]]
    assert judgment.strengths == ["significantly_better"]


def test_enter_alone_answers_nothing(open_page):
    page = open_page(k=2, comparisons=1)
    press(page, "Enter Enter Enter Enter")
    assert page.locator(".scale [aria-pressed=true]").count() == 0
    assert page.locator("[data-missing]").inner_text() == "To do: Say which is better"
    assert not Judgment.objects.exists()


def test_an_enter_that_was_meant_for_the_task_before_does_nothing(open_page):
    page = open_page(k=2, comparisons=2)
    first = held()
    wait_until_ahead(page)
    press(page, "1")
    task, focus = page.evaluate(
        """() => {
            const enter = new KeyboardEvent("keydown", { key: "Enter", bubbles: true });
            document.activeElement.dispatchEvent(enter);
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", enter));
            return [document.querySelector("form[data-task]").dataset.task, document.activeElement.id];
        }"""
    )
    assert task != str(first.pk)
    assert focus == "task-title"  # and not on what is missing


def test_the_key_of_a_side_leaves_open_how_much_better_it_is(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "1")
    assert page.locator(".is-assumed").get_attribute("aria-label") == "A is better"
    assert "Dashed: not chosen" in page.locator("[data-missing]").inner_text()
    page.get_by_role("button", name="A is better").click()
    assert page.locator("[data-missing]").inner_text() == "Ready: Enter submits"
    press(page, "Enter")
    assert submitted(page, first).strengths == ["better"]


def test_of_two_completions_one_click_says_which_and_how_much(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    page.get_by_role("button", name="A is slightly better").click()
    page.click("[data-submit]")
    judgment = submitted(page, first)
    assert (judged_letters(judgment), judgment.strengths) == ([["A"], ["B"]], ["slightly_better"])


def test_two_completions_can_be_tied(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "= Enter")
    assert judged_letters(submitted(page, first)) == [["A", "B"]]


def test_the_button_that_was_pressed_keeps_the_focus(open_page):
    page = open_page(k=2, comparisons=1)
    page.get_by_role("button", name="B is better").focus()
    press(page, "Space")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "B is better"
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_the_scale_of_llama_2_has_four_levels_on_each_side_and_a_tie(open_page):
    words = ["significantly", "better", "slightly", "negligibly"]
    expected = [f"A {word}" for word in words] + ["= tie"] + [f"B {word}" for word in reversed(words)]
    assert scale(open_page(k=2, comparisons=1)) == expected


def test_the_scale_of_helpsteer3_runs_from_3_over_0_to_3(open_page):
    Project.objects.update(strength_scale="helpsteer3")
    page = open_page(k=2, comparisons=1, color_scheme="dark")
    first = held()
    expected = "A much, A better, A slightly, = about the same, B slightly, B better, B much"
    assert scale(page) == expected.split(", ")
    page.get_by_role("button", name="B is much better").click()
    assert_accessible(page)
    press(page, "Enter")
    judgment = submitted(page, first)
    assert (judged_letters(judgment), judgment.strengths) == ([["B"], ["A"]], ["significantly_better"])


def test_without_strength_and_ties_there_are_two_buttons(open_page):
    Project.objects.update(strength_scale="none", allow_ties=False)
    assert scale(open_page(k=2, comparisons=1)) == ["A better", "B better"]


def test_as_in_arena_both_may_be_bad(open_page):
    Project.objects.update(strength_scale="none", allow_all_bad=True)
    page = open_page(k=2, comparisons=2)
    first = held()
    assert scale(page) == ["A better", "= tie", "✕ both bad", "B better"]
    page.get_by_role("button", name="Both are bad").click()
    press(page, "Enter")
    judgment = submitted(page, first)
    assert (judged_letters(judgment), judgment.all_bad) == ([["A", "B"]], True)
    second = held()
    press(page, "0 1 Enter")  # bad, then A after all
    judgment = submitted(page, second)
    assert (judged_letters(judgment), judgment.all_bad) == ([["A"], ["B"]], False)


def test_with_strength_both_may_be_bad_beside_the_scale(open_page):
    Project.objects.update(allow_all_bad=True)
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "2")
    page.get_by_label("Both are bad").check()
    press(page, "Enter")
    judgment = submitted(page, first)
    assert (judged_letters(judgment), judgment.all_bad) == ([["B"], ["A"]], True)
