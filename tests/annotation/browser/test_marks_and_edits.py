"""What stands beside the ranking: safety, aspects, defects, a reason, a better answer of one's own."""

import pytest

from annotation.models import Project
from sampling.models import Completion
from tests.annotation.browser.pages import (
    PHONE,
    assert_accessible,
    held,
    judged_letters,
    marks_by_letter,
    press,
    submitted,
)

ASPECTS = [
    {"key": "helpfulness", "label": "Helpfulness", "lowest": 0, "highest": 4, "low_label": "none", "high_label": "all"},
    {"key": "tone", "label": "Tone", "lowest": -1, "highest": 1},
]
DEFECTS = [{"key": "invented", "label": "Invents things"}, {"key": "rude", "label": "Rude"}]


@pytest.fixture
def asks_everything(project):
    Project.objects.update(
        ask_safety=True, aspects=ASPECTS, defects=DEFECTS, rationale="required", allow_all_bad=True, allow_edits=True,
        show_length=True,
    )  # fmt: skip


@pytest.mark.usefixtures("asks_everything")
def test_everything_is_answered_with_the_keyboard_alone(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "1")
    assert page.locator("[data-missing]").inner_text() == "To do: Safety · Helpfulness · Tone · Say why"
    press(page, "y u")  # A is safe, B is not
    press(page, "k m 4 1")  # back to A and into its marks: helpfulness 4, the first step of tone
    press(page, "2")  # and its second defect
    press(page, "Enter")  # to what is missing: B's helpfulness
    press(page, "0 3 Escape n")
    page.keyboard.type("A says it.")
    assert_accessible(page)
    press(page, "Control+Enter")
    judgment = submitted(page, first)
    assert marks_by_letter(judgment) == {
        "A": {"safety": "safe", "aspects": {"helpfulness": 4, "tone": -1}, "defects": ["rude"]},
        "B": {"safety": "unsafe", "aspects": {"helpfulness": 0, "tone": 1}, "defects": []},
    }
    assert judgment.rationale == "A says it."


@pytest.mark.usefixtures("asks_everything")
def test_everything_is_answered_by_clicks(open_page):
    page = open_page(k=2, comparisons=1)
    first = held()
    for letter in "AB":
        card = page.locator(f"[data-letter={letter}]")
        card.get_by_text("unsafe", exact=True).click()
        card.locator("[data-name=Helpfulness]").get_by_text("2").click()
        card.locator("[data-name=Tone]").get_by_text("0").click()
        card.get_by_text("Invents things").click()
    page.get_by_role("button", name="B is better").click()
    page.locator("[data-note] summary").click()
    page.fill("[name=rationale]", "B")
    page.click("[data-submit]")
    mark = {"safety": "unsafe", "aspects": {"helpfulness": 2, "tone": 0}, "defects": ["invented"]}
    assert marks_by_letter(submitted(page, first)) == {"A": mark, "B": mark}


@pytest.mark.usefixtures("asks_everything")
def test_on_a_dark_phone_every_control_is_large_and_accessible(open_page):
    page = open_page(k=2, comparisons=1, color_scheme="dark", **PHONE)
    assert_accessible(page)
    small = page.evaluate(
        """[...document.querySelectorAll("#ranking :is(button, summary, .step, .toggle, select), .task-tools .btn")]
        .filter(each => each.checkVisibility() && !each.matches(".missing"))
        .filter(each => each.getBoundingClientRect().height < 39.5).map(each => each.outerHTML)"""
    )
    assert small == []


@pytest.mark.usefixtures("asks_everything")
def test_undo_takes_back_the_newest_step_be_it_a_mark_or_a_rank(open_page):
    page = open_page(k=3, comparisons=1)
    rude = page.locator("[data-letter=A] [name=defects_A][value=rude]")
    press(page, "1 2 3 j y")
    rude.check()
    press(page, "Escape Backspace")
    assert not rude.is_checked()
    assert page.locator("[data-status]").inner_text() == "Taken back: A, Defects."
    press(page, "Backspace")
    assert page.locator("[data-mark=safety] :checked").count() == 0
    assert page.locator(".board .group").all_inner_texts() == ["A", "B", "C"]
    press(page, "Backspace Shift+Backspace Shift+Backspace Shift+Backspace")
    assert rude.is_checked()
    assert page.locator(".board .group").all_inner_texts() == ["A", "B", "C"]


