"""People as judges of a round: one click opens the comparisons, three are judged, and the round shows what was said."""

import json
import os

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Judgment, Role
from tests.annotation.browser.pages import PHONE, assert_accessible, held, submitted
from tests.training.evaluation.evaluated import make_evaluated, make_prompts, said
from tests.training.rounds import make_snapshot
from training.evaluation import gate
from training.models import BlindTest, TrainingRound

SHOTS = os.environ.get("BLIND_TEST_SHOTS")  # a folder, to look at the card


@pytest.fixture
def evaluated(settings, tmp_path, live_server):
    return evaluated_on(make_prompts(4), settings, tmp_path)


def evaluated_on(prompts, settings, tmp_path):
    """Of the last prompt, both policies say the same."""
    settings.VAR_DIR = tmp_path / "var"
    new = {prompt: f"Water boils at {90 + n} degrees." for n, prompt in enumerate(prompts)}
    old = {prompt: f"It boils when it is hot, {n}." for n, prompt in enumerate(prompts)}
    old[prompts[-1]] = new[prompts[-1]]
    return make_evaluated(tmp_path, make_snapshot(), {"new": new, "old": old})


def shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def judge_as(page, preferred, policy):
    """Say that the completion of ``policy`` is the better one; None says that they are equal."""
    task = held()
    texts = dict(task.comparison.completions.values_list("model_version", "pk"))
    letter = "AB"[task.display_order.index(texts[policy.pk])]
    words = f"{letter} better" if preferred else "= tie"
    buttons = page.locator(".scale button")
    buttons.nth([" ".join(each.split()) for each in buttons.all_inner_texts()].index(words)).click()
    page.click("[data-submit]")
    return submitted(page, task)


def test_people_compare_blindly_and_the_round_shows_what_they_said(new_page, evaluated, alice, bob):
    card = reverse("training:blind_tests", args=[evaluated.pk])
    page = new_page(alice, card)
    shot(page, "empty")
    page.get_by_role("button", name="Let people compare it with policy-0").dblclick()
    page.wait_for_selector("text=0 of 3 judgments")
    assert page.url.endswith(card)  # the card was changed in its place
    shot(page, "opened")
    assert_accessible(page)
    test = BlindTest.objects.get()

    actions.add_member(project=test.project, user=bob, role=Role.ANNOTATOR, by=alice)
    page = new_page(bob, reverse("annotation:annotate", args=[test.project.slug]))
    shot(page, "annotate")
    for preferred in (True, True, None):
        content = page.content()
        assert "policy-0" not in content
        assert "r1-dpo" not in content
        judge_as(page, preferred, evaluated.policy)
    assert Judgment.objects.filter(annotator=bob).count() == 3

    page = new_page(alice, card)
    # Two wins, a tie and a prompt that both answered alike: (1 + 1 + 0.5 + 0.5) / 4
    assert page.locator("#blind-tests strong").inner_text() == "75 %"
    assert "3 of 3 judgments" in page.locator("#blind-tests").inner_text()
    shot(page, "judged")
    assert_accessible(page)


def test_the_rounds_page_shows_no_labelled_answers_from_the_moment_the_test_is_opened(
    new_page, settings, tmp_path, live_server, alice
):
    evaluated = evaluated_on(make_prompts(7), settings, tmp_path)
    stage = evaluated.stages.get()
    stage.result = {"judge": "simulated", "win_rate": 0.736, "win_rate_low": 0.6, "win_rate_high": 0.84, "matches": []}
    stage.save(update_fields=["result"])
    row = {"prompt": [{"role": "user", "content": "When?"}], "prompt_id": "1", "old": "Then.", "new": "At 100 degrees."}
    (stage.run_dir / "judged.jsonl").write_text(json.dumps(row) + "\n")
    evaluated.recipe |= {"gate": {"min_win_rate": 0.5}}
    report = gate.judged(conditions=evaluated.recipe["gate"], evaluation=stage.result)
    TrainingRound.objects.filter(pk=evaluated.pk).update(recipe=evaluated.recipe, gate_report=report)

    page = new_page(alice, evaluated.get_absolute_url())
    assert "At 100 degrees." in page.locator("#answers").inner_text()
    page.get_by_role("button", name="Let people compare it with policy-0").click()
    page.get_by_text("Hidden until people have finished the blind test").wait_for()
    assert "At 100 degrees." not in page.content()
    assert page.locator("#answers").count() == 1
    test = BlindTest.objects.get()
    shot(page, "round-opened")
    assert_accessible(page)
    page.get_by_role("link", name="Show them, and judge none yourself").click()
    page.get_by_text("At 100 degrees.").wait_for()

    for number in range(6):
        said(test, number, "bob", "old")
    page.goto(page.url.split("?")[0])
    page.get_by_role("link", name="1 warning").click()
    assert "People prefer the old policy" in page.locator("[aria-labelledby=worth-a-look]").inner_text()
    shot(page, "round-judged")
    assert_accessible(page)


def test_the_card_fits_a_phone_in_the_dark(new_page, evaluated, alice):
    page = new_page(alice, reverse("training:blind_tests", args=[evaluated.pk]), **PHONE, color_scheme="dark")
    page.get_by_text("How many people, how many prompts").click()
    assert_accessible(page)
    page.get_by_label("People for each prompt").fill("2")
    page.get_by_role("button", name="Let people compare it with policy-0").click()
    page.wait_for_selector("text=0 of 6 judgments")
    shot(page, "phone")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
