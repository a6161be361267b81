"""The page around the ranking: conversation, layout, guidelines, comparing, flags, keys, blindness, accessibility."""

import pytest
from django.db import connection
from django.urls import reverse

from annotation import actions
from annotation.models import Comparison, Judgment, Membership, Project
from tests.annotation.browser.pages import (
    PHONE,
    assert_accessible,
    held,
    press,
    submitted,
    wait_for_next,
    wait_until_ahead,
    wait_until_saved,
)

LONG_CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    *({"role": role, "content": f"{role} says {n}."} for n in range(1, 6) for role in ("user", "assistant")),
    {"role": "user", "content": "And the last question?"},
]


def test_of_a_long_conversation_the_end_is_in_sight_and_the_rest_one_click_away(open_page, write, project):
    actions.open_comparisons(project=project, completions=write(messages=LONG_CONVERSATION), k=4)
    page = open_page(comparisons=1)
    turns = page.locator(".turn .prose")
    assert turns.get_by_text("And the last question?").is_visible()
    assert turns.get_by_text("user says 2.").is_hidden()
    page.get_by_role("button", name="turns before").click()
    assert turns.get_by_text("user says 2.").is_visible()
    assert page.locator(".turn-role").all_inner_texts()[:3] == ["SYSTEM", "USER", "ASSISTANT"]


