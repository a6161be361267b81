"""Losses of pairs, from one number of each completion: a sum of log-probabilities, or a reward.

All are weighted sums over pairs; whoever calls divides by the weight of the whole step, so that each pair of a step
counts the same wherever it was computed. Shapes: P pairs, C completions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

Tensor = torch.Tensor


@dataclass(frozen=True)
class DpoTerms:
    """What a recipe says of DPO's loss."""

    loss: str  # sigmoid, ipo, sigmoid_norm or robust
    beta: float
    label_smoothing: float = 0.0
    nll_weight: float = 0.0


def dpo_losses(log_ratios: Tensor, lengths: Tensor, chosen: Tensor, rejected: Tensor, terms: DpoTerms) -> Tensor:
    """Each pair's loss (P,) from the completions' log-ratios to the reference (C,) and lengths in tokens (C,).

    ``chosen`` and ``rejected`` (P,) are positions among the completions. As TRL 1.16 computes them: sigmoid is arXiv
    2305.18290, eq. 7; ipo arXiv 2310.12036, eq. 17, on means over tokens; sigmoid_norm arXiv 2411.15124, eq. 6; robust
    arXiv 2403.00409, eq. 12.
    """
    beta = terms.beta
    if terms.loss in ("ipo", "sigmoid_norm"):
        log_ratios = log_ratios / lengths.clamp(min=1)
    difference = log_ratios[chosen] - log_ratios[rejected]
    match terms.loss:
        case "sigmoid" | "sigmoid_norm":
            return -F.logsigmoid(beta * difference)
        case "ipo":
            return (difference - 1 / (2 * beta)) ** 2
        case "robust":
            flipped = terms.label_smoothing
            right, wrong = F.logsigmoid(beta * difference), F.logsigmoid(-beta * difference)
            return (-(1 - flipped) * right + flipped * wrong) / (1 - 2 * flipped)
        case _:
            raise ValueError(f"No loss is called {terms.loss}.")


def bradley_terry_losses(rewards: Tensor, chosen: Tensor, rejected: Tensor, margins: Tensor, center: float) -> Tensor:
    """Each pair's loss (P,) from the completions' rewards (C,): -log sigmoid(r_chosen - r_rejected - margin).

    Llama 2's margin (arXiv 2307.09288, eq. 2); ``center`` weighs (r_chosen + r_rejected)^2, which keeps rewards near
    nought (arXiv 2312.09244, section 2).
    """
    losses = -F.logsigmoid(rewards[chosen] - rewards[rejected] - margins)
    return losses + center * (rewards[chosen] + rewards[rejected]) ** 2 if center else losses
