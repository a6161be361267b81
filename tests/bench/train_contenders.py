"""The contenders of `tests.bench.train`: a trainer in a process, which takes a step when it is told to.

- `TRL`: its DPOTrainer or RewardTrainer as its users configure it: the defaults of the documentation, all pairs of the
  rankings as rows, shuffled; in DPO a second model, in memory, is the reference;
- `TRL, best`: the same with what helps of all that its configuration offers (`BEST`), pairs of like length together;
- `ours`: the trainer that the product's stage makes.

All train every weight, in the same precision, with the same optimiser, one after the other on the same cores; how the
data was tokenised is not measured. A step is what lies between transformers' `on_step_begin` and `on_step_end`:
forward, back, clipping and the optimiser.
"""

import os
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from datasets import Dataset
from transformers import Trainer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from sampling.engine.run_dir import write_stage
from tests.bench.train_cases import Case, Steps, by_length, in_any_order, longest_of
from tests.bench.train_rows import OURS, TRL
from tests.bench.train_turns import Turns, now, peak_bytes, resident_bytes
from training.pipeline import dpo, reward_model
from training.pipeline.arguments import can_bf16
from training.pipeline.grouped.rankings import Ids, TokenPair
from training.pipeline.schedule import largest_divisor
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Dpo, RewardModel

Kind = Literal["dpo", "reward_model"]
KINDS: tuple[Kind, ...] = ("dpo", "reward_model")
AS_CONFIGURED = 8  # pairs at once: transformers' own default
# What helps TRL here. No help on a CPU: torch_compile (no step was done after three minutes), and 1, 2 or 6 pairs at
# once in place of 3 (within a tenth in CPU time, 1 slower by a fifth). padding_free does nothing in TRL 1.16.
BEST: dict[str, Any] = {"gradient_checkpointing": False}
BEST_OF_DPO: dict[str, Any] = {"precompute_ref_log_probs": True}
BEST_PAIRS = {"cpu": 4, "cuda": 16}  # at once
ONE_THAT_CLIPS_NOTHING = 1e9


@dataclass(frozen=True)
class Told:
    """What a contender is to train; ``tried`` are arguments of TRL's configuration, and ``pairs`` at once."""

    contender: str
    kind: Kind
    case: Case
    model: Path
    steps: Steps
    folder: Path
    seed: int
    tried: dict[str, Any] = field(default_factory=dict)
    gradients: Path | None = None  # where to write those of the last step; then the reference is moved aside

    @property
    def pairs(self) -> list[TokenPair]:
        return [pair for step in self.steps for pair in step]

    @property
    def bf16(self) -> bool:
        return self.case.precision == "auto" and can_bf16()


