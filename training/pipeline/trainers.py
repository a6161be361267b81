"""What the training stages have in common: what they are told, the models they load, and the checkpoint they leave.

A stage builds its trainer and hands it to `Stage.train`, which does the rest: going on where an attempt before was
stopped, reports, probes and trackers while it trains, and saving. TRL's names are used here and in the stages only.
"""

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
import trl.trainer.utils
from transformers import AutoModelForCausalLM, Trainer
from trl.trainer.utils import disable_dropout_in_model

from sampling.engine.run_dir import (
    METRICS,
    Progress,
    RunDirError,
    read_metrics,
    read_stage,
    write_json,
)
from training.pipeline import memory, provenance, quantised, resuming, sharded, trackers
from training.pipeline.arguments import loading
from training.pipeline.chat_templates import check_model_is_there, conversation_lengths, load_tokenizer
from training.pipeline.preferences import Messages
from training.pipeline.probes import Policy, Probes, chosen_prompts
from training.pipeline.reporting import Reporter, final_loss
from training.pipeline.weight_watch import WeightWatch
from training.recipe import Training

__all__ = [
    "Stage",
    "Trained",
    "WeightWatch",
    "check_model_is_there",
    "conversation_lengths",
    "final_loss",
    "freeze_embeddings",
    "is_main_process",
    "load_policy",
    "load_tokenizer",
    "prepare_libraries",
    "project_completions_only",
    "save_checkpoint",
    "without_dropout",
]

TRAINED = "trained.json"


@dataclass(frozen=True)
class Trained:
    """What training came to; ``resumed_at`` is the step that it last went on from."""

    steps: int
    first_loss: float
    final_loss: float
    weights_changed: float  # share of the stored weights that differ from the stage's start
    resumed_at: int | None


