"""Weights that are spread over several devices, by FSDP2 or DeepSpeed's ZeRO-3, put together to be saved.

accelerate spreads them where it is told to (`accelerate launch --use_fsdp --fsdp_version 2`, or `--use_deepspeed`), and
gathers them into the memory of the main process. What is saved from there is a model in one piece, as ever.
"""

import os
from typing import Any

import torch
import transformers
from peft import PeftModel, get_peft_model
from transformers import Trainer

ON_META = torch.device("meta")


def is_asked_for() -> bool:
    """Whether whoever started this program asked accelerate to spread the weights."""
    return any(os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("true", "1") for name in ("FSDP", "DEEPSPEED"))


def in_one_piece(trainer: Trainer) -> torch.nn.Module | None:
    """The trained model, adapters and all; None on the processes that are not to save it, if its weights are spread."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return model
    state = trainer.accelerator.get_state_dict(trainer.model)  # all processes take part
    return put_together(model, state) if trainer.accelerator.is_main_process else None


def put_together(model: torch.nn.Module, state: dict[str, Any]) -> torch.nn.Module:
    """A model of the same making as ``model``, on the CPU, that holds ``state``: all weights by name, whole."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    # FSDP2 makes a class of its own of the model's: the one that it was made of comes next.
    kind = next(each for each in type(base).__mro__ if hasattr(transformers, each.__name__))
    with ON_META:
        whole = kind(base.config)
        if isinstance(model, PeftModel):
            whole = get_peft_model(whole, model.peft_config["default"])
    whole.load_state_dict({name: value.cpu() for name, value in state.items()}, assign=True, strict=False)
    (whole.get_base_model() if isinstance(whole, PeftModel) else whole).tie_weights()
    return whole
