"""A version has one name in every round's evaluation, or its ratings would fall apart."""

from pathlib import Path

from django.utils import timezone

from sampling.models import ModelVersion
from tests.training import rounds
from training import actions
from training.models import TrainingRound
from training.running.places import places_of


def test_what_is_new_in_one_round_has_the_same_name_where_it_is_old(round, policy, snapshot):
    actions.execute_round(round=round)
    following = actions.launch_round(
        name="r2", base_policy=round.policy, snapshot=snapshot, recipe=rounds.RECIPE, previous=round, enqueue=False
    )
    first, second = (places_of(each, Path("data")).names for each in (round, following))
    assert first == {"new": "r1-dpo", "old": "base", "base": "base", "published": "base"}
    assert second == {"new": "r2-dpo", "old": "r1-dpo", "base": "base", "published": "r1-dpo"}
    assert round.policy.name == first["new"]


def test_the_newest_published_policy_is_met_where_a_round_goes_on_from_a_withheld_one(round, policy, snapshot):
    actions.execute_round(round=round)
    rounds_of = [round]
    for name in ("r2", "r3"):
        ModelVersion.objects.filter(pk=rounds_of[-1].policy.pk).update(published_at=None)
        following = actions.launch_round(
            name=name, base_policy=rounds_of[-1].policy, snapshot=snapshot, recipe=rounds.RECIPE,
            previous=rounds_of[-1], enqueue=False,
        )  # fmt: skip
        rounds_of.append(actions.execute_round(round=following))

    def met(number):
        places = places_of(TrainingRound.objects.get(name=f"r{number}"), Path("data"))
        return places.names["published"], places.published_policy

    assert met(2) == ("base", policy.location)  # nothing of the schedule is published
    ModelVersion.objects.filter(name="r1-dpo").update(published_at=timezone.now())
    made = ModelVersion.objects.get(name="r1-dpo")
    assert met(3) == ("r1-dpo", made.location)
    assert met(1) == ("base", policy.location)


def test_the_new_policy_is_called_after_the_last_stage_that_trains_it(policy, snapshot):
    round = rounds.launch_for_tests("r1", policy, snapshot)
    round.stages.filter(kind="dpo").delete()
    assert places_of(round, Path("data")).names["new"] == "r1-sft"