@dataclass
class Stage:
    """A run directory while its stage trains: what it was told, and where it says how far it is."""

    run_dir: Path
    seed: int
    inputs: dict[str, Any]
    told: dict[str, Any]
    checkpoint: Path
    progress: Progress
    trackers: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=dict)
    resume: resuming.Checkpoint | None = None

    @classmethod
    def start(cls, run_dir: Path, *, unit: str = "steps") -> "Stage":
        """Read what is to be done, and look for what an earlier attempt left to go on from.

        If there is nothing, what it logged is taken away.
        """
        told = read_stage(run_dir)
        if is_main_process():
            provenance.write(run_dir, told)
        trackers.check_installed(told.get("trackers", []))
        identity = resuming.identity_of(told, provenance.code())
        stage = cls(
            run_dir=run_dir,
            seed=told["seed"],
            inputs=told["inputs"],
            told=told["recipe"],
            checkpoint=run_dir / told.get("outputs_dir", "checkpoint"),
            progress=Progress(run_dir, unit=unit),
            trackers=told.get("trackers", []),
            identity=identity,
            resume=resuming.newest(run_dir, identity, tidy=is_main_process()),
        )
        stage.say("loading")
        if stage.resume is None and stage.trained is None:
            stage.begin_anew()
        prepare_libraries(stage.seed)
        return stage

    def say(self, phase: str) -> None:
        """Show what the stage is doing."""
        if is_main_process():
            self.progress.update(phase=phase)

    def begin_anew(self) -> None:
        """Take away what an earlier attempt left, so that nothing of it passes for this one's."""
        self.resume = None
        self.losses = []
        if is_main_process():
            for name in (METRICS, resuming.PROBES, TRAINED):
                (self.run_dir / name).unlink(missing_ok=True)
            for name in (resuming.TRAINER, trackers.TENSORBOARD):
                shutil.rmtree(self.run_dir / name, ignore_errors=True)

    @property
    def trained(self) -> Trained | None:
        """What an earlier attempt of the same stage came to, if it had saved its weights."""
        content = resuming.read_mark(self.run_dir / TRAINED)
        if content is None or content["identity"] != self.identity or not (self.checkpoint / "config.json").is_file():
            return None
        return Trained(**content["trained"])

    def train(self, make: Callable[[], Trainer], recipe: Training, *, prompts: Sequence[Messages] = ()) -> Trained:
        """Train what ``make`` builds and save it; or go on from a checkpoint; or do nothing if it is trained already.

        ``make`` builds the trainer of the stage's start, weights and all. ``prompts`` are those that the policy may be
        asked while it trains: none for a model that cannot write. Nothing of the trainer is in memory afterwards.
        """
        if (trained := self.trained) is not None:
            self._tell_provenance(resuming.read_mark(self.run_dir / TRAINED)["settings"])
            return trained
        while True:
            try:
                return self._train(make, recipe, prompts)
            except resuming.BeginAnew as reason:
                if sharded.is_asked_for():  # a second model would be loaded where the first one's weights are spread
                    self.begin_anew()
                    raise RunDirError(f"{reason} Start the stage again: it begins from its start.") from None
                print(f"{reason} The stage begins again from its start.")
                self.begin_anew()
            finally:
                memory.free()
            transformers.set_seed(self.seed)  # of the first attempt some random numbers are drawn already

    def _train(self, make: Callable[[], Trainer], recipe: Training, prompts: Sequence[Messages]) -> Trained:
        with memory.smaller_after_out_of_memory(recipe, self.run_dir):
            trainer = make()
        quantised.keep_adapters_in_32_bits(trainer.model)
        watch = WeightWatch(trainer.model)
        self._add_callbacks(trainer, recipe, prompts)
        settings = settings_of(trainer)
        self._tell_provenance(settings)
        with memory.smaller_after_out_of_memory(recipe, self.run_dir):
            trainer.train(resume_from_checkpoint=str(self.resume.path) if self.resume else None)
        moved = save_checkpoint(trainer, self, watch)
        trained = Trained(
            steps=trainer.state.global_step,
            first_loss=self.losses[0],
            final_loss=final_loss(self.losses),
            weights_changed=moved,
            resumed_at=self.resume.step if self.resume else None,
        )
        self._remember(trained, settings)
        return trained

    def _add_callbacks(self, trainer: Trainer, recipe: Training, prompts: Sequence[Messages]) -> None:
        """In the order in which they are asked: what a probe finds is in the same step's row of metrics."""
        expected = self._go_on(trainer)
        reporter = Reporter(self, tokens=trainer._total_train_tokens)
        trainer.add_callback(reporter)
        if self.resume is not None:
            trainer.add_callback(resuming.Continuity(self.resume, expected=expected))
        if prompts and recipe.probes:
            asked = chosen_prompts(prompts, count=recipe.probe_prompts, seed=self.seed)
            policy = Policy(trainer, trainer.processing_class, prompts=asked, tokens=recipe.probe_tokens)
            if not policy.prompts:
                print("None of the probe prompts leaves room for an answer: the policy is not asked while it trains.")
            else:
                probes = Probes(policy, run_dir=self.run_dir, probes=recipe.probes, reporter=reporter, say=self.say)
                trainer.add_callback(probes)
        trainer.add_callback(
            resuming.Checkpoints(
                identity=self.identity,
                together=resuming.together(trainer),
                minutes=recipe.checkpoint_minutes,
                steps=recipe.checkpoint_steps,
                say=self.say,
            )
        )
        trackers.add_to(trainer, self.trackers, self.run_dir, resumed_at=self.resume.step if self.resume else None)

    def _go_on(self, trainer: Trainer) -> dict[int, float]:
        """Have the logs end where the checkpoint does; returns the losses that were logged beyond it, by step."""
        size = resuming.together(trainer)
        if self.resume is not None and self.resume.micro_batch != size:
            print(f"The checkpoint was made with {self.resume.micro_batch} in memory at once, now there are {size}.")
            self.begin_anew()
        if self.resume is None:
            return {}
        print(f"Going on from step {self.resume.step}.")
        # All processes read the curve before the main one cuts it.
        rows = read_metrics(self.run_dir)
        kept = [row for row in rows if row["step"] <= self.resume.step]
        trainer.accelerator.wait_for_everyone()
        if is_main_process():
            resuming.cut_back(self.run_dir, self.resume.step)
        self.losses = [float("nan") if row["loss"] is None else row["loss"] for row in kept]
        if kept and "num_tokens" in kept[-1]:
            trainer._total_train_tokens = int(kept[-1]["num_tokens"])  # TRL counts them, and saves no count
        return {row["step"]: row["loss"] for row in rows[len(kept) :] if row["loss"] is not None}

    def _tell_provenance(self, settings: dict[str, Any]) -> None:
        if is_main_process():
            provenance.change(self.run_dir, **settings)

    def _remember(self, trained: Trained, settings: dict[str, Any]) -> None:
        """That the weights are saved: an attempt that is stopped later, while it measures, trains nothing again."""
        if is_main_process():
            content = {"identity": self.identity, "trained": asdict(trained), "settings": settings}
            write_json(self.run_dir / TRAINED, content)
            shutil.rmtree(self.run_dir / resuming.TRAINER, ignore_errors=True)