def test_a_long_list_of_defects_has_digits_and_on_a_phone_is_folded(open_page):
    Project.objects.update(defects=[{"key": f"d{n}", "label": f"Defect {n}"} for n in range(1, 12)])
    page = open_page(k=2, comparisons=1)
    page.locator("[name=defects_B]").first.focus()
    press(page, "0")  # the tenth
    assert page.locator("[name=defects_B]:checked").get_attribute("value") == "d10"
    assert_accessible(page)
    page.set_viewport_size(PHONE["viewport"])
    page.reload()
    card = page.locator("[data-letter=A]")
    fold = card.locator("[data-fold]")
    assert fold.get_attribute("aria-expanded") == "false"
    assert card.get_by_text("Defect 3").is_hidden()
    fold.click()
    card.get_by_text("Defect 3").click()
    assert fold.inner_text().split()[-1] == "(1)"
    assert_accessible(page)


def edit_of(judgment):
    return Completion.objects.get(written_by=judgment.annotator)


def test_a_better_answer_ranks_just_above_what_it_edits(open_page):
    Project.objects.update(allow_edits=True)
    page = open_page()
    first = held()
    press(page, "2 1 j Shift+E")  # on A, the second best
    assert page.locator("[data-missing]").inner_text() == "To do: Rank C, D · Change your better A"
    page.fill("[name=edit_text]", "Paris. It always was.")
    assert_accessible(page)
    press(page, "Escape 3 4 Enter")
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["B"], ["+"], ["A"], ["C"], ["D"]]
    edit = edit_of(judgment)
    assert (edit.text, edit.edit_of_id) == ("Paris. It always was.", first.display_order[0])


def test_a_better_answer_moves_up_but_never_below_what_it_edits(open_page):
    Project.objects.update(allow_edits=True)
    page = open_page(k=3, comparisons=1)
    first = held()
    press(page, "1 2 3")
    page.click("[data-edit=C]")
    page.fill("[name=edit_text]", "Mine.")
    page.get_by_role("button", name="Done").click()
    groups = page.locator(".board .group")
    assert groups.all_inner_texts() == ["A", "B", "C+", "C"]
    page.drag_and_drop("[data-chip=edit]", "[data-drop='gap:4']")
    assert groups.all_inner_texts() == ["A", "B", "C+", "C"]
    assert "ranks above C" in page.locator("[data-status]").inner_text()
    page.drag_and_drop("[data-chip=edit]", "[data-drop='gap:0']")
    assert groups.all_inner_texts() == ["C+", "A", "B", "C"]
    press(page, "Enter")
    assert judged_letters(submitted(page, first)) == [["+"], ["A"], ["B"], ["C"]]


def test_a_better_answer_can_be_taken_away_and_brought_back(open_page):
    Project.objects.update(allow_edits=True)
    page = open_page(k=2, comparisons=1)
    first = held()
    press(page, "2 Shift+E")
    page.fill("[name=edit_text]", "Mine.")
    page.get_by_role("button", name="Take it away").click()
    assert page.locator(".scale").is_visible()
    press(page, "Backspace")
    assert page.locator(".board .group").all_inner_texts() == ["B+", "B", "A"]
    press(page, "Enter")
    judgment = submitted(page, first)
    assert judged_letters(judgment) == [["+"], ["B"], ["A"]]
    assert edit_of(judgment).text == "Mine."


def test_a_better_answer_and_its_place_are_in_the_draft_and_in_the_correction(open_page):
    Project.objects.update(allow_edits=True)
    page = open_page(k=3, comparisons=1)
    first = held()
    press(page, "1 2 3 j Shift+E")
    with page.expect_response(lambda response: response.url.endswith("/draft/")):
        page.fill("[name=edit_text]", "Mine.")
    page.reload()
    assert page.locator(".board .group").all_inner_texts() == ["A+", "A", "B", "C"]
    press(page, "Enter")
    submitted(page, first)
    page.get_by_role("link", name="Correct it").click()
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    assert page.locator(".board .group").all_inner_texts() == ["A+", "A", "B", "C"]
    assert page.input_value("[name=edit_text]") == "Mine."


def test_how_long_a_completion_is_shows_only_where_the_project_wants_it(open_page):
    page = open_page()
    assert page.locator(".answer-words").count() == 0
    Project.objects.update(show_length=True)
    page.reload()
    assert page.locator(".answer-pick .answer-words").all_inner_texts()[0].endswith(("word", "words"))
