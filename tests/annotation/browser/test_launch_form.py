"""The launch form in a browser: what stands beside it follows the fields, and the check of the data."""

from unittest.mock import patch

import pytest
from django.urls import reverse

from tests.annotation.browser.pages import PHONE, assert_accessible
from tests.training import checks
from tests.training.rounds import make_policy, make_snapshot
from training import actions
from training.models import TrainingRound
from training.running import round_plan


@pytest.fixture
def form(new_page, alice, tmp_path, settings, monkeypatch):
    settings.VAR_DIR = tmp_path / "var"
    monkeypatch.setattr(round_plan, "program_of", checks.program)
    monkeypatch.setattr("sampling.program_runs.HEARTBEAT_SECONDS", 0.1)
    make_policy(tmp_path / "policy")
    make_snapshot()
    with patch("training.tasks.run_check.delay"), patch("training.tasks.run_round.delay"):
        page = new_page(alice, reverse("training:round_new"), **PHONE)
        page.select_option("#id_recipe", "smoke")
        page.wait_for_selector("#estimate:has-text('Every stage')")
        page.select_option("#id_base_policy", label="base")
        yield page


def test_the_check_shows_what_it_finds_without_the_form_being_lost(form):
    checks.order("problems")
    form.fill("#id_name", "my-round")
    form.click("#check-button")
    form.wait_for_selector("text=Waiting for a worker")
    actions.execute_check(check=checks.only_one())
    form.wait_for_selector("#estimate:has-text('Only 3 pairs remain; DPO needs 16.')")  # by itself
    assert form.input_value("#id_name") == "my-round"
    assert_accessible(form)
    form.click("text=Launch the round")
    form.wait_for_selector(".errorlist:has-text('Only 3 pairs remain; DPO needs 16.')")
    form.errors.clear()  # the browser logs the 422
    assert not TrainingRound.objects.exists()


def test_a_wrong_change_is_told_beside_it_and_the_panel_follows_the_right_one(form):
    form.fill("#id_changes", "dpo.bta = 1")
    form.click("#check-button")
    form.wait_for_selector(".errorlist:has-text('Did you mean \"beta\"')")
    form.fill("#id_changes", "sft.batch = 8")
    form.press("#id_changes", "Tab")
    form.wait_for_selector("#estimate:has-text('SFT on what was kept 8 = 2 x 4 a step')")


def test_a_check_is_cancelled_from_the_panel(form):
    form.click("#check-button")
    form.click("text=Cancel the check")
    form.wait_for_selector("text=It was cancelled.")
    assert checks.only_one().state == "cancelled"
