"""Train the policy on preference pairs directly.

    python -m training.pipeline.dpo --run-dir DIR

TRL's DPOTrainer with the recipe's loss; with ``nll_weight`` also Llama 3's NLL term on the chosen completion. The
reference is the policy at the start of the stage, so the first loss is known beforehand (`first_loss_of`). Its log-
probabilities are computed once and kept (`reference_cache`), and no second model is held in memory.

Where TRL 1.16 differs from the papers: IPO divides each log-ratio by its completion's length, which the paper does not
say and its authors confirmed to TRL, so its beta is per token; the NLL term is a mean over the tokens of a micro batch,
where Pang et al. (arXiv 2404.19733, eq. 1), whom Llama 3 cites, take each completion's own mean, so that here long ones
count more, among rows of like length. Sigmoid, robust and length-normalised losses are the papers'. The policy's own
dropout is off, and the reference never has any; that of adapters is the recipe's.

Left out: TRL computes a prompt once for each side of each pair; grouping them is faster and would be our own trainer.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from datasets import Dataset
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer

from sampling.engine.run_dir import RunDirError, main
from training.pipeline.arguments import adapter, computes_in_bf16, order_of, training_arguments, working_dtype
from training.pipeline.pair_tokens import PairTokens
from training.pipeline.preferences import Pair, read_pairs, refuse_too_few, select, write_left_out
from training.pipeline.reference_cache import ReferenceCache, Sums, directory_of
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
    train = select(read_pairs(stage.inputs["pairs_train"]), recipe, lambda each: conversation_lengths(tokenizer, each))
    write_left_out(run_dir, "dpo", train.left_out)
    refuse_too_few(
        len(train.pairs),
        recipe.least_rows,
        what="pairs",
        stage="DPO",
        dropped=train.dropped,
        path=stage.inputs["pairs_train"],
    )
    order = order_of(recipe, train.lengths, stage=stage)
    reference = open_reference(stage, recipe)
    trained = stage.train(
        lambda: make_trainer(stage, recipe, tokenizer, [train.pairs[i] for i in order], reference),
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
    return ReferenceCache(directory, by_batch=bf16 or recipe.method == "qlora")


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


class TokenTrainer(DPOTrainer):
    """TRL's trainer on rows that are token ids already, with a reference that is remembered."""

    def __init__(self, *args: Any, stage: Stage, reference: ReferenceCache, **kwargs: Any) -> None:
        self.stage = stage
        self.reference = reference
        super().__init__(*args, **kwargs)  # asks for the reference

    def _prepare_dataset(self, dataset, processing_class, args, dataset_name):
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """TRL's own would write to a cache that no other run finds: its key is the dataset object's."""
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:  # shards of weights: TRL knows how, and remembers nothing
            return super()._precompute_ref_logps(dataset, name, batch_size)
        rows = list(dataset)
        keys = self.reference.keys(rows, batch=batch_size)
        missing = self.reference.batches_to_compute(keys, batch=batch_size)
        self.accelerator.wait_for_everyone()  # what one process adds below would be missing in another's list
        computed = self._compute_reference(rows, keys, missing)
        sums = [computed.get(key) or self.reference.get(key) for key in keys]
        chosen, rejected = zip(*sums, strict=True)
        return dataset.add_column("ref_chosen_logps", list(chosen)).add_column("ref_rejected_logps", list(rejected))

    def _compute_reference(self, rows: list[dict], keys: list[str], batches: list[list[int]]) -> dict[str, Sums]:
        """The sums of some batches of rows, by key: each process computes its share, and all get everything."""
        computed: dict[str, Sums] = {}
        mine = batches[self.accelerator.process_index :: self.accelerator.num_processes]
        for number, batch in enumerate(mine):
            if self.accelerator.is_main_process:
                self.stage.progress.update(number, total=len(mine), phase="computing the reference")
            inputs = self._prepare_inputs(self.data_collator([rows[i] for i in batch]))
            sides = self.compute_ref_log_probs(self.model, inputs)
            pairs = zip(*(side.float().tolist() for side in sides), strict=True)
            found = dict(zip([keys[i] for i in batch], pairs, strict=True))
            self.reference.add(found)
            computed |= found
        if self.accelerator.num_processes == 1:
            return computed
        return {key: sums for part in gather_object([computed]) for key, sums in part.items()}


def make_trainer(stage: Stage, recipe: Dpo, tokenizer, pairs: list[Pair], reference: ReferenceCache) -> TokenTrainer:
    """TRL's trainer on these pairs, in this order; it has the reference when it is returned."""
    tokens = PairTokens(tokenizer, mask_end_tokens=recipe.mask_end_tokens)
    rows = [tokens.of(pair) for pair in pairs]
    refuse_truncation(rows, recipe.max_length)
    config = DPOConfig(
        **training_arguments(recipe, rows=len(pairs), stage=stage),
        **loss_arguments(recipe),
        precompute_ref_log_probs=True,
        disable_dropout=False,
    )
    return TokenTrainer(
        model=without_dropout(load_policy(stage.inputs["policy"], recipe)),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="CAUSAL_LM"),
        stage=stage,
        reference=reference,
        callbacks=[StartsAtReference(reference)],
    )


def loss_arguments(recipe: Dpo) -> dict[str, Any]:
    """The loss in TRL's words: its terms with their weights, beta, and the share of flipped pairs."""
    terms = [(recipe.loss, 1.0)] + ([("sft", recipe.nll_weight)] if recipe.nll_weight else [])
    return {
        "loss_type": [name for name, _ in terms],
        "loss_weights": [weight for _, weight in terms],
        "beta": recipe.beta,
        "label_smoothing": recipe.label_smoothing,
    }


def refuse_truncation(rows: list[dict[str, list[int]]], max_length: int) -> None:
    """Raise rather than let TRL cut a row, of which nobody would hear: what is too long was left out before."""
    for row in rows:
        tokens = len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))
        if tokens > max_length:
            raise RunDirError(f"A pair of {tokens} tokens is longer than max_length ({max_length}): leave it out.")


if __name__ == "__main__":
    main(run)
