"""What a round costs, and what is left of it."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from sampling.long_tasks import TaskState
from sampling.models import Prompt
from tests.training import checks, rounds
from training.launching import cost, expected, launch_checks, pace
from training.models import Stage, StageKind, StageState
from training.running import round_plan
from training.watching import progress

pytestmark = pytest.mark.django_db
ALL = [kind.value for kind in StageKind]


def cost_of(policy, snapshot, **more):
    asked = checks.asked(policy, snapshot, **more)
    return cost.cost_of(asked, launch_checks.examined(asked).recipe)


def test_the_counts_are_those_of_the_snapshot_and_its_prompt_sets(policy, snapshot):
    counts = cost_of(policy, snapshot).counts
    assert (counts.pairs.train, counts.pairs.held_out) == (16, 4)
    assert (counts.pairs_by_people.train, counts.pairs_by_people.held_out) == (0, 0)  # all are simulated
    assert (counts.prompts_train, counts.prompts_eval) == (16, 5)
    assert counts.completion_tokens == 3  # every completion of the builder
    assert counts.parameters == 20_000  # one tensor of 1,000 by 20


def test_each_training_stage_leaves_a_checkpoint_as_large_as_the_base(policy, snapshot):
    told = cost_of(policy, snapshot, recipe="smoke", changes={"rejection_sampling": {"max_tokens": 8}})
    kinds = [stage.kind for stage in told.stages]
    trained = [kind for kind in kinds if round_plan.model_name("r", StageKind(kind))]
    assert told.disk_bytes == len(trained) * len(rounds.weights("base"))
    assert kinds[0] == StageKind.CHECK
    assert told.problems == []


def test_checkpoints_along_the_way_take_the_weights_and_two_moments_twice(policy, snapshot):
    # 20,000 numbers, each with two moments, of four bytes: 240,000 bytes, and as much of the checkpoint before.
    assert cost_of(policy, snapshot).resume_bytes == 480_000
    without = {kind: {"checkpoint_minutes": 0} for kind in ("reward_model", "sft", "dpo")}
    without |= {kind: {"checkpoint_minutes": 0} for kind in ("judge_model", "demonstrations")}
    there = launch_checks.examined(checks.asked(policy, snapshot)).resolved
    changes = {kind: values for kind, values in without.items() if kind in there}
    assert cost_of(policy, snapshot, changes=changes).resume_bytes == 0


def test_the_steps_are_those_of_the_schedule(policy, snapshot):
    (dpo,) = [stage for stage in cost_of(policy, snapshot).stages if stage.kind == StageKind.DPO]
    assert dpo.rows == 16
    assert dpo.schedule.steps == 4  # an epoch of 16 pairs, four a step


def test_a_full_disk_is_a_problem_of_the_recipe_with_the_remedy(policy, snapshot, full_disk):
    (problem,) = launch_checks.examined(checks.asked(policy, snapshot)).problems.items()
    assert problem[0] == "recipe"
    # 20,000 weights: 480,000 bytes while a stage trains, and of the files what their headers take.
    assert "The disk is too full: the round would write 480 KB" in problem[1]
    assert 'train adapters (method = "lora")' in problem[1]


def test_without_eval_prompts_the_form_warns_that_nothing_can_be_published(policy, snapshot):
    Prompt.objects.filter(split="eval").update(split="train")
    assert "no eval prompts" in cost_of(policy, snapshot).problems[0]


def test_what_a_hub_holds_has_no_estimate(policy, snapshot):
    policy.location = "org/name"
    told = cost_of(policy, snapshot)
    assert told.stages == ()
    assert "no estimate" in told.problems[0]


@pytest.fixture
def a_hundred_seconds(monkeypatch):
    """Every stage is expected to take as long."""
    monkeypatch.setattr(expected, "seconds_of_round", lambda pk, key: dict.fromkeys(ALL, 100.0))


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


def test_what_is_left_is_the_stages_own_pace_and_the_estimates_of_the_others(round, a_hundred_seconds):
    round.take()
    run_stage(round, "reward_model", state=StageState.RUNNING, seconds_ago=50, done=50)
    # Half done in 50 seconds: 50 more, and 100 for each stage that waits.
    waiting = round.stages.count() - 1
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(50 + 100 * waiting, abs=2)


def test_a_machine_that_was_twice_as_slow_as_expected_stays_so(round, a_hundred_seconds):
    round.take()
    run_stage(round, "reward_model", state=StageState.FINISHED, seconds_ago=400, seconds=200)
    run_stage(round, "rejection_sampling", state=StageState.RUNNING, seconds_ago=50, done=50)
    # 50 more, and 2 x 100 for each stage that waits.
    waiting = round.stages.count() - 2
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(50 + 200 * waiting, abs=2)


def finished_rounds(policy, snapshot, *seconds: float) -> None:
    """Rounds in which every stage took so long."""
    for number, each in enumerate(seconds):
        round = rounds.launch_for_tests(f"before-{number}", policy, snapshot)
        for kind in round.stages.values_list("kind", flat=True):
            run_stage(round, kind, state=StageState.FINISHED, seconds_ago=1000, seconds=each)
        round.stages.update(attempts=1)
        ended = timezone.now() - timedelta(days=1, seconds=-number)
        type(round).objects.filter(pk=round.pk).update(state=TaskState.FINISHED, finished_at=ended)


def test_the_estimate_follows_the_median_pace_of_the_last_finished_rounds(policy, snapshot, a_hundred_seconds):
    assert pace.of_this_machine() == pace.Pace({}, 0)
    before = cost_of(policy, snapshot)
    # Of six rounds the last five count: 50, 200, 300, 400 and 20 seconds where 100 were expected, in the middle 200.
    finished_rounds(policy, snapshot, 9000, 50, 200, 300, 400, 20)
    after = cost_of(policy, snapshot)
    assert (before.rounds_measured, after.rounds_measured) == (0, 5)
    for one, other in zip(before.stages, after.stages, strict=True):
        assert other.seconds == pytest.approx(2 * one.seconds)


def test_a_stage_that_was_resumed_says_nothing_of_the_pace(policy, snapshot, a_hundred_seconds):
    finished_rounds(policy, snapshot, 50)
    Stage.objects.filter(kind="dpo").update(attempts=2)
    by_kind = pace.of_this_machine().by_kind
    assert by_kind["sft"] == pytest.approx(0.5)
    assert "dpo" not in by_kind


def test_what_is_left_of_a_round_follows_that_pace_too(round, policy, snapshot, a_hundred_seconds):
    finished_rounds(policy, snapshot, 200)
    round.take()
    run_stage(round, "reward_model", state=StageState.RUNNING, seconds_ago=30)
    # 200 expected, 30 of them gone, and 200 for each stage that waits.
    waiting = round.stages.count() - 1
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(170 + 200 * waiting, abs=2)


def test_a_stage_that_is_starting_is_judged_by_its_estimate(round, a_hundred_seconds):
    round.take()
    run_stage(round, "reward_model", state=StageState.RUNNING, seconds_ago=30)
    waiting = round.stages.count() - 1
    assert cost.remaining_seconds(progress.of_round(round)) == pytest.approx(70 + 100 * waiting, abs=2)


def test_a_round_that_waits_has_no_remaining_time(round):
    assert cost.remaining_seconds(progress.of_round(round)) is None


def test_the_estimate_of_a_running_round_is_the_forms(round, policy, snapshot):
    there = expected.seconds_of_round(round.pk, round.request_key)
    assert list(there) == [stage.kind for stage in round.stages.order_by("position")]
    assert there == {stage.kind: stage.seconds for stage in cost_of(policy, snapshot).stages}
    assert all(seconds > 0 for seconds in there.values())
