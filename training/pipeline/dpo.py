"""Train the policy on preference pairs directly.

    python -m training.pipeline.dpo --run-dir DIR

TRL's DPOTrainer on whole rankings (`training.pipeline.grouped`), with the recipe's loss; with ``nll_weight`` also
Llama 3's NLL term on the chosen completion. The reference is the policy at the start of the stage, so the first loss is
known beforehand (`first_loss_of`). Its log-probabilities are computed once and kept (`reference_cache`), and no
second model is held in memory while it trains.

Where this differs from the papers, as TRL 1.16 does: IPO divides each log-ratio by its completion's length, which the
paper does not say and its authors confirmed to TRL, so its beta is per token; the NLL term is a mean over the tokens of
a step, where Pang et al. (arXiv 2404.19733, eq. 1), whom Llama 3 cites, take each completion's own mean, so that here
long ones count more. Sigmoid, robust and length-normalised losses are the papers'. The policy's own dropout is off, and
the reference never has any; that of adapters is the recipe's.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import TrainerCallback
from trl import DPOConfig
from trl.models import prepare_deepspeed

from sampling.engine.run_dir import RunDirError, main
from training.pipeline.arguments import adapter, computes_in_bf16, training_arguments, working_dtype
from training.pipeline.grouped.losses import DpoTerms
from training.pipeline.grouped.plan import Part
from training.pipeline.grouped.planning import make_plan
from training.pipeline.grouped.rankings import TokenPair
from training.pipeline.grouped.tokens import for_log_probs
from training.pipeline.grouped.trainer import GroupedDpoTrainer, Planned
from training.pipeline.preferences import read_pairs, refuse_too_few, select, write_left_out
from training.pipeline.reference_cache import ReferenceCache, directory_of
from training.pipeline.resuming import BeginAnew, device
from training.pipeline.trainers import Stage, conversation_lengths, load_policy, load_tokenizer, without_dropout
from training.recipe import Dpo

FIRST_REWARDS = ("rewards/chosen", "rewards/rejected")
TOLERANCE = 1e-3  # of a mean over a batch; in bf16 the batches of the reference are those of training


@dataclass(frozen=True)
class Result:
    """What goes into result.json."""

    pairs: int
    dropped: dict[str, int]
    first_loss: float
    final_loss: float
    steps: int
    weights_changed: float
    resumed_at: int | None  # the step that it went on from, where an attempt before was stopped
    reference_cached: bool | None  # nothing of the reference had to be computed; null where nothing of it was asked
    seconds: float


def run(run_dir: Path) -> Result:
    """Train and save."""
    started = time.monotonic()
    stage = Stage.start(run_dir)
    recipe = Dpo.parse(stage.told, source="stage.json")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    chosen = select(read_pairs(stage.inputs["pairs_train"]), recipe, lambda each: conversation_lengths(tokenizer, each))
    tokenised = for_log_probs(chosen, tokenizer, mask_end_tokens=recipe.mask_end_tokens)
    train = tokenised.selection
    write_left_out(run_dir, "dpo", train.left_out)
    refuse_too_few(
        len(train.pairs),
        recipe.least_rows,
        what="pairs",
        stage="DPO",
        dropped=train.dropped,
        path=stage.inputs["pairs_train"],
    )
    if all(pair.tie for pair in train.pairs) and not recipe.nll_weight:
        raise RunDirError(
            f"{stage.inputs['pairs_train']} has nothing but ties: both orders of each pull alike, and nothing would be "
            "learned. Collect judgments that prefer a completion, or choose another snapshot."
        )
    reference = open_reference(stage, recipe)
    trained = stage.train(
        lambda: make_trainer(stage, recipe, tokenizer, tokenised.tokens, reference),
        recipe,
        prompts=[pair.prompt for pair in train.pairs],
    )
    return Result(
        pairs=len(train.pairs),
        dropped=train.dropped,
        first_loss=trained.first_loss,
        final_loss=trained.final_loss,
        steps=trained.steps,
        weights_changed=trained.weights_changed,
        resumed_at=trained.resumed_at,
        reference_cached=reference.cached,
        seconds=time.monotonic() - started,
    )


def first_loss_of(recipe: Dpo) -> float:
    """What the loss is while the policy still is the reference, without the NLL term: every log-ratio is 0."""
    if recipe.loss == "ipo":
        return 1 / (4 * recipe.beta**2)  # (0 - 1 / (2 beta))^2
    return math.log(2)  # -log sigmoid(0); for robust ((1 - e) log 2 - e log 2) / (1 - 2 e)


def open_reference(stage: Stage, recipe: Dpo) -> ReferenceCache:
    """What is known of the policy at the start of this stage, computed as it will be here."""
    bf16 = computes_in_bf16(recipe)
    numbers = [recipe.method, str(working_dtype(recipe)), f"bf16={bf16}", device()]
    directory = directory_of(stage.inputs.get("caches"), stage.inputs["policy"], numbers)
    return ReferenceCache(directory, by_part=bf16 or recipe.method == "qlora")


class StartsAtReference(TrainerCallback):
    """Sees at the first step that the policy is its reference: the reward of either side is nought then.

    If numbers from the cache say otherwise, they are thrown away and the stage begins anew. Numbers that were computed
    just now are believed, and the log says what is wrong.
    """

    def __init__(self, reference: ReferenceCache) -> None:
        self.reference = reference

    def on_log(self, args, state, control, logs=None, **kwargs):
        rewards = [float(value) for name, value in (logs or {}).items() if name in FIRST_REWARDS]
        tolerance = TOLERANCE * max(1.0, args.beta)
        if state.global_step != 1 or all(abs(each) <= tolerance for each in rewards):
            return
        found = (
            f"At the first step the rewards of the chosen and the rejected side are {rewards[0]:.4f} and "
            f"{rewards[1]:.4f}, where the policy still is its reference and both are 0."
        )
        if self.reference.unknown == self.reference.asked:
            print(f"{found} The policy computes otherwise while it trains; is there a dropout in its config?")
            return
        self.reference.forget()
        raise BeginAnew(f"{found} What was known of the reference is thrown away and computed again.")


class DpoStage(GroupedDpoTrainer):
    """DPO on whole rankings, with a reference that is remembered."""

    def __init__(self, *args: Any, stage: Stage, reference: ReferenceCache, planned: Planned, **kwargs: Any) -> None:
        self.stage = stage
        self.reference = reference
        self._sums_of: dict[Part, torch.Tensor] = {}
        way = planned.way
        reference.computed_as = f"{way.layout} flex={way.flex} chunks={way.in_chunks}"
        super().__init__(*args, planned=planned, **kwargs)  # asks for the reference

    def reference_of(self, part: Part) -> torch.Tensor:
        return self._sums_of[part]

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """TRL's own would write to a cache that no other run finds, and would compute each side of each pair.

        Each process computes what it will train on, in the parts in which it will; those are of like length already.
        """
        numbers = range(self.accelerator.process_index, len(dataset), self.accelerator.num_processes)
        parts = [part for number in numbers for part in self.planned.item(number).parts]
        if not self.is_deepspeed_enabled:
            parts = list(dict.fromkeys(parts))
        known = {part: self.reference.get(part) for part in parts}
        with self._as_reference() as model:
            for number, part in enumerate(parts):
                # Sharded weights come together for all processes or for none: there each computes all of its parts.
                if (sums := None if self.is_deepspeed_enabled else known[part]) is None:
                    if self.accelerator.is_main_process:
                        self.stage.progress.update(number, total=len(parts), phase="computing the reference")
                    with torch.no_grad(), self.accelerator.autocast():
                        sums = model(rows=self.rows(part)).values.float().tolist()
                    self.reference.add(part, sums)
                self._sums_of[part] = torch.tensor(sums)
        return dataset

    @contextlib.contextmanager
    def _as_reference(self) -> Iterator[torch.nn.Module]:
        """The policy as it starts: adapters off, no dropout, on its device."""
        model = prepare_deepspeed(self.model, self.accelerator) if self.is_deepspeed_enabled else self.model
        came_from, was_training = next(self.model.parameters()).device, self.model.training
        if self.is_fsdp_enabled:  # which spreads it when training begins
            self.model.to(self.accelerator.device)
        self.model.eval()
        try:
            with self.model.disable_adapter() if isinstance(self.model, PeftModel) else contextlib.nullcontext():
                yield model
        finally:
            self.model.train(was_training)
            if self.is_fsdp_enabled:
                self.model.to(came_from)


def make_trainer(
    stage: Stage, recipe: Dpo, tokenizer, pairs: Sequence[TokenPair], reference: ReferenceCache
) -> DpoStage:
    """The trainer on these pairs; it has the reference when it is returned."""
    model = without_dropout(load_policy(stage.inputs["policy"], recipe))
    planned = make_plan(model, pairs, of="log_probs", stage=stage, recipe=recipe, pad_token_id=tokenizer.pad_token_id)
    terms = DpoTerms(recipe.loss, recipe.beta, recipe.label_smoothing, recipe.nll_weight)
    config = DPOConfig(
        **training_arguments(recipe, rows=len(pairs), stage=stage, rankings=planned.settings["rankings"]),
        beta=recipe.beta,
        precompute_ref_log_probs=True,
        disable_dropout=False,
    )
    return DpoStage(
        model=model,
        args=config,
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="CAUSAL_LM"),
        planned=planned,
        terms=terms,
        stage=stage,
        reference=reference,
        callbacks=[StartsAtReference(reference)],
    )


if __name__ == "__main__":
    main(run)
