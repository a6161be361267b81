"""Train the policy on preference pairs directly.

    python -m training.pipeline.dpo --run-dir DIR

TRL's DPOTrainer, sigmoid loss; with `sft_weight` also Llama 3's NLL term on the chosen completion. The
reference is the policy at the start of the stage, so the first loss of the sigmoid term is ln 2. Its log-
probabilities are computed once, in the same batches as in training, and no second model is held in memory.
Left out: TRL computes a prompt once for each side of each pair; grouping them is faster and would be our
own trainer.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from sampling.engine.run_dir import main
from training.pipeline.arguments import adapter, training_arguments
from training.pipeline.batching import order_by_length
from training.pipeline.preferences import Pair, read_pairs, refuse_too_few, select
from training.pipeline.trainers import (
    Reporter,
    Stage,
    WeightWatch,
    conversation_lengths,
    final_loss,
    load_policy,
    load_tokenizer,
    save_checkpoint,
)
from training.recipe import Dpo


@dataclass(frozen=True)
class Result:
    """What goes into result.json."""

    pairs: int
    dropped: dict[str, int]
    first_loss: float
    final_loss: float
    steps: int
    weights_changed: float
    seconds: float


def run(run_dir: Path) -> Result:
    """Train and save."""
    started = time.monotonic()
    stage = Stage.start(run_dir)
    recipe = Dpo.parse(stage.told, source="stage.json")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    train = select(read_pairs(stage.inputs["pairs_train"]), recipe, lambda each: conversation_lengths(tokenizer, each))
    refuse_too_few(
        len(train.pairs),
        recipe.least_rows,
        what="pairs",
        stage="DPO",
        dropped=train.dropped,
        path=stage.inputs["pairs_train"],
    )
    order = order_by_length(train.lengths, batch=recipe.micro_batch, seed=stage.seed)
    stage.say("computing the reference")
    trainer = make_trainer(stage, recipe, tokenizer, [train.pairs[i] for i in order])
    watch = WeightWatch(trainer.model)
    trainer.train()
    moved = save_checkpoint(trainer, stage, watch)
    return Result(
        pairs=len(train.pairs),
        dropped=train.dropped,
        first_loss=stage.losses[0],
        final_loss=final_loss(stage.losses),
        steps=trainer.state.global_step,
        weights_changed=moved,
        seconds=time.monotonic() - started,
    )


class TokenTrainer(DPOTrainer):
    """TRL's trainer on rows that are token ids already."""

    def _prepare_dataset(self, dataset, processing_class, args, dataset_name):
        return dataset


def token_ids(pair: Pair, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """The prompt and both completions under the chat template.

    A completion that max_tokens cut off is left open: the end that the template gives it was never written. Most
    rejected completions of a short limit are such, and a policy that is pushed away from ending them soon ends
    nothing any more.
    """
    prompt = tokenizer.apply_chat_template(pair.prompt, add_generation_prompt=True, return_dict=False)
    whole = [tokenizer.apply_chat_template(each, return_dict=False) for each in pair.conversations]
    # A template may write the start of an answer otherwise than the end of a prompt: what they share is the prompt.
    columns = enumerate(zip(prompt, *whole, strict=False))
    start = next((i for i, column in columns if len(set(column)) > 1), len(prompt))
    chosen, rejected = (
        _left_open(ids[start:], tokenizer.eos_token_id) if cut_off else ids[start:]
        for ids, cut_off in zip(whole, (pair.chosen_cut_off, pair.rejected_cut_off), strict=True)
    )
    return {"prompt_ids": prompt[:start], "chosen_ids": chosen, "rejected_ids": rejected}


def _left_open(completion: list[int], end: int) -> list[int]:
    """The completion without its end token and what the template writes after it."""
    places = [i for i, token in enumerate(completion) if token == end]
    return completion[: places[-1]] if places else completion


def make_trainer(stage: Stage, recipe: Dpo, tokenizer, pairs: list[Pair]) -> DPOTrainer:
    """TRL's trainer on these pairs, in this order; it computes the reference before it returns."""
    terms = {"loss_type": ["sigmoid"]}
    if recipe.nll_weight:
        terms = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, recipe.nll_weight]}
    config = DPOConfig(
        **training_arguments(recipe, rows=len(pairs), stage=stage),
        beta=recipe.beta,
        precompute_ref_log_probs=True,
        **terms,
    )
    return TokenTrainer(
        model=load_policy(stage.inputs["policy"], recipe),
        args=config,
        train_dataset=Dataset.from_list([token_ids(pair, tokenizer) for pair in pairs]),
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="CAUSAL_LM"),
        callbacks=[Reporter(stage)],
    )


if __name__ == "__main__":
    main(run)
