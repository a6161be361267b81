"""A version has one name in every round's evaluation, or its ratings would fall apart."""

from pathlib import Path

from tests.training import rounds
from training import actions
from training.running.places import places_of


def test_what_is_new_in_one_round_has_the_same_name_where_it_is_old(round, policy, snapshot):
    actions.execute_round(round=round)
    following = actions.launch_round(
        name="r2", base_policy=round.policy, snapshot=snapshot, recipe=rounds.RECIPE, previous=round, enqueue=False
    )
    first, second = (places_of(each, Path("data")).names for each in (round, following))
    assert first == {"new": "r1-dpo", "old": "base", "base": "base"}
    assert second == {"new": "r2-dpo", "old": "r1-dpo", "base": "base"}
    assert round.policy.name == first["new"]


def test_the_new_policy_is_called_after_the_last_stage_that_trains_it(policy, snapshot):
    round = rounds.launch_for_tests("r1", policy, snapshot)
    round.stages.filter(kind="dpo").delete()
    assert places_of(round, Path("data")).names["new"] == "r1-sft"
