"""QLoRA (arXiv 2305.14314): adapters are trained on a base that is held in four bits.

NF4 with double quantisation, computed with in bf16, by bitsandbytes. The four bits are scaffolding: at the end the
adapters are added to the weights as they were stored, never to the rounded ones, so the checkpoint loses nothing to
them but what the adapters were trained against.
"""

import importlib
from typing import TYPE_CHECKING

import torch
from peft import PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

from sampling.engine.run_dir import RunDirError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

# The heads of language models and of reward models: the one decides every token, the other is trained.
IN_FULL = ["lm_head", "score"]


def four_bits() -> "BitsAndBytesConfig":
    """How the base is quantised; raises `RunDirError` where bitsandbytes cannot run."""
    from transformers import BitsAndBytesConfig

    check_bitsandbytes()
    keep_one_layout()
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=IN_FULL,
    )


def keep_one_layout() -> None:
    """Have layers that are made from now on keep their bits in the layout through which gradients flow.

    On a CPU with bf16 instructions bitsandbytes 0.50 rearranges a layer's bits the first time that it is asked outside
    of training (a reference, a probe), for a kernel without a backward pass. It leaves them so, and all layers below
    would learn nothing, with no more than a warning.
    """
    modules = importlib.import_module("bitsandbytes.nn.modules")
    modules.has_avx512bf16 = lambda: False


def check_bitsandbytes() -> None:
    """Quantise a few numbers: that a library is installed does not mean that it has kernels for this machine."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        functional = importlib.import_module("bitsandbytes.functional")
        functional.quantize_4bit(torch.zeros(64, device=device), quant_type="nf4", blocksize=64)
    except Exception as error:
        raise RunDirError(
            f"bitsandbytes, which QLoRA needs, does not run on this machine ({type(error).__name__}: {error}). "
            'Install the packages again with make, or set method to "lora" in the recipe.'
        ) from error


def is_quantised(model: torch.nn.Module) -> bool:
    """Whether a model's base is held in four bits."""
    return bool(getattr(model, "is_loaded_in_4bit", False))


def keep_adapters_in_32_bits(model: torch.nn.Module) -> None:
    """Undo TRL, which rounds a quantised model's adapters to bf16: a small step is lost when added to such a weight."""
    if is_quantised(model):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()


def on_unrounded_base(model: PeftModel, path: str) -> PeftModel:
    """The trained adapters on the weights that the checkpoint ``path`` holds, in 32 bits, ready to be merged.

    A reward model is loaded as one: as a causal language model it would lose its head.
    """
    quantised = model.get_base_model()
    config = quantised.config.__class__.from_pretrained(path, num_labels=quantised.config.num_labels)
    base = type(quantised).from_pretrained(path, config=config, dtype=torch.float32)
    whole = get_peft_model(base, model.peft_config["default"])
    set_peft_model_state_dict(whole, get_peft_model_state_dict(model))
    return whole
