"""Overruling the gate: by whom, when, and only once."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from sampling.long_tasks import TaskState
from sampling.models import ModelVersion
from tests.training import rounds
from training import actions
from training.evaluation.overruling import (
    AlreadyOverruled,
    NotAllowed,
    NothingToOverrule,
    OverruleRefused,
    ReasonMissing,
    can_overrule,
    overrule_gate,
)
from training.models import TrainingRound

REASON = "People preferred it in the blind test."
NOT_PASSED = {"passed": False, "reason": "Not published: ...", "conditions": []}


@pytest.fixture
def alice(db):
    return User.objects.create_user("alice", is_staff=True)


@pytest.fixture
def made(round, tmp_path):
    """A finished round whose gate did not pass."""
    policy = rounds.make_policy(tmp_path / "models" / "made", name="r1-dpo")
    ModelVersion.objects.filter(pk=policy.pk).update(published_at=None)
    return as_it_ended(round, policy=policy)


def as_it_ended(round, *, state=TaskState.FINISHED, report=NOT_PASSED, policy):
    TrainingRound.objects.filter(pk=round.pk).update(state=state, gate_report=report, policy=policy)
    return TrainingRound.objects.get(pk=round.pk)


def refused(round, by, reason=REASON) -> OverruleRefused:
    with pytest.raises(OverruleRefused) as raised:
        overrule_gate(round=round, by=by, reason=reason)
    round.refresh_from_db()
    assert round.policy is None or round.policy.published_at is None
    return raised.value


def test_an_overruled_policy_is_published_with_who_when_and_why(made, alice):
    before = timezone.now()
    round = overrule_gate(round=made, by=alice, reason=f"  {REASON}\n")
    assert (round.overruled_by, round.overrule_reason) == (alice, REASON)
    assert before <= round.overruled_at <= timezone.now()
    assert round.policy.published_at == round.overruled_at
    assert round.policy in ModelVersion.objects.published()
    assert round.gate_report == NOT_PASSED  # what the gate said stays on record


def test_the_card_beside_the_weights_tells_of_it_once_it_is_on_record(round, alice, django_capture_on_commit_callbacks):
    round.recipe["gate"]["min_win_rate_low"] = 0.65  # the fake evaluation ends with a lower bound of 0.6
    round.save(update_fields=["recipe"])
    actions.execute_round(round=round)
    card = Path(round.policy.location) / "README.md"
    with django_capture_on_commit_callbacks(execute=True):
        overrule_gate(round=round, by=alice, reason=REASON)
        assert REASON not in card.read_text()
    assert f"Published all the same on {timezone.now():%Y-%m-%d}, because: {REASON}" in card.read_text()


def test_a_card_that_cannot_be_written_takes_nothing_back(made, alice, django_capture_on_commit_callbacks, monkeypatch):
    def full(version):
        raise OSError("No space left on device")

    monkeypatch.setattr("training.evaluation.overruling.write_card", full)
    with django_capture_on_commit_callbacks() as callbacks:
        overrule_gate(round=made, by=alice, reason=REASON)
    assert len(callbacks) == 1
    made.refresh_from_db()
    assert made.policy.published_at is not None


def test_only_staff_may(made, alice):
    bob = User.objects.create_user("bob")
    assert isinstance(refused(made, bob), NotAllowed)
    alice.is_active = False
    assert isinstance(refused(made, alice), NotAllowed)
    assert made.overruled_at is None


@pytest.mark.parametrize("reason", ["", "   ", "because", " because  "])
def test_a_reason_is_needed(made, alice, reason):
    refusal = refused(made, alice, reason)
    assert isinstance(refusal, ReasonMissing)
    assert "Say in a sentence" in str(refusal)


def test_twice_is_refused_and_the_first_reason_stays(made, alice):
    overrule_gate(round=made, by=alice, reason=REASON)
    carol = User.objects.create_user("carol", is_staff=True)
    with pytest.raises(AlreadyOverruled, match="overruled by alice"):
        overrule_gate(round=made, by=carol, reason="I would like to as well.")
    made.refresh_from_db()
    assert (made.overruled_by, made.overrule_reason) == (alice, REASON)


@pytest.mark.parametrize("state", [TaskState.QUEUED, TaskState.RUNNING, TaskState.FAILED, TaskState.CANCELLED])
def test_only_a_finished_round_has_a_gate_to_overrule(made, alice, state):
    TrainingRound.objects.filter(pk=made.pk).update(state=state)
    made.refresh_from_db()
    assert not can_overrule(made)
    assert isinstance(refused(made, alice), NothingToOverrule)


def test_a_gate_that_passed_is_not_overruled(made, alice):
    round = as_it_ended(made, report={"passed": True, "reason": "", "conditions": []}, policy=made.policy)
    assert not can_overrule(round)
    assert isinstance(refused(round, alice), NothingToOverrule)


def test_a_round_without_a_policy_has_nothing_to_publish(made, alice):
    round = as_it_ended(made, report=None, policy=None)
    assert not can_overrule(round)
    assert "made no policy" in str(refused(round, alice))


def test_a_gate_can_be_overruled_until_it_is(made, alice):
    assert can_overrule(made)
    assert not can_overrule(overrule_gate(round=made, by=alice, reason=REASON))


def test_a_policy_that_was_published_by_hand_keeps_its_date(made, alice):
    date = timezone.now() - timedelta(days=3)
    ModelVersion.objects.filter(pk=made.policy_id).update(published_at=date)
    assert overrule_gate(round=made, by=alice, reason=REASON).policy.published_at == date


def test_nobody_overrules_without_a_reason_past_the_action_either(made, alice):
    with pytest.raises(IntegrityError, match="a_gate_is_overruled_by_someone_for_a_reason"), transaction.atomic():
        TrainingRound.objects.filter(pk=made.pk).update(overruled_by=alice, overruled_at=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_refused(made, alice):
    carol = User.objects.create_user("carol", is_staff=True)
    ended = []
    barrier = threading.Barrier(2)

    def overrule(by):
        try:
            barrier.wait(10)
            overrule_gate(round=TrainingRound.objects.get(pk=made.pk), by=by, reason=f"{by} says that it is better.")
            ended.append(by)
        except AlreadyOverruled as refusal:
            ended.append(refusal)
        finally:
            connection.close()

    threads = [threading.Thread(target=overrule, args=[by]) for by in (alice, carol)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    made.refresh_from_db()
    assert len(ended) == 2
    assert [each for each in ended if isinstance(each, User)] == [made.overruled_by]
    assert made.overrule_reason == f"{made.overruled_by} says that it is better."
