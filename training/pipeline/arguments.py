"""From a recipe to TRL's words: training arguments, precision, batches, adapters.

TRL's and PEFT's names are used here and in the stages only. Torch is imported where it is used, so that the schedule
can be asked for without it.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_never

from sampling.engine.run_dir import RunDirError
from training.pipeline import memory
from training.pipeline.batching import order_by_length
from training.pipeline.schedule import Schedule, schedule_of
from training.recipe import Training

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

    from training.pipeline.trainers import Stage

__all__ = [
    "Schedule",
    "adapter",
    "can_bf16",
    "computes_in_bf16",
    "enough_together",
    "loading",
    "order_of",
    "processes",
    "schedule_here",
    "schedule_of",
    "tokens_together",
    "training_arguments",
    "working_dtype",
]

ENOUGH_ON_A_CPU = 1024  # tokens that go through the model at once


def can_bf16() -> bool:
    """Whether bf16 is fast here: on a CPU that computes in it (twice as fast as fp32), or a GPU that does."""
    import torch

    if torch.cuda.is_available():
        return _gpu_computes_in_bf16()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _gpu_computes_in_bf16() -> bool:
    """Not that it can hold such numbers, which is torch's default: an old GPU computes them in 32 bits, and slower."""
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def computes_in_bf16(recipe: Training) -> bool:
    """Whether matrices are multiplied in bf16. A CPU without it is slow at it, and right; an old GPU cannot."""
    match recipe.precision:
        case "auto":
            return can_bf16()
        case "fp32":
            return False
        case "bf16":
            import torch

            if torch.cuda.is_available() and not _gpu_computes_in_bf16():
                raise RunDirError('This GPU does not compute in bf16. Set precision to "fp32" or "auto" in the recipe.')
            return True
        case _:
            assert_never(recipe.precision)


def working_dtype(recipe: Training) -> "torch.dtype":
    """The type that the policy's weights have while it trains.

    A small step is lost when it is added to a bf16 weight (eight bits of precision), so trained weights are
    kept in 32 bits and computed with in bf16 (autocast). Under LoRA the adapters are in 32 bits and the
    base, which does not move, need not be.
    """
    import torch

    match recipe.method:
        case "full":
            return torch.float32
        case "lora":
            return torch.bfloat16 if computes_in_bf16(recipe) else torch.float32
        case "qlora":
            return torch.bfloat16
        case _:
            assert_never(recipe.method)


def loading(recipe: Training) -> dict[str, Any]:
    """What `from_pretrained` is told of types: the working one and, for QLoRA, how the base is quantised."""
    told: dict[str, Any] = {"dtype": working_dtype(recipe)}
    if recipe.method == "qlora":
        from training.pipeline.quantised import four_bits

        told["quantization_config"] = four_bits()
    return told


def schedule_here(recipe: Training, *, rows: int, stage: "Stage", rankings: int | None = None) -> Schedule:
    """The schedule on this machine: as many processes as were started, as many rows together as a device holds."""
    return schedule_of(recipe, rows, processes(), micro_batch=_rows_together(recipe, stage), rankings=rankings)


def tokens_together(recipe: Training, schedule: Schedule) -> int:
    """Tokens of pairs that go through the model at once: as many as a micro batch of the longest pairs has."""
    return 2 * schedule.micro_batch * recipe.max_length


def enough_together(tokens: int) -> int:
    """How many of ``tokens`` are worth putting together: on a CPU fewer, where more are no faster and take memory."""
    import torch

    return tokens if torch.cuda.is_available() else min(tokens, ENOUGH_ON_A_CPU)


def order_of(recipe: Training, lengths: Sequence[int], *, stage: "Stage") -> list[int]:
    """The indices of the rows in the order to train on; rows that are read together are of like length."""
    schedule = schedule_here(recipe, rows=len(lengths), stage=stage)
    return order_by_length(lengths, batch=schedule.micro_batch, seed=stage.seed)


def training_arguments(recipe: Training, *, rows: int, stage: "Stage", rankings: int | None = None) -> dict[str, Any]:
    """The arguments that all of TRL's configs share. With ``rankings``, an item of the data is a whole step.

    An epoch's last batch may be short; transformers divides its loss by the micro batches that it has, not by those
    that a full one has. The first step of a warm-up has a learning rate of nought.
    """
    import torch

    schedule = schedule_here(recipe, rows=rows, stage=stage, rankings=rankings)
    return {
        "output_dir": str(stage.run_dir / "trainer"),
        "seed": stage.seed,
        "per_device_train_batch_size": schedule.micro_batch if rankings is None else 1,
        "gradient_accumulation_steps": schedule.accumulation if rankings is None else 1,
        "num_train_epochs": recipe.epochs,
        "train_sampling_strategy": "sequential",  # the rows come ordered: see batching
        "learning_rate": recipe.learning_rate,
        "warmup_steps": schedule.warmup_steps,
        **_learning_rate_schedule(recipe),
        **_optimizer(recipe),
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "max_length": recipe.max_length,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "bf16": computes_in_bf16(recipe),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would log a loss of 0 in place of one that is not a number
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def adapter(recipe: Training, *, task: str) -> "LoraConfig | None":
    """PEFT's words for LoRA on every linear layer; None for full training. `task` is CAUSAL_LM or SEQ_CLS."""
    if recipe.method == "full":
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
        task_type=task,
        # The reward head starts at random and is one row: it is trained whole and saved.
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
    )


def _learning_rate_schedule(recipe: Training) -> dict[str, Any]:
    """After the warm-up: down to ``end_share`` along a cosine, down to nothing along a line, or not at all."""
    match recipe.lr_schedule:
        case "cosine":
            return {
                "lr_scheduler_type": "cosine_with_min_lr",
                "lr_scheduler_kwargs": {"min_lr_rate": recipe.end_share},
            }
        case "linear":
            return {"lr_scheduler_type": "linear"}
        case "constant":
            return {"lr_scheduler_type": "constant_with_warmup"}
        case _:
            assert_never(recipe.lr_schedule)


def _optimizer(recipe: Training) -> dict[str, Any]:
    """RMSProp (the DPO paper's) is torch's, with its own defaults: smoothing 0.99, epsilon 1e-8, no momentum."""
    match recipe.optimizer:
        case "adamw":
            return {
                "optim": "adamw_torch_fused",
                "adam_beta1": recipe.adam_beta1,
                "adam_beta2": recipe.adam_beta2,
                "adam_epsilon": recipe.adam_epsilon,
            }
        case "rmsprop":
            return {"optim": "rmsprop"}
        case _:
            assert_never(recipe.optimizer)


def processes() -> int:
    """How many were started to train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _rows_together(recipe: Training, stage: "Stage") -> int:
    return memory.rows_together(
        recipe,
        policy=stage.inputs.get("policy", ""),
        run_dir=stage.run_dir,
        bf16=computes_in_bf16(recipe),
        processes=processes(),
    )
