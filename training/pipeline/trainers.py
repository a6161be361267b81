"""What the training stages have in common: what they are told, progress, and the checkpoint.

TRL's names are used here and in the stages only. What was left out: resuming inside a stage (a stage that
was killed starts again, from its inputs), trackers, and checkpoints along the way: they hold pickles, and
resuming DPO from one resets a LoRA adapter.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
import trl.trainer.utils
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback

from sampling.engine.run_dir import METRICS, Progress, RunDirError, append_metrics, read_stage
from training.pipeline.arguments import working_dtype
from training.pipeline.preferences import Messages
from training.recipe import Training

ADDED_BY_PEFT = ("lora_", "modules_to_save", "original_module")
NOT_METRICS = ("epoch", "total_flos", "num_input_tokens_seen")


@dataclass
class Stage:
    """A run directory while its stage trains: what it was told, and where it says how far it is."""

    run_dir: Path
    seed: int
    inputs: dict[str, str]
    told: dict[str, Any]
    checkpoint: Path
    progress: Progress
    losses: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, run_dir: Path, *, unit: str = "steps") -> "Stage":
        """Read what is to be done and take away what an earlier attempt logged."""
        told = read_stage(run_dir)
        if is_main_process():
            (run_dir / METRICS).unlink(missing_ok=True)
        stage = cls(
            run_dir=run_dir,
            seed=told["seed"],
            inputs=told["inputs"],
            told=told["recipe"],
            checkpoint=run_dir / told.get("outputs_dir", "checkpoint"),
            progress=Progress(run_dir, unit=unit),
        )
        stage.say("loading")
        prepare_libraries(stage.seed)
        return stage

    def say(self, phase: str) -> None:
        """Show what the stage is doing."""
        if is_main_process():
            self.progress.update(phase=phase)


def is_main_process() -> bool:
    """False in all but one of the processes that accelerate launch started."""
    return os.environ.get("RANK", "0") == "0"


def prepare_libraries(seed: int) -> None:
    """Seeds and quiet libraries. Threads are the starter's to set (`sampling.engine.openmp`)."""
    transformers.set_seed(seed)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The policy's tokenizer; it must have a chat template, and is given a padding token if it has none."""
    check_model_is_there(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    if not tokenizer.chat_template:
        raise RunDirError(f"The tokenizer of {path} has no chat template. Add one, or choose a chat model.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_policy(path: str, recipe: Training) -> transformers.PreTrainedModel:
    """The policy that a stage starts from, in the type that it trains in."""
    check_model_is_there(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=working_dtype(recipe))
    freeze_embeddings(model, recipe)
    project_completions_only()
    return model


def freeze_embeddings(model: transformers.PreTrainedModel, recipe: Training) -> None:
    """Keep the token embeddings as they are if the recipe says so: a small model's largest matrix by far."""
    if not recipe.train_embeddings:
        model.get_input_embeddings().weight.requires_grad_(False)


def project_completions_only() -> None:
    """On a CPU too, have TRL's fused head project the positions that count in the loss, and no others.

    TRL 1.16 does so on GPUs alone, to spare compilers of other devices the changing shapes; a CPU compiles nothing,
    and half of our positions are prompt or padding. Same losses, a quarter less time in DPO.
    """
    if not torch.cuda.is_available():
        trl.trainer.utils._use_triton = lambda device: True


def check_model_is_there(path: str) -> None:
    """Refuse a directory that does not exist, before it is taken for a hub id."""
    if Path(path).is_absolute() and not (Path(path) / "config.json").is_file():
        raise RunDirError(
            f"{path} holds no model (config.json is missing). Choose another model, or run the stage that makes it."
        )


def conversation_lengths(tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Messages]) -> list[int]:
    """Tokens of each conversation under the chat template."""
    if not conversations:
        return []
    return [len(ids) for ids in tokenizer.apply_chat_template(list(conversations), return_dict=False)]


class Reporter(TrainerCallback):
    """Writes progress and metrics while a trainer runs, and keeps the losses."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.stage.progress.update(0, total=state.max_steps, phase="training")

    def on_step_end(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.stage.progress.update(state.global_step)

    def on_log(self, args, state, control, logs=None, **kwargs):
        # The last log repeats the final step with the run time in it.
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        values = {name: float(value) for name, value in logs.items() if name not in NOT_METRICS}
        self.stage.losses.append(values["loss"])
        append_metrics(self.stage.run_dir, step=state.global_step, **values)


def final_loss(losses: Sequence[float]) -> float:
    """The mean over the last fifth of the steps: a single batch's loss says little."""
    last = losses[-max(1, len(losses) // 5) :]
    return sum(last) / len(last)


class WeightWatch:
    """Remembers a few of the starting weights, to tell whether training moved what is saved."""

    def __init__(self, model: torch.nn.Module, *, tensors: int = 8) -> None:
        # PEFT wraps layers, and unwraps them when it merges: the names are those without it.
        named = [
            (name.removeprefix("base_model.model.").replace(".base_layer", ""), weight)
            for name, weight in model.named_parameters()
            if weight.ndim == 2 and not any(part in name for part in ADDED_BY_PEFT)
        ]
        every = max(1, len(named) // tensors)
        self.before = {name: weight.detach().clone() for name, weight in named[::every]}

    def share_changed(self, model: torch.nn.Module, dtype: torch.dtype) -> float:
        """The share of the remembered weights that differ from their start, both stored as `dtype`."""
        after = dict(model.named_parameters())
        changed = total = 0
        for name, before in self.before.items():
            changed += int((after[name].detach().cpu().to(dtype) != before.cpu().to(dtype)).sum())
            total += before.numel()
        if changed == 0:
            raise RunDirError(
                f"Training changed none of {total} weights once they are stored as {dtype}: the steps "
                "are smaller than what it can tell apart. Raise learning_rate or epochs in the recipe."
            )
        return changed / total


def save_checkpoint(trainer: transformers.Trainer, stage: Stage, watch: WeightWatch) -> float:
    """Merge adapters, save weights and tokenizer, and put the directory in place by one rename.

    The weights are stored in the type that the starting checkpoint has: autocast computed with weights
    rounded to bf16, so a bf16 checkpoint is the model that was trained. Returns the share of weights that moved.
    """
    stage.say("saving")
    model = trainer.accelerator.unwrap_model(trainer.model)
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
    shutil.rmtree(stage.checkpoint, ignore_errors=True)
    temporary.rename(stage.checkpoint)
    shutil.rmtree(stage.run_dir / "trainer", ignore_errors=True)
    return moved
