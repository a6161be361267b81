"""Losses of pairs by hand; that they are TRL's is test_parity's."""

import math

import pytest
import torch

from training.pipeline.grouped.losses import DpoTerms, bradley_terry_losses, dpo_losses

# Three completions of 2, 4 and 1 tokens; the pairs are first over second, and third over first.
RATIOS = torch.tensor([0.4, -0.6, 0.1])
LENGTHS = torch.tensor([2, 4, 1])
CHOSEN, REJECTED = torch.tensor([0, 2]), torch.tensor([1, 0])


def log_1_e(x):
    return math.log(1 + math.exp(x))


# beta is 0.5. Sums differ by 1 and -0.3; means are 0.2, -0.15 and 0.1, and differ by 0.35 and -0.1.
BY_HAND = {
    "sigmoid": [log_1_e(-0.5), log_1_e(0.15)],
    "ipo": [(0.35 - 1) ** 2, (-0.1 - 1) ** 2],
    "sigmoid_norm": [log_1_e(-0.175), log_1_e(0.05)],
    "robust": [(0.9 * log_1_e(-0.5) - 0.1 * log_1_e(0.5)) / 0.8, (0.9 * log_1_e(0.15) - 0.1 * log_1_e(-0.15)) / 0.8],
}


@pytest.mark.parametrize("loss", BY_HAND)
def test_each_loss_of_dpo_by_hand(loss):
    terms = DpoTerms(loss, 0.5, label_smoothing=0.1)
    assert dpo_losses(RATIOS, LENGTHS, CHOSEN, REJECTED, terms).tolist() == pytest.approx(BY_HAND[loss], abs=1e-6)


def test_a_loss_that_no_recipe_has_is_refused():
    with pytest.raises(ValueError, match="No loss is called hinge"):
        dpo_losses(RATIOS, LENGTHS, CHOSEN, REJECTED, DpoTerms("hinge", 0.5))


@pytest.mark.parametrize("center", [0.0, 0.25])
def test_bradley_terry_with_a_margin_and_rewards_that_are_kept_near_nought_by_hand(center):
    # Rewards 1, -0.5 and 2 with margins 1 and 0: the differences are 1.5 - 1 and 1 - 0, the sums 0.5 and 3.
    rewards, margins = torch.tensor([1.0, -0.5, 2.0]), torch.tensor([1.0, 0.0])
    found = bradley_terry_losses(rewards, CHOSEN, REJECTED, margins, center)
    assert found.tolist() == pytest.approx([log_1_e(-0.5) + center * 0.25, log_1_e(-1.0) + center * 9.0])
