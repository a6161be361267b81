"""From a recipe to TRL's words: training arguments, precision, batches, adapters.

TRL's and PEFT's names are used here and in the stages only.
"""

import math
import os
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig

from training.recipe import Training

if TYPE_CHECKING:
    from training.pipeline.trainers import Stage


def can_bf16() -> bool:
    """Whether bf16 is fast here: on a CPU that computes in it (twice as fast as fp32), or a GPU that does."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def working_dtype(recipe: Training) -> torch.dtype:
    """The type that the policy's weights have while it trains.

    A small step is lost when it is added to a bf16 weight (eight bits of precision), so trained weights are
    kept in 32 bits and computed with in bf16 (autocast). Under LoRA the adapters are in 32 bits and the
    base, which does not move, need not be.
    """
    return torch.bfloat16 if recipe.method == "lora" and can_bf16() else torch.float32


def training_arguments(recipe: Training, *, rows: int, stage: "Stage") -> dict[str, Any]:
    """The arguments that all of TRL's configs share."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    micro_batch = recipe.micro_batch or min(8, recipe.batch)
    accumulation = max(1, recipe.batch // (micro_batch * processes))
    batches = math.ceil(rows / (micro_batch * processes))
    steps = math.ceil(math.ceil(batches / accumulation) * recipe.epochs)
    return {
        "output_dir": str(stage.run_dir / "trainer"),
        "seed": stage.seed,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": recipe.epochs,
        "train_sampling_strategy": "sequential",  # the rows come ordered: see batching
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": recipe.end_share},
        # At most half of a short run: warming up is not training.
        "warmup_steps": min(steps // 2, max(recipe.least_warmup_steps, math.ceil(recipe.warmup_share * steps))),
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "max_length": recipe.max_length,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "bf16": can_bf16(),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def adapter(recipe: Training, *, task: str) -> LoraConfig | None:
    """PEFT's words for LoRA on every linear layer; None for full training. `task` is CAUSAL_LM or SEQ_CLS."""
    if recipe.method == "full":
        return None
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
        task_type=task,
        # The reward head starts at random and is one row: it is trained whole and saved.
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
    )
