"""Each published way of asking, answered by keyboard and by pointer, on a light desktop and on a dark phone."""

import pytest

from annotation.models import Project
from annotation.projects.presets import PRESETS
from tests.annotation.browser.pages import PHONE, held, judged_letters, marks_by_letter, press, submitted

DESKTOP = {"color_scheme": "light"}
DARK_PHONE = {**PHONE, "color_scheme": "dark"}
SCREENS = pytest.mark.parametrize("screen", [DESKTOP, DARK_PHONE], ids=["light desktop", "dark phone"])


@pytest.fixture
def ask(open_page):
    """ask(preset, k, screen): Bob's page, with two comparisons, in a project that asks as was published."""

    def ask(preset, k, screen, **settings):
        left_out = {"completions_per_comparison", "overlap"}
        asked = {name: value for name, value in PRESETS[preset].settings.items() if name not in left_out}
        Project.objects.update(**asked | settings)
        page = open_page(k=k, comparisons=2, **screen)
        page.point = page.tap if screen is DARK_PHONE else page.click
        return page

    return ask


def by_keys(page, keys):
    task = held()
    press(page, keys)
    return submitted(page, task)


def by_pointer(page, *selectors):
    page.wait_for_selector("form.is-enhanced:not([inert])")
    task = held()
    for selector in selectors:
        page.point(selector)
    page.point("[data-submit]")
    return submitted(page, task)


@SCREENS
def test_llama_2_helpfulness(ask, screen):
    page = ask("llama2-helpfulness", 2, screen)
    judgment = by_keys(page, "2 Shift+S Enter")
    assert (judged_letters(judgment), judgment.strengths) == ([["B"], ["A"]], ["significantly_better"])
    judgment = by_pointer(page, "[aria-label='A is slightly better']")
    assert (judged_letters(judgment), judgment.strengths) == ([["A"], ["B"]], ["slightly_better"])


@SCREENS
def test_llama_2_safety(ask, screen):
    page = ask("llama2-safety", 2, screen)
    marks = marks_by_letter(by_keys(page, "1 y u Enter"))
    assert (marks["A"]["safety"], marks["B"]["safety"]) == ("safe", "unsafe")
    judgment = by_pointer(
        page, "[data-letter=A] .step:has([value=unsafe])", "[data-letter=B] .step:has([value=safe])",
        "[aria-label='B is better']",
    )  # fmt: skip
    assert judged_letters(judgment) == [["B"], ["A"]]
    marks = marks_by_letter(judgment)
    assert (marks["A"]["safety"], marks["B"]["safety"]) == ("unsafe", "safe")


@SCREENS
def test_instructgpt(ask, screen):
    page = ask("instructgpt", 4, screen)
    quality = "j m 7 Escape"  # the next completion, its first mark, the highest step
    judgment = by_keys(page, f"3 1 = 4 2 {quality} {quality} {quality} {quality} Enter")
    assert judged_letters(judgment) == [["C"], ["A", "D"], ["B"]]
    assert {mark["aspects"]["overall_quality"] for mark in marks_by_letter(judgment).values()} == {7}
    fold = "[data-letter=B] [data-fold]"
    unfolded = [fold] if page.locator(fold).count() else []
    judgment = by_pointer(
        page, *(f"[data-letter={letter}] .step:has([value='2'])" for letter in "ABCD"),
        *unfolded, "[data-letter=B] [data-mark=defects] label:has-text('Hallucination')",
        "[data-pick=D]", "[data-pick=B]", "[data-tie=A]", ".tray [data-chip=C]",
    )  # fmt: skip
    assert judged_letters(judgment) == [["D"], ["A", "B"], ["C"]]
    assert marks_by_letter(judgment)["B"] == {"aspects": {"overall_quality": 2}, "defects": ["hallucination"]}


@SCREENS
def test_helpsteer3(ask, screen):
    page = ask("helpsteer3", 2, screen)
    first = held()
    press(page, "= n")
    page.keyboard.type("Both say it.")
    press(page, "Control+Enter")
    judgment = submitted(page, first)
    assert (judged_letters(judgment), judgment.rationale) == ([["A", "B"]], "Both say it.")
    second = held()
    page.point("[aria-label='B is much better']")
    page.point("[data-note] summary")
    page.fill("[name=rationale]", "B says more.")
    page.point("[data-submit]")
    judgment = submitted(page, second)
    assert (judged_letters(judgment), judgment.strengths) == ([["B"], ["A"]], ["significantly_better"])


@SCREENS
def test_arena(ask, screen):
    page = ask("arena", 2, screen)
    judgment = by_keys(page, "0 Enter")
    assert (judged_letters(judgment), judgment.all_bad) == ([["A", "B"]], True)
    judgment = by_pointer(page, "[aria-label='A is better']")
    assert (judged_letters(judgment), judgment.all_bad) == ([["A"], ["B"]], False)


@SCREENS
def test_a_ranking_with_strengths_all_bad_and_a_better_answer(ask, screen):
    page = ask("arena", 3, screen, strength_scale="llama2", allow_edits=True)
    first = held()
    press(page, "2 s 1 3 0 j Shift+E")  # on A
    page.keyboard.type("Better: ")
    press(page, "Escape Enter")
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["B"], ["+"], ["A"], ["C"]]
    assert judgment.all_bad
    second = held()
    for letter in "CBA":
        page.point(f".tray [data-chip={letter}]")
    page.select_option("[data-gap='0']", "negligibly_better")
    page.point("[data-edit=B]")
    page.fill("[name=edit_text]", "Mine.")
    page.point("[data-edit-done]")
    page.point("[data-submit]")
    assert judged_letters(submitted(page, second)) == [["C"], ["+"], ["B"], ["A"]]