def work(pipe: Connection, told: Told) -> None:
    """Make the trainer, tell that it is ready, and train; each step waits until it is told to."""
    with (told.folder / f"{told.contender}.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    imported = resident_bytes()
    try:
        watch = _Reference()
        trainer = make(told, watch)
        turns = Turns(pipe, trainer, gradients=told.gradients)
        trainer.add_callback(turns)
        pipe.send({"reference_seconds": watch.seconds, "settings": _settings(trainer)})
        trainer.train()
        pipe.send({"peak_bytes": peak_bytes(), "imported_bytes": 0 if torch.cuda.is_available() else imported})
    except BaseException:
        pipe.send({"failed": traceback.format_exc()})


def make(told: Told, watch: "_Reference") -> Trainer:
    """The contender's trainer; ``watch`` sees how long its reference takes beforehand."""
    transformers.set_seed(told.seed)
    if told.contender == OURS:
        return _ours(told, watch)
    return _trl_dpo(told, watch) if told.kind == "dpo" else _trl_reward(told)


class _Reference:
    """How long log-probabilities of the reference took before the first step."""

    seconds = 0.0

    def timed(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = now()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += now() - began

        return call


class _AsGiven(DPOTrainer):
    """Takes pairs that are tokens already, as RewardTrainer does by itself."""

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset


def _trl_dpo(told: Told, watch: _Reference) -> Trainer:
    # Where gradients are compared, all are given the same reference.
    told_of_best = BEST_OF_DPO if told.gradients or told.contender != TRL else {}
    config = DPOConfig(**_trl_arguments(told, told_of_best))
    rows = [
        {"prompt_ids": list(each.prompt), "chosen_ids": list(each.chosen), "rejected_ids": list(each.rejected)}
        for each in _ordered(told)
    ]

    _AsGiven._precompute_ref_logps = watch.timed(DPOTrainer._precompute_ref_logps)
    trainer = _AsGiven(
        model=str(told.model),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(str(told.model)),
    )
    if told.gradients:
        sides = {"ref_chosen_logps": "chosen_ids", "ref_rejected_logps": "rejected_ids"}
        trainer.train_dataset = trainer.train_dataset.map(
            lambda row: {name: row[name] + aside(row[ids]) for name, ids in sides.items()}
        )
    return trainer


def _trl_reward(told: Told) -> Trainer:
    rows = [
        {"chosen_ids": [*each.prompt, *each.chosen], "rejected_ids": [*each.prompt, *each.rejected]}
        | ({"margin": each.margin} if told.case.with_margins else {})
        for each in _ordered(told)
    ]
    return RewardTrainer(
        model=str(told.model),
        args=RewardConfig(**_trl_arguments(told, {})),
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(str(told.model)),
    )


def _ordered(told: Told) -> list[TokenPair]:
    ordered = in_any_order(told.steps, seed=told.seed) if told.contender == TRL else by_length(told.steps)
    return [pair for step in ordered for pair in step]


def _trl_arguments(told: Told, best: dict[str, Any]) -> dict[str, Any]:
    """Where all contenders must agree, and what is left of TRL's own."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tried = dict(told.tried)
    most = tried.pop("pairs", AS_CONFIGURED if told.contender == TRL else BEST_PAIRS[device])
    together = told.case.pairs if told.gradients else largest_divisor(told.case.pairs, at_most=most)
    own = best if told.contender == TRL else BEST | best
    return {
        "output_dir": str(told.folder / told.contender),
        "seed": told.seed,
        "per_device_train_batch_size": together,
        "gradient_accumulation_steps": told.case.pairs // together,
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",  # the steps are the same for all
        "max_length": max(1024, longest_of(told.pairs)),
        "bf16": told.bf16,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        **({"max_grad_norm": ONE_THAT_CLIPS_NOTHING} if told.gradients else {}),
        **own,
        **tried,
    }


def _ours(told: Told, watch: _Reference) -> Trainer:
    """As `training.pipeline.dpo` and `reward_model` make them, on these pairs."""
    run_dir = told.folder / f"{told.contender}-{told.kind}"
    run_dir.mkdir()
    write_stage(run_dir, {"recipe": _recipe(told), "seed": told.seed, "inputs": {"policy": str(told.model)}})
    stage = Stage.start(run_dir)
    tokenizer = load_tokenizer(str(told.model))
    if told.kind == "reward_model":
        recipe = RewardModel.parse(stage.told, source="the bench")
        transformers.set_seed(told.seed)  # the head is drawn, as TRL draws its own
        return reward_model.make_trainer(stage, recipe, tokenizer, told.pairs)
    recipe = Dpo.parse(stage.told, source="the bench")
    dpo.DpoStage._precompute_ref_logps = watch.timed(dpo.DpoStage._precompute_ref_logps)
    trainer = dpo.make_trainer(stage, recipe, tokenizer, told.pairs, dpo.open_reference(stage, recipe))
    if told.gradients:
        for part, sums in trainer._sums_of.items():
            moved = [aside(completion) for ranking in part.rankings for completion in ranking.completions]
            trainer._sums_of[part] = sums + torch.tensor(moved)
    return trainer


def _recipe(told: Told) -> dict[str, Any]:
    clips = {"max_grad_norm": ONE_THAT_CLIPS_NOTHING} if told.gradients else {}
    return {
        "method": "full",
        "learning_rate": 1e-6,
        "epochs": 1,
        "batch": told.case.pairs,
        "precision": told.case.precision,
        "max_length": max(16, longest_of(told.pairs)),
        "least_rows": 1,
        "least_warmup_steps": 0,
        "warmup_share": 0,
        "probes": 0,
    } | clips


def aside(completion: list[int] | Ids) -> float:
    """By how much the reference of the parity case is moved, in nats: with the policy as its own reference, all pairs
    would weigh the same, and every loss would be ln 2.
    """
    return 4.0 * (sum(completion) % 5 - 2)


def _settings(trainer: Trainer) -> dict[str, Any]:
    return {
        "pairs_at_once": trainer.args.per_device_train_batch_size,
        "accumulation": trainer.args.gradient_accumulation_steps,
        "gradient_checkpointing": trainer.args.gradient_checkpointing,
        "bf16": trainer.args.bf16,
        "optimizer": str(trainer.args.optim),
        "threads": torch.get_num_threads(),
        **getattr(trainer, "settings", {}),
    }
