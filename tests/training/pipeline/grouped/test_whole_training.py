"""A whole short training ends at the weights of TRL's own trainer on the same steps' pairs.

One step's gradients agree within 1e-5 (`test_parity`); what is asked of the weights is 1e-5 as well, over eight steps.
Where a gradient is near nought, AdamW divides rounding by its own root: with the usual epsilon of 1e-8 a weight that
nothing pulls at would go either way by a whole learning rate. So epsilon is 1e-4 here, of gradients of about 1e-2; the
same for RMSProp, whose epsilon transformers takes from ``optim_args``.
"""

import pytest

from tests.training.pipeline.grouped import both
from tests.training.pipeline.grouped.both import ALL, apart, ours, pairs_of, trls
from training.pipeline.grouped.losses import DpoTerms
from training.pipeline.grouped.plan import plan
from training.pipeline.grouped.rankings import TokenPair, group

OPTIMISERS = {
    "adamw": {"optim": "adamw_torch_fused", "adam_epsilon": 1e-4, "weight_decay": 0.1},
    "rmsprop": {"optim": "rmsprop", "optim_args": "eps=1e-4"},
}
STEPS = 8
SCHEDULE = {"num_train_epochs": 2, "learning_rate": 2e-3, "warmup_steps": 2, "max_grad_norm": 1.0}


def ranking_of_three(seed):
    return pairs_of(3, seed=seed, prompt=4 + seed, margins=(1.0, 0.0))


def planned(tokens):
    """Two rankings of three pairs a step, four steps an epoch; and the same pairs in the order of the steps."""
    pairs = [pair for seed in range(8) for pair in ranking_of_three(seed)]
    steps = plan(group(pairs), batch=6, tokens=tokens, layout="shared")
    in_order = [
        TokenPair(each.prompt, each.completions[pair.chosen], each.completions[pair.rejected], pair.margin)
        for (step,) in steps
        for part in step.parts
        for each in part.rankings
        for pair in each.pairs
    ]
    assert sorted(map(repr, in_order)) == sorted(map(repr, pairs))
    return steps, in_order


def moved_alike(trained, right, start):
    """Every weight is TRL's, and it did move: by more than what is allowed."""
    begun = dict(start.named_parameters())
    theirs = dict(right.named_parameters())
    for name, weight in trained.named_parameters():
        assert apart(weight.detach(), theirs[name].detach()) <= both.RELATIVE, name
        if name in begun:
            assert apart(theirs[name].detach(), begun[name].detach()) > 100 * both.RELATIVE, name


@pytest.mark.parametrize("tokens", [ALL, 30], ids=["one part", "several parts"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_dpo_ends_at_the_same_weights(tmp_path, optimiser, tokens):
    model = both.policy()
    how = SCHEDULE | OPTIMISERS[optimiser] | {"terms": DpoTerms("sigmoid", 0.3, nll_weight=0.2)}
    steps, pairs = planned(tokens)
    right = trls(tmp_path, model, pairs, batch=6, **how)
    right.train()
    found = ours(tmp_path, model, steps, **how)
    found.train()
    assert found.state.global_step == right.state.global_step == STEPS
    moved_alike(found.model, right.model, model)
    # What is logged of it, too: the same figures under the same names.
    for name in ("loss", "grad_norm", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected"):
        assert logged(found, name) == pytest.approx(logged(right, name), rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_reward_model_ends_at_the_same_weights(tmp_path, optimiser):
    model = both.reward_model()
    how = SCHEDULE | OPTIMISERS[optimiser] | {"center": 0.1}
    steps, pairs = planned(30)
    right = trls(tmp_path, model, pairs, batch=6, **how)
    right.train()
    found = ours(tmp_path, model, steps, **how)
    found.train()
    assert found.state.global_step == STEPS
    moved_alike(found.model, right.model, model)
    for name in ("loss", "grad_norm", "accuracy", "margin"):
        assert logged(found, name) == pytest.approx(logged(right, name), rel=1e-3, abs=1e-4), name


def test_adapters_end_at_the_same_weights(tmp_path):
    model = both.policy()
    how = SCHEDULE | OPTIMISERS["adamw"]
    steps, pairs = planned(ALL)
    trainers = [
        trls(tmp_path, model, pairs, batch=6, lora=True, **how),
        ours(tmp_path, model, steps, lora=True, **how),
    ]
    for each in trainers:
        both.start_adapters(each.model)
        each.train()
    right, found = (
        {name: each for name, each in trainer.model.named_parameters() if "lora_" in name} for trainer in trainers
    )
    assert found.keys() == right.keys()
    assert {name for name in right if apart(found[name].detach(), right[name].detach()) > both.RELATIVE} == set()


def logged(trainer, name):
    return [float(row[name]) for row in trainer.state.log_history if name in row]
