"""A round's page in a browser: it stays where the reader is, and goes on by itself."""

import pytest
from django.urls import reverse

from tests.training import rounds
from tests.training.watching import written


@pytest.fixture
def running(tmp_path, settings):
    """A round whose DPO is in the middle of its steps."""
    settings.VAR_DIR = tmp_path / "var"
    round = rounds.launch_for_tests("r1", rounds.make_policy(tmp_path / "policy"), rounds.make_snapshot())
    written.run_stages(round, until="dpo")
    return round


def test_a_step_is_chosen_without_losing_the_place_and_stays_chosen(new_page, alice, running):
    page = new_page(alice, running.get_absolute_url())
    page.locator("#probes-title").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    page.click("#probe-12")
    page.wait_for_selector("text=At step 12 I say")
    assert page.evaluate("scrollY") == before
    assert page.url.endswith("?stage=dpo&probe=12")
    with page.expect_response(lambda response: response.url.endswith("?stage=dpo&probe=12")):
        pass  # the part asks again by itself
    page.wait_for_selector("#probe-12[aria-current=true]")
    assert page.is_visible("text=At step 12 I say")


def test_the_page_moves_on_with_the_round(new_page, alice, running):
    page = new_page(alice, running.get_absolute_url())
    assert page.is_visible(".tabs [aria-current]:text-is('DPO')")
    dpo = running.stages.get(kind="dpo")
    dpo.round = running
    dpo.move_to("pending")
    written.finish_stage(dpo)
    page.wait_for_selector(".pipeline-finished:has-text('DPO')")
    page.wait_for_selector("text=At step 60 I say")


def test_cancelling_is_asked_about_and_its_button_lives_through_the_page_drawing_itself_anew(new_page, alice, running):
    page = new_page(alice, running.get_absolute_url())
    page.evaluate("document.getElementById('cancel-round').wasThere = true")
    page.focus("#cancel-round")
    is_the_same_after_the_part_asked_again = """() => new Promise((resolve) => document.body.addEventListener(
        "htmx:afterSettle", () => resolve(document.getElementById("cancel-round").wasThere === true), {once: true}))"""
    assert page.evaluate(is_the_same_after_the_part_asked_again)
    assert page.evaluate("document.activeElement.id") == "cancel-round"
    page.press("#cancel-round", "Enter")
    page.wait_for_selector("h1:text-is('Cancel r1?')")
    page.click("text=Let it run")
    page.click("#cancel-round")
    page.click("text=Cancel the round")
    page.wait_for_selector("text=Stopping…")
    running.refresh_from_db()
    assert running.cancel_requested_at is not None


def test_rounds_are_ticked_in_the_list_and_laid_side_by_side(new_page, alice, running, tmp_path):
    other = rounds.launch_for_tests("r2", running.base_policy, running.snapshot)
    page = new_page(alice, reverse("training:rounds"))
    for name in ("r1", "r2"):
        page.get_by_label(f"Choose {name}").check()
    page.click("text=Side by side")
    page.wait_for_selector("h1:text-is('Rounds side by side')")
    assert f"round={other.pk}" in page.url
    assert f"round={running.pk}" in page.url
