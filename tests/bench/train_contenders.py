"""The contenders of `tests.bench.train`: a trainer in a process, which takes a step when it is told to.

- `TRL`: its DPOTrainer or RewardTrainer as its users configure it: the defaults of the documentation, all pairs of the
  rankings as rows, shuffled; in DPO a second model, in memory, is the reference;
- `TRL, best`: the same with what helps of all that its configuration offers (`BEST`), pairs of like length together;
- `ours`: the trainer that the product's stage makes.

All train every weight, in the same precision, with the same optimiser, one after the other on the same cores; how the
data was tokenised is not measured. A step is what lies between transformers' `on_step_begin` and `on_step_end`:
forward, back, clipping and the optimiser.
"""

import contextlib
import os
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from datasets import Dataset
from safetensors.torch import save_file
from transformers import Trainer, TrainerCallback
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from sampling.engine.run_dir import write_stage
from tests.bench import train_flops
from tests.bench.train_cases import Case, Steps, by_length, in_any_order, longest_of
from training.pipeline import dpo, reward_model
from training.pipeline.arguments import can_bf16
from training.pipeline.grouped.rankings import Ids, TokenPair
from training.pipeline.schedule import largest_divisor
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Dpo, RewardModel

TRL, BEST_TRL, OURS = "TRL", "TRL, best", "ours"
CONTENDERS = (TRL, BEST_TRL, OURS)
Kind = Literal["dpo", "reward_model"]
KINDS: tuple[Kind, ...] = ("dpo", "reward_model")
AS_CONFIGURED = 8  # pairs at once: transformers' own default
# What helps TRL here; tried and no help, or no choice: see `make bench-train TRY=...` and the README.
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
        turns = _Turns(pipe, trainer, told)
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
            began = _now()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += _now() - began

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


class _Turns(TrainerCallback):
    """Has each step wait, and tells what it took."""

    def __init__(self, pipe: Connection, trainer: Trainer, told: Told) -> None:
        self.pipe, self.told = pipe, told
        self.seen: dict[str, Any] = {}
        self.size = train_flops.size_of(trainer.model)
        if told.contender == OURS:
            trainer.rows = self._counting_rows(trainer.rows)
        else:
            trainer.compute_loss = self._counting_batches(trainer.compute_loss)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.pipe.recv()
        self.seen = {"tokens": 0, "positions": 0, "flops": 0.0}
        self.began, self.cpu_began = _now(), time.process_time()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if self.told.gradients and state.global_step == state.max_steps - 1:
            gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
            save_file({name: each.float().cpu().contiguous() for name, each in gradients.items()}, self.told.gradients)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seen["seconds"] = _now() - self.began
        self.seen["cpu_seconds"] = time.process_time() - self.cpu_began

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in (logs or {}):  # the last one is a summary
            self.pipe.send(self.seen | {"loss": logs["loss"]})

    def _counting_rows(self, rows: Any) -> Any:
        def counted(part: Any) -> Any:
            made = rows(part)
            lengths = [len(each.prompt) + len(one) for each in part.rankings for one in each.completions]
            self._count(made.tokens, made.positions, lengths)
            return made

        return counted

    def _counting_batches(self, compute_loss: Any) -> Any:
        def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            lengths = inputs["attention_mask"].sum(1).tolist()
            self._count(sum(lengths), inputs["input_ids"].numel(), lengths)
            return compute_loss(model, inputs, *args, **kwargs)

        return counted

    def _count(self, tokens: int, positions: int, lengths: list[int]) -> None:
        self.seen["tokens"] += tokens
        self.seen["positions"] += positions
        self.seen["flops"] += train_flops.of_step(self.size, tokens=tokens, lengths=lengths)


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


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_bytes() -> int:
    """The most memory that was held at once: on a GPU what torch took of it, else this process's resident set."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return _status("VmHWM")


def resident_bytes() -> int:
    """What this process holds now."""
    return _status("VmRSS")


def _status(name: str) -> int:
    """A line of /proc/self/status (proc(5)), in bytes; 0 where there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