def test_the_columns_are_chosen_and_kept(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    press(page, "l")
    assert page.locator(".answers").get_attribute("data-columns") == "1"
    boxes = [card.bounding_box() for card in page.locator(".answer").all()]
    assert len({box["x"] for box in boxes}) == 1
    press(page, "1 2 3 4 Enter")
    wait_for_next(page, first)
    assert page.locator(".answers").get_attribute("data-columns") == "1"


def test_raw_text_is_shown_on_demand_and_for_the_next_task_too(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    assert page.get_by_text("It is **Paris**, of course.").is_hidden()
    press(page, "r")
    assert page.get_by_text("It is **Paris**, of course.").is_visible()
    assert page.locator("[data-raw]").get_attribute("aria-pressed") == "true"
    assert_accessible(page)
    press(page, "1 2 3 4 Enter")
    wait_for_next(page, first)
    assert page.get_by_text("It is **Paris**, of course.").is_visible()


def test_two_completions_are_compared_word_by_word(open_page):
    page = open_page(k=2, comparisons=1)
    press(page, "d")  # no completion has that letter here
    dialog = page.locator("dialog#compare")
    dialog.get_by_text("A against B").wait_for()
    assert dialog.locator("ins").count() > 0
    assert_accessible(page)
    dialog.locator("[name=a]").select_option("B")
    dialog.get_by_text("Choose two different completions.").wait_for()
    press(page, "1 2")
    press(page, "Escape")
    assert dialog.is_hidden()
    assert page.locator(".scale [aria-pressed=true]").count() == 0


def test_a_letter_that_a_completion_has_needs_shift_for_anything_else(open_page):
    page = open_page()
    press(page, "d")
    assert page.locator(".board .group").all_inner_texts() == ["D"]
    press(page, "Shift+D")
    page.locator("dialog#compare").get_by_text("A against B").wait_for()


def test_new_guidelines_are_open_until_they_are_read(open_page, project, bob):
    page = open_page(viewport={"width": 1280, "height": 900})
    first = held()
    wait_until_ahead(page)
    assert page.get_by_text("Please read them before you go on.").is_visible()
    assert_accessible(page)
    page.get_by_role("button", name="I have read this").click()
    page.get_by_text("Please read them before you go on.").wait_for(state="detached")
    assert Membership.objects.get(user=bob).guidelines_read == project.guidelines_version
    press(page, "g")
    assert page.get_by_text("Prefer truth.").is_hidden()
    press(page, "1 2 3 4 Enter")
    wait_for_next(page, first)
    assert page.get_by_text("Prefer truth.").is_hidden()


def test_what_changed_in_the_guidelines_is_shown(open_page, project, bob):
    membership = Membership.objects.get(user=bob)
    actions.mark_guidelines_read(project=project, user=bob, version=project.guidelines_version)
    actions.publish_guidelines(project=project, text="Prefer *truth* to flattery.", by=None)
    page = open_page(comparisons=1, color_scheme="dark", **PHONE)
    assert page.locator(".guidelines ins").inner_text().strip() == "to flattery"
    assert_accessible(page)
    page.get_by_role("button", name="I have read this").tap()
    page.get_by_text("They have changed").wait_for(state="detached")
    membership.refresh_from_db()
    assert membership.guidelines_read.number == 2


def test_new_guidelines_are_folded_after_the_first_answer(open_page):
    page = open_page()
    first = held()
    wait_until_ahead(page)
    assert page.get_by_text("Prefer truth.").is_visible()
    press(page, "1 2 3 4 Enter")
    wait_for_next(page, first)
    assert page.get_by_text("Prefer truth.").is_hidden()
    assert page.locator("[data-guidelines] summary [data-new]").inner_text() == "new"


def test_the_bar_covers_nothing_and_the_text_does_not_move_from_task_to_task(open_page, write, project):
    actions.open_comparisons(project=project, completions=write(["long " * 900, "longer " * 900], prompts=2), k=2)
    page = open_page(path=reverse("annotation:annotate", args=[project.slug]), comparisons=0, k=2)
    first = held()
    wait_until_ahead(page)
    bar = page.locator(".rank-bar").bounding_box()
    more = page.locator("[data-more]").first.bounding_box()
    assert more["y"] + more["height"] <= bar["y"]
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    top = page.locator(".answers").bounding_box()["y"]
    press(page, "1 Enter")
    wait_until_saved(page, first)
    assert page.locator(".answers").bounding_box()["y"] == top


def test_the_help_names_what_the_project_asks_and_keys_do_not_rank_below_it(open_page):
    Project.objects.update(allow_ties=False, strength_scale="none", ask_safety=True)
    page = open_page()
    press(page, "?")
    dialog = page.locator("dialog#keys")
    assert dialog.is_visible()
    assert "safe, or unsafe" in dialog.inner_text()
    assert "tie" not in dialog.inner_text()
    assert "how much better" not in dialog.inner_text()
    assert_accessible(page)
    press(page, "1 2")
    press(page, "Escape")
    assert not dialog.is_visible()
    assert page.locator(".board .is-ranked").count() == 0


def test_a_note_is_kept_and_typing_it_ranks_nothing(open_page):
    page = open_page()
    first = held()
    press(page, "n")
    page.keyboard.type("1 2 because = s")
    press(page, "Escape 1 2 3 4 Enter")
    assert submitted(page, first).rationale == "1 2 because = s"


def test_where_no_note_is_asked_there_is_none(open_page):
    Project.objects.update(rationale="off")
    page = open_page(comparisons=1)
    first = held()
    assert page.locator("[data-note]").count() == 0
    press(page, "n 1 2 3 4 Enter")
    assert submitted(page, first).rationale == ""


def test_after_the_last_one_the_page_says_so(open_page):
    page = open_page(comparisons=1)
    press(page, "1 2 3 4 Enter")
    page.wait_for_selector("text=Nothing to rank right now")
    assert_accessible(page)


def test_after_a_training_item_comes_the_feedback_and_then_the_work(open_page, project, write):
    page_of = open_page  # three comparisons, of which one becomes a training item
    actions.open_comparisons(project=project, completions=write(), k=4)
    item = Comparison.objects.earliest("pk")
    item.slots.all().delete()
    ids = list(item.completions.order_by("pk").values_list("pk", flat=True))
    Comparison.objects.filter(pk=item.pk).update(purpose="training", known_ranking=[[pk] for pk in ids])
    page = page_of(comparisons=1)
    first = held()
    assert first.comparison_id == item.pk
    assert page.locator("[data-session]").get_attribute("data-ahead") != "ready"
    press(page, "1 2 3 4 Enter")
    page.get_by_role("link", name="Go on").wait_for()
    assert_accessible(page)
    assert page.locator(".feedback-answer").count() == 4
    page.wait_for_selector("[data-go-on=ready]")  # never wait_for_function: it evals, which the page's policy forbids
    press(page, "Enter")
    page.wait_for_selector(".is-enhanced")
    assert Judgment.objects.get().assignment == first


def test_which_model_wrote_what_is_nowhere_in_what_the_browser_gets(open_page, run):
    run.policies.update(name="secret-policy")
    with connection.cursor() as cursor:  # an id that nothing else in the page looks like
        cursor.execute("SELECT setval(pg_get_serial_sequence('sampling_completion', 'id'), 76543000)")
    bodies = []
    page = open_page()
    wait_until_ahead(page)  # or its answer would come among those after the reload
    page.on("response", lambda response: "/static/" not in response.url and bodies.append(response))
    page.reload()
    wait_until_ahead(page)
    for body in (response.text() for response in bodies):
        assert "secret-policy" not in body
        assert "76543" not in body
    assert any(response.url.endswith("/ahead/") for response in bodies)


HOSTILE = [
    "<script>document.title = 'mine'</script><svg onload=\"document.title='mine'\"><img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) <a href='javascript:alert(1)'>here</a> \u202egnihtyreve\u202c",
    "x" * 300_000,
    "word " * 400_000,
]


def test_hostile_and_huge_completions_are_harmless_and_can_be_ranked(open_page, write, project):
    actions.open_comparisons(project=project, completions=write(HOSTILE), k=4)
    page = open_page(comparisons=1)
    first = held()
    title = page.title()
    assert page.locator(".answer script, .answer svg, .answer img, .answer a[href^='javascript']").count() == 0
    press(page, "r 1 2 3 4")
    assert "[U+202E]" in page.locator("pre.raw").all_inner_texts().__str__()
    press(page, "r Enter")
    submitted(page, first)
    assert page.title() == title


def test_the_theme_is_kept(open_page):
    page = open_page()
    page.click(".user-menu summary")
    page.click("[data-theme-toggle]")
    page.click("[data-theme-toggle]")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("k", [2, 3])
def test_the_page_is_accessible_in_a_review_and_in_a_correction(open_page, new_page, k):
    page = open_page(k=k, comparisons=1)
    first = held()
    press(page, "1 2 3 Enter")
    submitted(page, first)
    page.goto(page.url.split("/projects/")[0] + reverse("annotation:assignment", args=[first.pk]))
    page.wait_for_selector(".is-enhanced >> text=Save correction")
    assert_accessible(page)
