"""What a round was told, and what of it was changed."""

import pytest

from tests.training.watching.conftest import page
from training.watching import recipe_values

pytestmark = pytest.mark.django_db
BETA = "0.1"  # training/recipes/smoke.toml


@pytest.fixture
def changed(launch):
    return launch("changed", recipe="smoke", changes={"dpo": {"beta": 0.2}})


def test_a_change_says_what_the_file_says(changed):
    assert [str(change) for change in recipe_values.changes_of(changed)] == [f"dpo.beta = 0.2 (was {BETA})"]


def test_what_older_rounds_are_stored_with_and_does_nothing_makes_no_difference(changed):
    changed.schedule["dpo"]["lora_rank"] = 16
    assert [str(change) for change in recipe_values.changes_of(changed)] == [f"dpo.beta = 0.2 (was {BETA})"]


def test_a_file_that_says_something_else_today_is_not_believed(changed):
    changed.schedule["sft"]["epochs"] = 99
    assert [str(change) for change in recipe_values.changes_of(changed)] == ["dpo.beta = 0.2"]


def test_a_file_that_is_not_one_of_ours_is_not_looked_for(whole):
    assert [str(change) for change in recipe_values.changes_of(whole)] == ["dpo.rounds = all"]


def test_a_recipe_that_was_written_down_whole_has_no_changes(whole):
    whole.recipe_name = "blank"
    assert recipe_values.changes_of(whole) == []
    assert recipe_values.change_count(whole) == 0


def test_values_that_do_nothing_are_told_apart(changed):
    changed.recipe["dpo"]["lora_rank"] = 16  # as rounds of before were stored
    dpo = next(told for told in recipe_values.told(changed) if told.label == "DPO")
    assert "lora_rank" in [value.key for value in dpo.unread]
    assert "lora_rank" not in [value.key for value in dpo.values]
    beta = next(value for value in dpo.values if value.key == "beta")
    assert (beta.words, beta.change.was) == ("0.2", BETA)


def test_a_value_that_nobody_knows_any_more_is_shown_all_the_same(changed):
    changed.recipe["dpo"]["of_old"] = [1, 2]
    dpo = next(told for told in recipe_values.told(changed) if told.label == "DPO")
    assert (dpo.values[-1].key, dpo.values[-1].words, dpo.unread) == ("of_old", "1, 2", [])


def test_a_changed_round_is_recognised_on_its_page_and_in_the_list(staff, changed):
    html = staff.get(page(changed)).content.decode()
    assert f"dpo.beta = 0.2 (was {BETA})" in html
    assert f"changed, was {BETA}" in html
    assert "smoke + 1 change" in staff.get("/rounds/").content.decode()
