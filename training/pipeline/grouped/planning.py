"""What a preference stage decides before there is a trainer: how its rows are laid out, and which make a step."""

from collections.abc import Sequence

import torch
from accelerate import PartialState
from transformers import PreTrainedModel

from training.pipeline import sharded
from training.pipeline.arguments import enough_together, processes, schedule_here, tokens_together
from training.pipeline.grouped.plan import plan, tokens_of
from training.pipeline.grouped.rankings import TokenPair, group
from training.pipeline.grouped.rows import Of
from training.pipeline.grouped.sharing import find_way
from training.pipeline.grouped.tokens import weigh_by_prompt
from training.pipeline.grouped.trainer import Planned
from training.pipeline.trainers import Stage, is_main_process
from training.recipe import PairTraining


def make_plan(
    model: PreTrainedModel, pairs: Sequence[TokenPair], *, of: Of, stage: Stage, recipe: PairTraining, pad_token_id: int
) -> Planned:
    """Have ``model`` answer rows, and order the pairs; the log is told how much sharing saves."""
    rankings = group(weigh_by_prompt(pairs) if recipe.pair_weights == "by_prompt" else pairs)
    if torch.cuda.is_available() and not sharded.is_asked_for():
        model.to(PartialState().device)  # where the trainer puts it too: what is compared now is what will compute
    way = find_way(model, rankings, of=of, pad_token_id=pad_token_id, say=_say)
    schedule = schedule_here(recipe, rows=len(pairs), stage=stage, rankings=len(rankings))
    tokens = tokens_together(recipe, schedule)
    steps = plan(
        rankings,
        batch=recipe.batch,
        tokens=tokens,
        enough=enough_together(tokens),
        layout=way.layout,
        processes=processes(),
        seed=stage.seed,
    )
    counted = tokens_of(steps, way.layout)
    _say(
        f"{len(pairs)} pairs in {len(rankings)} rankings: {counted.real:,} tokens an epoch in {len(steps)} steps, "
        f"{counted.padding:.1%} of the positions are padding. Pair by pair it is {counted.of_pairs_alone:,} tokens."
    )
    return Planned(
        steps=steps,
        way=way,
        pad_token_id=pad_token_id,
        tokens_together=tokens,
        settings={
            "micro_batch": schedule.micro_batch,
            "accumulation": schedule.accumulation,
            "tokens_together": tokens,
            "rankings": len(rankings),
            "layout": way.layout,
            "attention": "flex_attention" if way.flex else "sdpa",
            "tokens_an_epoch": counted.real,
            "tokens_of_pairs_alone": counted.of_pairs_alone,
            "padding": round(counted.padding, 4),
        },
    )


def _say(line: str) -> None:
    if is_main_process():
        print(line)
