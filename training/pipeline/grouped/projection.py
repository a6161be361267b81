"""Log-probabilities of tokens from the states before them, without the logits of all of them at once.

On a GPU by TRL's kernel, in Triton. On a CPU that kernel's fallback computes gradients in 32 bits and each tile twice;
here the gradient's direction is found while the tile is there, which a frozen head (LoRA, or a recipe that keeps the
embeddings as they are) never needs again.
"""

from dataclasses import dataclass

import torch
from torch.distributed.tensor import DTensor, Partial
from trl.kernels import ChunkedLogProbFunction

TOKENS = 512  # on a CPU, of a tile that is all of the vocabulary wide: 100 MB in 32 bits for 49,152 words
WORDS = 32_768  # on a GPU, of a tile for up to 4,096 tokens: TRL's own choice
Tensor = torch.Tensor


@dataclass(frozen=True)
class OfTokens:
    """What is known of N tokens; only the first has a gradient."""

    log_probs: Tensor  # (N,) in nats
    entropy: Tensor  # (N,) in nats, of the prediction
    said_right: Tensor  # (N,) whether the token was the likeliest


def chunked(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> OfTokens:
    """Of ``targets`` (N,), predicted from ``states`` (N, width) by a head of ``weight`` (vocabulary, width)."""
    if isinstance(weight, DTensor):  # FSDP2 with a head of its own
        # Each process has gradients of its own tokens; FSDP's are means over the processes.
        mean = [Partial("avg")] * weight.device_mesh.ndim
        weight = weight.full_tensor(grad_placements=mean)
        bias = None if bias is None else bias.full_tensor(grad_placements=mean)
    if states.device.type == "cpu" and bias is None:
        return OfTokens(*_OnCpu.apply(states, weight, targets))
    found = ChunkedLogProbFunction.apply(
        states, weight, bias, targets, 1.0, WORDS, None, 1.0, ("log_probs", "entropy", "is_top1")
    )
    return OfTokens(found[0], found[1].detach(), found[4])


class _OnCpu(torch.autograd.Function):
    """d log p(y) / d state = W[y] - p W: computed with the tile, and multiplied by what comes back."""

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype
        table = weight.to(dtype)
        needs_states, needs_weight, _ = ctx.needs_input_grad
        directions = states.new_empty(states.shape) if needs_states else None
        rights = states.new_empty(len(states), dtype=torch.bool)
        log_probs, entropy = (states.new_empty(len(states), dtype=torch.float32) for _ in range(2))
        for at in _tiles(len(states)):
            of_all = _log_softmax(states[at], table, dtype)
            log_probs[at] = of_all.gather(1, targets[at, None]).squeeze(1)
            said = of_all.amax(1)
            probabilities = of_all.exp()
            entropy[at] = -torch.linalg.vecdot(probabilities, of_all)
            if directions is not None:
                directions[at] = table[targets[at]] - probabilities.to(dtype) @ table
            rights[at] = said == log_probs[at]
        ctx.save_for_backward(states if needs_weight else None, weight if needs_weight else None, targets, directions)
        ctx.dtype = dtype
        ctx.mark_non_differentiable(entropy, rights)
        return log_probs, entropy, rights

    @staticmethod
    def backward(ctx, gradient: Tensor, *_) -> tuple[Tensor | None, Tensor | None, None]:
        states, weight, targets, directions = ctx.saved_tensors
        of_states = None if directions is None else (directions * gradient[:, None]).to(directions.dtype)
        if weight is None:
            return of_states, None, None
        table, of_weight = weight.to(ctx.dtype), torch.zeros_like(weight, dtype=torch.float32)
        for at in _tiles(len(states)):
            logits = _log_softmax(states[at], table, ctx.dtype).exp_().neg_()
            logits[torch.arange(len(logits)), targets[at]] += 1
            of_weight += (logits * gradient[at, None]).to(ctx.dtype).t() @ states[at].to(ctx.dtype)
        return of_states, of_weight.to(weight.dtype), None


def _log_softmax(states: Tensor, table: Tensor, dtype: torch.dtype) -> Tensor:
    logits = states.to(dtype) @ table.t()
    if dtype == torch.float32:  # torch's log_softmax adds up word by word: of 49,152 it is 1e-5 off, gradients and all
        return logits.sub_(logits.logsumexp(1, keepdim=True))
    return torch.log_softmax(logits, dim=1, dtype=torch.float32)


def _tiles(count: int) -> list[slice]:
    return [slice(start, min(start + TOKENS, count)) for start in range(0, count, TOKENS)]
