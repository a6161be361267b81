"""What the launch form begins with."""

import pytest

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from sampling.long_tasks import TaskState
from tests.training import rounds
from training import actions
from training import recipe as recipes
from training.launching import prefill
from training.launching.asked import BLANK, schedule_named

pytestmark = pytest.mark.django_db


@pytest.fixture
def smoke_round(policy, snapshot):
    changes = {"dpo": {"beta": 0.25}}
    return actions.launch_round(
        name="r1", base_policy=policy, snapshot=snapshot, recipe="smoke", changes=changes, seed=5, enqueue=False
    )


def schedule_of(initial):
    return schedule_named(initial["recipe"], recipes.read_changes(initial["changes"])).resolved()


def test_a_round_from_nothing_has_a_free_name(policy, snapshot):
    assert prefill.anew() == {"name": "round-1", "recipe": "demo"}
    rounds.launch_for_tests("round-2", policy, snapshot)
    assert prefill.anew()["name"] == "round-3"


def test_a_clone_has_the_same_inputs_and_says_what_differs_from_the_file(smoke_round, policy, snapshot):
    initial = prefill.cloning(smoke_round)
    assert (initial["recipe"], initial["changes"]) == ("smoke", "dpo.beta = 0.25")
    assert (initial["base_policy"], initial["snapshot"], initial["seed"]) == (policy.pk, snapshot.pk, 5)
    assert (initial["cloned_from"], initial["name"], initial["previous"]) == (smoke_round.pk, "round-2", None)


def test_a_clone_is_of_what_the_round_was_told_even_when_the_file_has_changed_since(smoke_round, monkeypatch, tmp_path):
    text = (recipes.RECIPES / "smoke.toml").read_text().replace("\nbeta = 0.1", "\nbeta = 0.7")
    (tmp_path / "smoke.toml").write_text(text.replace("candidates = 2", "candidates = 3"))
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    initial = prefill.cloning(smoke_round)
    assert "rejection_sampling.candidates = 2" in initial["changes"]
    assert schedule_of(initial) | {"name": ""} == smoke_round.schedule | {"name": ""}


def test_a_clone_of_a_recipe_that_is_gone_says_everything(smoke_round, monkeypatch, tmp_path):
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    initial = prefill.cloning(smoke_round)
    assert initial["recipe"] == BLANK
    assert schedule_of(initial) == smoke_round.schedule


def test_the_next_round_starts_from_the_policy_and_the_newest_judgments(smoke_round, snapshot, tmp_path):
    made = rounds.make_policy(tmp_path / "models" / "made", name="r1-dpo")
    type(smoke_round).objects.update(state=TaskState.FINISHED, policy=made)
    smoke_round.refresh_from_db()
    newer = freeze_snapshot(project=snapshot.project, name="july", kinds=[JudgeKind.SIMULATED])
    initial = prefill.continuing(smoke_round)
    assert (initial["previous"], initial["base_policy"], initial["snapshot"]) == (smoke_round.pk, made.pk, newer.pk)
    assert (initial["recipe"], initial["changes"]) == ("smoke", "dpo.beta = 0.25")


def test_a_clone_of_an_older_round_leaves_out_the_values_that_do_nothing(smoke_round):
    """They were stored before they were refused, and would be refused where a clone gave them."""
    smoke_round.schedule["dpo"] |= {"lora_rank": 8, "label_smoothing": 0.0}
    smoke_round.save()
    assert prefill.cloning(smoke_round)["changes"] == "dpo.beta = 0.25"
