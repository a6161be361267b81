"""Checking what a round would learn from, before it is launched."""

import threading
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils import timezone

from sampling.long_tasks import TaskState
from tests.training import checks, rounds
from training import actions, tasks
from training.launching import checking
from training.models import LaunchCheck, TrainingRound
from training.watching import run_files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_check")]


@pytest.fixture(autouse=True)
def announced():
    with patch("training.tasks.run_check.delay") as delay:
        yield delay


@pytest.fixture
def asked(policy, snapshot):
    return checks.asked(policy, snapshot)


def executed(asked, **more) -> LaunchCheck:
    return actions.execute_check(check=actions.requested_check(asked=asked, **more))


def launch(asked, **more):
    inputs = {field: getattr(asked, field) for field in ("base_policy", "snapshot", "recipe", "changes")}
    return actions.launch_round(name="r1", **inputs, enqueue=False, **more)


def test_the_same_inputs_are_one_check(asked, policy, snapshot):
    first = actions.requested_check(asked=asked)
    assert actions.requested_check(asked=checks.asked(policy, snapshot)) == first
    other = actions.requested_check(asked=checks.asked(policy, snapshot, changes={"dpo": {"beta": 0.2}}))
    assert other != first
    assert LaunchCheck.objects.count() == 2


def test_weights_under_another_name_are_the_same_check(asked, policy, snapshot, tmp_path):
    twin = rounds.make_policy(tmp_path / "models" / "twin", name="twin")
    type(twin).objects.filter(pk=twin.pk).update(content_hash=policy.content_hash)
    twin.refresh_from_db()
    assert actions.requested_check(asked=checks.asked(twin, snapshot)) == actions.requested_check(asked=asked)


def test_workers_are_told_once_it_is_stored(asked, announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        check = actions.requested_check(asked=asked)
        actions.requested_check(asked=asked)
        announced.assert_not_called()
    announced.assert_called_once_with(check.pk)


def test_what_rows_tell_at_once_is_not_checked(policy):
    small = rounds.make_snapshot("small", train=3)
    with pytest.raises(ValidationError) as raised:
        actions.requested_check(asked=checks.asked(policy, small))
    assert set(raised.value.message_dict) == {"snapshot"}
    assert not LaunchCheck.objects.exists()


def test_a_check_keeps_what_was_found_and_not_the_data(asked):
    check = executed(asked)
    assert check.state == TaskState.FINISHED
    assert check.result["stages"]["dpo"]["rows"] == 14
    assert checking.problems_in(check) == {}
    assert run_files.dropped_path(checking.program_dir(check)) is not None
    assert not (check.run_dir / "data").exists()


def test_problems_are_a_result_and_refuse_the_launch_beside_their_fields(asked):
    checks.order("problems")
    check = executed(asked)
    assert check.state == TaskState.FINISHED
    with pytest.raises(ValidationError) as raised:
        launch(asked)
    assert raised.value.message_dict == {
        "snapshot": ["Only 3 pairs remain; DPO needs 16."],
        "recipe": ["max_length is longer than the model's context."],
    }
    assert not TrainingRound.objects.exists()


def test_a_check_that_has_not_finished_refuses_nothing(asked):
    actions.requested_check(asked=asked)
    assert launch(asked).stages.first().kind == "check"


def test_a_program_that_crashes_is_a_failure_that_refuses_nothing_and_is_tried_again(asked):
    checks.order("crash")
    check = executed(asked)
    assert check.state == TaskState.FAILED
    assert "exit code 7" in check.failure
    assert launch(asked)
    checks.order("")
    again = executed(asked)
    assert (again.pk, again.state) == (check.pk, TaskState.FINISHED)


def test_a_finished_check_is_made_anew_when_asked(asked, django_capture_on_commit_callbacks):
    checks.order("problems")
    first = executed(asked)
    checks.order("")
    assert actions.requested_check(asked=asked) == first
    with django_capture_on_commit_callbacks(execute=True):
        second = executed(asked, again=True)
    assert second.pk != first.pk
    assert checking.problems_in(second) == {}
    assert not first.run_dir.exists()
    assert launch(asked)


def test_a_waiting_check_is_cancelled_at_once(asked):
    check = actions.cancel_check(check=actions.requested_check(asked=asked))
    assert check.state == TaskState.CANCELLED
    assert actions.execute_check(check=check).state == TaskState.CANCELLED
    assert actions.requested_check(asked=asked).state == TaskState.QUEUED


@pytest.mark.django_db(transaction=True)
def test_a_running_check_is_cancelled_while_its_program_works(asked):
    checks.order("hang")
    check = actions.requested_check(asked=asked)
    reading = threading.Event()

    def cancel_once(progress):
        if progress.get("phase") == "reading" and not reading.is_set():
            reading.set()
            actions.cancel_check(check=LaunchCheck.objects.get(pk=check.pk))

    ended = actions.execute_check(check=check, on_progress=cancel_once)
    assert reading.is_set()
    assert ended.state == TaskState.CANCELLED


def test_a_worker_that_ends_hands_the_check_back(asked, worker_stopping):
    check = actions.requested_check(asked=asked)
    worker_stopping.set()
    assert actions.execute_check(check=check).state == TaskState.QUEUED


def test_a_check_whose_worker_was_lost_is_queued_again(asked, announced):
    check = actions.requested_check(asked=asked)
    check.take()
    LaunchCheck.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    tasks.reap()
    announced.assert_called_once_with(check.pk)
    assert tasks.run_check(check.pk) == TaskState.FINISHED
    assert tasks.run_check(check.pk) == TaskState.FINISHED  # a message that came twice
    assert tasks.run_check(0) == "gone"


def test_old_checks_are_forgotten_with_their_folders(asked, django_capture_on_commit_callbacks):
    check = executed(asked)
    assert actions.forget_old_checks() == 0
    LaunchCheck.objects.update(finished_at=F("finished_at") - timedelta(days=31))
    with django_capture_on_commit_callbacks(execute=True):
        assert actions.forget_old_checks() == 1
    assert not check.run_dir.exists()
