"""How much of a GPU's arithmetic a step makes use of: model FLOPs utilisation (PaLM, arXiv 2204.02311, appendix B).

Each token takes 6 N FLOPs forward and back, N the weights that it is multiplied with, and 12 L W T for attention over T
tokens in L layers that are W wide in all heads together. T is a prompt with its completion, whole, as in that paper, so
that what a causal mask saves counts as done. The reference's forward passes, padding and what is computed again under
gradient checkpointing count as nothing: they are no part of the model's step. A prompt that is shared counts once.
"""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

# FLOPs per second in bf16, dense, by what a device's name has in it: NVIDIA's data sheets of the A100 80GB, H100 SXM,
# H200 SXM and B200.
PEAKS = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12}


@dataclass(frozen=True)
class Size:
    """What FLOPs depend on."""

    weights: int  # that every token is multiplied with
    layers: int
    width: int


def size_of(model: PreTrainedModel) -> Size:
    """The head counts, and the embeddings, which are looked up, do not; where they are one matrix, it counts once."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    is_tied = head is not None and head.weight is embeddings.weight
    weights = sum(each.numel() for each in model.parameters()) - (0 if is_tied else embeddings.weight.numel())
    config = model.config.get_text_config()
    head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Size(weights, config.num_hidden_layers, config.num_attention_heads * head_width)


def of_step(size: Size, *, tokens: int, lengths: list[int]) -> float:
    """FLOPs of ``tokens`` tokens, of completions whose ``lengths`` count their prompts."""
    seen = sum(length * length for length in lengths) / sum(lengths)  # by a token, in the mean
    return tokens * (6 * size.weights + 12 * size.layers * size.width * seen)


def peak() -> float | None:
    """FLOPs per second that this GPU could do; None without one, and for one that is not in the table."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((flops for known, flops in PEAKS.items() if known in name), None)
