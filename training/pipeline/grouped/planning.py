"""What a preference stage decides before there is a trainer: how its rows are laid out, and which make a step."""

from collections.abc import Sequence

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import PreTrainedModel

from sampling.engine.run_dir import RunDirError
from training.pipeline import sharded
from training.pipeline.arguments import enough_together, processes, schedule_here, tokens_together
from training.pipeline.grouped.plan import plan, tokens_of
from training.pipeline.grouped.rankings import TokenPair, group
from training.pipeline.grouped.rows import Of
from training.pipeline.grouped.sharing import Way, find_way
from training.pipeline.grouped.tokens import weigh_by_prompt
from training.pipeline.grouped.trainer import Planned
from training.pipeline.trainers import Stage, is_main_process
from training.recipe import PairTraining

# FlexAttention's mask is made of one that has a byte for each two positions, here 256 MB.
MOST_UNDER_FLEX = 16_384


def make_plan(
    model: PreTrainedModel, pairs: Sequence[TokenPair], *, of: Of, stage: Stage, recipe: PairTraining, pad_token_id: int
) -> Planned:
    """Have ``model`` answer rows, and order the pairs; the log is told how much sharing saves."""
    by_prompt = recipe.pair_weights == "by_prompt"
    rankings = group(weigh_by_prompt(pairs) if by_prompt else pairs)
    if torch.cuda.is_available() and not sharded.is_asked_for():
        model.to(PartialState().device)  # where the trainer puts it too
    way = find_way(model, rankings, of=of, pad_token_id=pad_token_id, say=_say)
    _refuse_unlike(way)
    _say_what_is_left_out(model)
    schedule = schedule_here(recipe, rows=len(pairs), stage=stage, rankings=len(rankings))
    tokens = tokens_together(recipe, schedule)
    if way.flex:
        tokens = min(tokens, MOST_UNDER_FLEX)
    steps = plan(
        rankings,
        batch=recipe.batch,
        tokens=tokens,
        enough=enough_together(tokens),
        layout=way.layout,
        processes=processes(),
        seed=stage.seed,
        across_steps=by_prompt,
    )
    counted = tokens_of(steps, way.layout, multiple_of=way.multiple_of)
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


def _refuse_unlike(way: Way) -> None:
    """Processes that lay their rows out otherwise have other numbers of parts, and would wait for each other."""
    if processes() > 1 and len(set(gather_object([way]))) > 1:
        raise RunDirError("The processes do not compute alike: one of them may share a device. Start the stage again.")


def _say_what_is_left_out(model: PreTrainedModel) -> None:
    config = model.config.get_text_config()
    if hasattr(config, "output_router_logits") and getattr(config, "router_aux_loss_coef", 0):
        _say("This is a mixture of experts: its load-balancing loss, which TRL would add, is not in this loss.")


def _say(line: str) -> None:
    if is_main_process():
        print(line)
