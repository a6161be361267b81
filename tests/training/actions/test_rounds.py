"""Launching, cancelling and trying again."""

import uuid
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError

from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import ModelRole, ModelVersion
from tests.training import rounds
from training import actions
from training.models import StageKind, StageState, TrainingRound
from training.running import round_plan


@pytest.fixture
def announced():
    with patch("training.tasks.run_round.delay") as delay:
        yield delay


def launch(policy, snapshot, **more):
    asked = {"name": "r1", "base_policy": policy, "snapshot": snapshot, "recipe": rounds.RECIPE} | more
    return actions.launch_round(**asked)


def errors_of(policy, snapshot, **more) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as raised:
        launch(policy, snapshot, **more)
    return raised.value.message_dict


def test_a_launched_round_has_the_recipes_stages_in_order(policy, snapshot, announced):
    round = launch(policy, snapshot)
    assert [stage.kind for stage in round.stages.order_by("position")] == round_plan.kinds_of(round.recipe)
    assert round.stages.earliest("position").kind == StageKind.CHECK
    assert {stage.state for stage in round.stages.all()} == {StageState.PENDING}
    assert round.state == TaskState.QUEUED


def test_a_round_keeps_every_value_of_its_recipe(policy, snapshot, announced):
    round = launch(policy, snapshot)
    assert round.recipe_name == "all_stages"
    assert round.recipe["dpo"]["beta"] > 0
    assert round.recipe["gate"]


def test_workers_are_told_once_the_round_is_stored(policy, snapshot, announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        round = launch(policy, snapshot)
        announced.assert_not_called()
    announced.assert_called_once_with(round.pk)


def test_a_round_for_the_foreground_is_announced_to_nobody(
    policy, snapshot, announced, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        launch(policy, snapshot, enqueue=False)
    announced.assert_not_called()


def test_one_request_key_is_one_round(policy, snapshot, announced, django_capture_on_commit_callbacks):
    key = uuid.uuid4()
    with django_capture_on_commit_callbacks(execute=True):
        first = launch(policy, snapshot, request_key=key)
        assert launch(policy, snapshot, request_key=key) == first
    assert TrainingRound.objects.count() == 1
    announced.assert_called_once()


def test_a_name_is_used_once(policy, snapshot, announced):
    launch(policy, snapshot)
    assert errors_of(policy, snapshot)["name"] == ['There is a round "r1" already. Choose another name.']


def test_a_name_whose_models_exist_is_refused(policy, snapshot, tmp_path):
    rounds.make_policy(tmp_path / "models" / "other", name="r1-dpo")
    assert '"r1-dpo"' in errors_of(policy, snapshot)["name"][0]


def test_a_snapshot_with_too_few_pairs_is_refused_with_the_count(policy):
    small = rounds.make_snapshot("small", train=3)
    message = errors_of(policy, small)["snapshot"][0]
    assert message.startswith('Snapshot "small" has 3 train pairs by majority; this recipe needs at least 16.')


def test_a_base_policy_whose_directory_is_gone_is_refused(policy, snapshot):
    ModelVersion.objects.filter(pk=policy.pk).update(location="/nowhere/at/all")
    policy.refresh_from_db()
    assert "/nowhere/at/all" in errors_of(policy, snapshot)["base_policy"][0]


def test_a_reward_model_is_no_base_policy(policy, snapshot):
    reward = ModelVersion(name="judge", role=ModelRole.REWARD, location=policy.location)
    assert "a round starts from a policy" in errors_of(reward, snapshot)["base_policy"][0]


def test_an_unknown_recipe_is_refused_by_name(policy, snapshot):
    assert "nonesuch" in errors_of(policy, snapshot, recipe="nonesuch")["recipe"][0]


def test_all_that_is_wrong_is_told_at_once(policy):
    empty = rounds.make_snapshot("empty", train=0)
    assert set(errors_of(policy, empty, name=" ", recipe="nonesuch")) == {"name", "recipe", "snapshot"}


def test_a_queued_round_is_cancelled_at_once(round):
    assert actions.cancel_round(round=round).state == TaskState.CANCELLED


def test_a_cancelled_round_can_be_tried_again(round, announced, django_capture_on_commit_callbacks):
    actions.cancel_round(round=round)
    with django_capture_on_commit_callbacks(execute=True):
        actions.retry_round(round=round)
    assert round.state == TaskState.QUEUED
    announced.assert_called_once_with(round.pk)


def test_the_second_of_two_retries_finds_the_round_queued(round, announced):
    actions.cancel_round(round=round)
    twin = TrainingRound.objects.get(pk=round.pk)
    actions.retry_round(round=round)
    with pytest.raises(StaleState):
        actions.retry_round(round=twin)


def test_a_stage_left_running_in_a_round_that_was_given_up_is_ended_with_it(round):
    round.take()
    stage = round.stages.first()
    stage.move_to(StageState.RUNNING)
    round.end(TaskState.FAILED, failure="The worker was lost 3 times.")
    actions.settle_stages()
    stage.refresh_from_db()
    assert stage.state == StageState.FAILED
    assert stage.failure == "The worker was lost 3 times."