def settings_of(trainer: Trainer) -> dict[str, Any]:
    """What of provenance is known only once there is a trainer."""
    return {
        "precision": "bf16" if trainer.args.bf16 else "fp32",
        "micro_batch": trainer.args.per_device_train_batch_size,
        "accumulation": trainer.args.gradient_accumulation_steps,
        "threads": provenance.threads(),
        **getattr(trainer, "settings", {}),
    }


def is_main_process() -> bool:
    """False in all but one of the processes that accelerate launch started."""
    return os.environ.get("RANK", "0") == "0"


def prepare_libraries(seed: int) -> None:
    """Seeds and quiet libraries. Threads are the starter's to set (`sampling.engine.openmp`)."""
    transformers.set_seed(seed)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def load_policy(path: str, recipe: Training) -> transformers.PreTrainedModel:
    """The policy that a stage starts from, in the type that it trains in."""
    check_model_is_there(path)
    model = AutoModelForCausalLM.from_pretrained(path, **loading(recipe))
    freeze_embeddings(model, recipe)
    project_completions_only()
    return model


def freeze_embeddings(model: transformers.PreTrainedModel, recipe: Training) -> None:
    """Keep the token embeddings as they are if the recipe says so: a small model's largest matrix by far."""
    if not recipe.train_embeddings:
        model.get_input_embeddings().weight.requires_grad_(False)


def without_dropout(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """Turn a policy's own dropout off where rows are pairs: the two sides must be told apart by nothing but themselves.

    TRL's ``disable_dropout`` does so once the adapters are in, and silently turns theirs off too, which the recipe asks
    for. They cost the first loss nothing: a new adapter adds nought to whatever it is given.
    """
    disable_dropout_in_model(model)
    return model


def project_completions_only() -> None:
    """On a CPU too, have TRL's fused head project the positions that count in the loss, and no others.

    TRL 1.16 does so on GPUs alone, to spare compilers of other devices the changing shapes; a CPU compiles nothing,
    and half of our positions are prompt or padding. Same losses in less time; rankings have a head of their own
    (`training.pipeline.grouped.heads`).
    """
    if not torch.cuda.is_available():
        trl.trainer.utils._use_triton = lambda device: True


def save_checkpoint(trainer: Trainer, stage: Stage, watch: WeightWatch) -> float:
    """Merge adapters, save weights and tokenizer, and put the directory in place by one rename.

    The weights are stored in the type that the starting checkpoint has: autocast computed with weights
    rounded to bf16, so a bf16 checkpoint is the model that was trained. Returns the share of weights that moved.
    """
    stage.say("saving")
    model = sharded.in_one_piece(trainer)
    if model is None:
        return math.nan  # the main process says it
    if quantised.is_quantised(model):
        model = quantised.on_unrounded_base(model, stage.inputs["policy"])
        watch = WeightWatch(model)  # that of the start saw packed bits
    if hasattr(model, "merge_and_unload"):
        # In 32 bits: adding a small adapter to bf16 weights would round most of it away before it is stored.
        model = model.float().merge_and_unload()
    dtype = transformers.AutoConfig.from_pretrained(stage.inputs["policy"]).dtype or torch.float32
    moved = watch.share_changed(model, dtype)
    if not is_main_process():
        return moved
    temporary = stage.run_dir / f".{stage.checkpoint.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    model.to(dtype).save_pretrained(temporary)
    trainer.processing_class.save_pretrained(temporary)
    resuming.let_others_read(temporary)
    resuming.flush(temporary)
    shutil.rmtree(stage.checkpoint, ignore_errors=True)
    temporary.rename(stage.checkpoint)
    return moved
