"""What a round costs, and what is left of it."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from sampling.models import Prompt
from tests.training import rounds
from training.launching import cost
from training.models import StageKind, StageState
from training.watching import progress

pytestmark = pytest.mark.django_db
ALL = [kind.value for kind in StageKind]


def asked(policy, snapshot, recipe="smoke"):
    return {"base_policy": str(policy.pk), "snapshot": str(snapshot.pk), "recipe": recipe}


def test_the_counts_are_those_of_the_snapshot_and_its_prompt_sets(policy, snapshot):
    counts = cost.of_form(asked(policy, snapshot)).counts
    assert (counts.pairs_train, counts.pairs_eval) == (16, 4)
    assert (counts.prompts_train, counts.prompts_eval) == (16, 5)
    assert counts.completion_tokens == 3  # every completion of the builder
    assert counts.parameters == 20_000  # one tensor of 1,000 by 20


def test_three_of_the_stages_leave_a_checkpoint_as_large_as_the_base(policy, snapshot):
    told = cost.of_form(asked(policy, snapshot))
    assert told.disk_bytes == 3 * len(rounds.weights("base"))
    assert [stage.label for stage in told.stages] == [kind.label for kind in StageKind]
    assert told.problems == []


def test_a_full_disk_is_told_before_the_round(policy, snapshot, monkeypatch):
    monkeypatch.setattr("training.launching.cost.shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    assert "disk is too full" in cost.of_form(asked(policy, snapshot)).problems[0]


def test_too_few_pairs_are_told_before_the_round(policy):
    small = rounds.make_snapshot("small", train=1, held_out=1)
    assert "has 1 train pair by majority" in cost.of_form(asked(policy, small)).problems[0]


def test_without_eval_prompts_the_form_warns_that_nothing_can_be_published(policy, snapshot):
    Prompt.objects.filter(split="eval").update(split="train")
    assert "no eval prompts" in cost.of_form(asked(policy, snapshot)).problems[0]


def test_only_the_projects_own_recipes_are_read(policy, snapshot, tmp_path):
    (tmp_path / "secret.toml").write_text("[dpo]\n")
    told = cost.of_form(asked(policy, snapshot, recipe=str(tmp_path / "secret")))
    assert (told.recipe_text, told.problems) == ("", ["Choose a recipe."])


@pytest.fixture
def expected(monkeypatch):
    """Every stage is expected to take 100 seconds."""
    monkeypatch.setattr(cost, "_expected", lambda pk, key: dict.fromkeys(ALL, 100.0))


def run_stage(round, kind, *, state, seconds_ago, seconds=None, done=None):
    now = timezone.now()
    begun = now - timedelta(seconds=seconds_ago)
    ended = begun + timedelta(seconds=seconds) if seconds else None
    round.stages.filter(kind=kind).update(state=state, started_at=begun, finished_at=ended)
    if done is not None:
        stage = round.stages.get(kind=kind)
        stage.run_dir.mkdir(parents=True, exist_ok=True)
        told = {"done": done, "total": 100, "unit": "steps", "phase": "training"}
        (stage.run_dir / "progress.json").write_text(json.dumps(told))


def test_what_is_left_is_the_stages_own_pace_and_the_estimates_of_the_others(round, expected):
    round.take()
    run_stage(round, "reward_model", state=StageState.RUNNING, seconds_ago=50, done=50)
    # Half done in 50 seconds: 50 more, and four stages of 100.
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(450, abs=2)


def test_a_machine_that_was_twice_as_slow_as_expected_stays_so(round, expected):
    round.take()
    run_stage(round, "reward_model", state=StageState.FINISHED, seconds_ago=400, seconds=200)
    run_stage(round, "rejection_sampling", state=StageState.RUNNING, seconds_ago=50, done=50)
    # 50 more, and three stages of 2 x 100.
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(650, abs=2)


def test_a_stage_that_is_starting_is_judged_by_its_estimate(round, expected):
    round.take()
    run_stage(round, "reward_model", state=StageState.RUNNING, seconds_ago=30)
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(70 + 400, abs=2)


def test_a_round_that_waits_has_no_remaining_time(round):
    assert cost.remaining_seconds(progress.of_round(round)) is None


def test_the_estimate_of_a_running_round_is_the_forms(round, policy, snapshot):
    expected = cost._expected(round.pk, round.request_key)
    assert list(expected) == ALL
    assert all(seconds > 0 for seconds in expected.values())
