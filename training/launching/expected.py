"""What a round has to work on, counted, and the seconds that its stages are expected to take. Reads rows and a
checkpoint's header.
"""

import functools
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from django.db.models import Avg

from annotation.models import DatasetSnapshot
from sampling import checkpoints
from sampling.models import Completion, ModelVersion
from training import recipe as recipes
from training.launching import estimates
from training.launching.snapshot_pairs import held_out_pairs, train_pairs
from training.models import DemonstrationSet, TrainingRound
from training.running import round_data, round_plan

CHARACTERS_A_TOKEN = 4  # of English, for most tokenizers
LOOKED_AT = 300  # prompts, comparisons, conversations: a mean needs no more


@functools.lru_cache(maxsize=256)
def seconds_of_round(pk: int, request_key: object) -> Mapping[str, float]:
    """Seconds by stage of one round, which never change; the key tells apart rounds of databases made anew."""
    rounds = TrainingRound.objects.select_related("base_policy", "snapshot", "demonstrations")
    round = rounds.get(pk=pk, request_key=request_key)
    try:
        recipe = recipes.from_dict(round.recipe, source=round.recipe_name, is_of_round=True)
    except recipes.RecipeError:  # of an older version, with keys that are gone
        return {}
    counts = counts_of(round.base_policy, round.snapshot, round.demonstrations, round.earlier())
    return estimates.seconds_of(recipe, counts) if counts else {}


def counts_of(
    policy: ModelVersion,
    snapshot: DatasetSnapshot,
    demonstrations: DemonstrationSet | None,
    earlier: Sequence[TrainingRound],
) -> estimates.Counts | None:
    """None where the policy's size cannot be read from files here."""
    parameters = checkpoints.parameters(policy.location)
    if not parameters:
        return None
    train, held_out = round_data.prompts_of(snapshot, *(round.snapshot for round in earlier))
    others = {round.snapshot_id: round.snapshot for round in earlier if round.snapshot_id != snapshot.pk}.values()
    return estimates.Counts(
        pairs=_pairs(snapshot, others, "all"),
        pairs_by_people=_pairs(snapshot, others, "people"),
        rounds_earlier=len(earlier),
        prompts_train=train.count(),
        prompts_eval=held_out.count(),
        prompt_tokens=_prompt_tokens(train),
        completion_tokens=_completion_tokens(snapshot),
        demonstrations=demonstrations.rows if demonstrations else 0,
        demonstration_tokens=_demonstration_tokens(demonstrations) if demonstrations else 0.0,
        parameters=parameters,
        cores=len(os.sched_getaffinity(0)),
        has_gpu=round_plan.has_gpu(),
    )


def _pairs(snapshot: DatasetSnapshot, earlier: Iterable[DatasetSnapshot], judges: str) -> estimates.Pairs:
    return estimates.Pairs(
        train_pairs(snapshot, judges),
        held_out_pairs(snapshot, judges),
        earlier=sum(train_pairs(each, judges) for each in earlier),
    )


def _prompt_tokens(prompts) -> float:
    looked_at = [
        sum(len(turn["content"]) for turn in messages)
        for messages in prompts.values_list("messages", flat=True)[:LOOKED_AT]
    ]
    return sum(looked_at) / len(looked_at) / CHARACTERS_A_TOKEN if looked_at else 0.0


def _demonstration_tokens(demonstrations: DemonstrationSet) -> float:
    try:
        with Path(demonstrations.location).open("rb") as file:
            looked_at = [len(line) for line in itertools.islice(file, LOOKED_AT)]
    except OSError:  # it is gone, and the check says so
        return 0.0
    return sum(looked_at) / len(looked_at) / CHARACTERS_A_TOKEN if looked_at else 0.0


def _completion_tokens(snapshot: DatasetSnapshot) -> float:
    comparisons = snapshot.judgments.order_by("comparison").values("comparison")[:LOOKED_AT]
    completions = Completion.objects.filter(comparisons__in=comparisons)
    return completions.aggregate(mean=Avg("tokens"))["mean"] or 0.0
