"""What people said of a round's policy, told once for whoever shows or weighs it: as JSON, or beside the judges."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Avg

from sampling.models import Completion
from training.evaluation import gate
from training.evaluation.standings import Standing, standing
from training.models import BlindTest, TrainingRound


def as_json(round: TrainingRound) -> list[dict[str, Any]]:
    """Each blind test of the round, counted by prompt, with the 95 % interval; nulls until somebody has judged."""
    return [
        {
            "opponent": test.opponent.name,
            "project": test.project.name,
            "prompts": stands.prompts,
            "judged": stands.judged,
            "alike": stands.alike,
            "wins": stands.wins,
            "ties": stands.ties,
            "losses": stands.losses,
            "win_rate": stands.win_rate,
            "low": stands.low,
            "high": stands.high,
        }
        for test, stands in _stand(round)
    ]


def matches(round: TrainingRound) -> list[dict[str, Any]]:
    """The blind tests that people have begun to judge, in the shape in which an evaluation has its matches.

    With "prompts", of which they have judged so many. Lengths are those of the completions that they compared.
    """
    return [
        {
            "opponent": "old" if test.opponent_id == round.base_policy_id else "base",
            "name": test.opponent.name,
            "judge": gate.PEOPLE,
            "independent": True,
            "win_rate": stands.win_rate,
            "low": stands.low,
            "high": stands.high,
            "wins": stands.wins,
            "ties": stands.ties,
            "losses": stands.losses,
            "length_controlled_win_rate": None,
            "prompts": stands.judged,
            **_mean_tokens(test),
        }
        for test, stands in _stand(round)
        if stands.judged
    ]


def _stand(round: TrainingRound) -> Iterator[tuple[BlindTest, Standing]]:
    for test in round.blind_tests.select_related("opponent", "project"):
        test.round = round  # the same object, so that it is not read again
        yield test, standing(test)


def _mean_tokens(test: BlindTest) -> dict[str, float]:
    written = Completion.objects.filter(run__in=test.sampling_runs.all()).order_by()
    means = dict(written.values_list("model_version").annotate(Avg("tokens")))
    return {"mean_tokens_new": means[test.round.policy_id], "mean_tokens_opponent": means[test.opponent_id]}
