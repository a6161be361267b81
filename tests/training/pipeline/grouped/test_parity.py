"""Loss and every gradient of a step are those of TRL's own trainer on the expanded pairs: fp32, within 1e-5 relative.

The norm is `both.apart`: of the difference of two tensors over that of TRL's, parameter by parameter. That numbers are
not trivially alike is `both.assert_same`'s to see to (no gradient is nought), and the reference's (no loss is ln 2).
"""

import copy
from collections import Counter

import pytest

from tests.training.pipeline.grouped import both
from tests.training.pipeline.grouped.both import SIGMOID, assert_same, of_ours, of_trls, one_step, ours, pairs_of, trls
from training.pipeline.grouped.losses import DpoTerms
from training.pipeline.grouped.rankings import group
from training.pipeline.grouped.tokens import weigh_by_prompt

LAYOUTS = ("shared", "separate")
LOSSES = (
    DpoTerms("sigmoid", 0.3),
    DpoTerms("ipo", 0.3),
    DpoTerms("sigmoid_norm", 3.0),
    DpoTerms("robust", 0.3, label_smoothing=0.1),
)
SMALL = (1.0, 2 / 3, 1 / 3, 0.0)  # Llama 2's margins (arXiv 2307.09288, table 27)
LARGE = (3.0, 2.0, 1.0, 0.0)


@pytest.fixture(scope="module")
def policy():
    return both.policy()


@pytest.fixture(scope="module")
def reward_model():
    return both.reward_model()


def compare(tmp_path, model, pairs, *, tokens=both.ALL, layout="shared", checkpointing=False, **how):
    """Both on the same pairs in one step; the grouped trainer's step is returned."""
    right = of_trls(trls(tmp_path, model, pairs, **how), pairs, checkpointing=checkpointing)
    steps = one_step(pairs, tokens=tokens, layout=layout)
    found = of_ours(ours(tmp_path, model, steps, layout=layout, **how), checkpointing=checkpointing)
    assert_same(found, right)
    return steps[0][0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("k", [2, 4, 9])
def test_dpo_of_a_ranking_of_k(tmp_path, policy, k, layout):
    compare(tmp_path, policy, pairs_of(k), layout=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("k", [2, 4, 9])
def test_rewards_of_a_ranking_of_k(tmp_path, reward_model, k, layout):
    compare(tmp_path, reward_model, pairs_of(k), layout=layout)


@pytest.mark.parametrize("nll_weight", [0.0, 0.2])
@pytest.mark.parametrize("terms", LOSSES, ids=lambda terms: terms.loss)
def test_dpo_by_each_loss_with_and_without_the_nll_term(tmp_path, policy, terms, nll_weight):
    terms = DpoTerms(terms.loss, terms.beta, terms.label_smoothing, nll_weight)
    compare(tmp_path, policy, pairs_of(4) + pairs_of(2, seed=1), terms=terms)


@pytest.mark.parametrize("margins", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("center", [0.0, 0.1])
def test_rewards_with_margins_and_kept_near_nought(tmp_path, reward_model, margins, center):
    compare(tmp_path, reward_model, pairs_of(4, margins=margins), center=center)


@pytest.mark.parametrize("terms", LOSSES, ids=lambda terms: terms.loss)
def test_a_tie_in_both_orders(tmp_path, policy, terms):
    step = compare(tmp_path, policy, pairs_of(4, ties=True), terms=terms)
    (ranking,) = step.parts[0].rankings
    assert (len(ranking.completions), len(ranking.pairs)) == (4, 7)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_several_rankings_of_unequal_sizes_and_lengths(tmp_path, policy, layout):
    pairs = pairs_of(4) + pairs_of(2, seed=1, prompt=23) + pairs_of(3, seed=2, prompt=1)
    step = compare(tmp_path, policy, pairs, layout=layout)
    assert len(step.parts) == 1
    assert len(step.parts[0].rankings) == 3


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("k", [4, 9])
def test_dpo_of_rankings_that_were_cut_and_of_several_parts(tmp_path, policy, k, layout):
    terms = DpoTerms("sigmoid", 0.3, nll_weight=0.2)
    step = compare(tmp_path, policy, pairs_of(k) + pairs_of(3, seed=1), tokens=30, layout=layout, terms=terms)
    assert len(step.parts) > 2
    assert sum(len(part.rankings) for part in step.parts) > 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rewards_of_rankings_that_were_cut_and_of_several_parts(tmp_path, reward_model, layout):
    pairs = pairs_of(4, margins=LARGE) + pairs_of(3, seed=1)
    step = compare(tmp_path, reward_model, pairs, tokens=30, layout=layout, center=0.1)
    assert len(step.parts) > 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_adapters_of_dpo(tmp_path, policy, layout):
    compare(tmp_path, policy, pairs_of(4) + pairs_of(2, seed=1), layout=layout, lora=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_adapters_of_a_reward_model_with_its_head(tmp_path, reward_model, layout):
    compare(tmp_path, reward_model, pairs_of(4, margins=SMALL), layout=layout, lora=True)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_with_gradient_checkpointing(tmp_path, policy, lora):
    compare(tmp_path, policy, pairs_of(4), tokens=45, checkpointing=True, lora=lora)


def test_a_reward_model_with_gradient_checkpointing(tmp_path, reward_model):
    compare(tmp_path, reward_model, pairs_of(4, margins=SMALL), checkpointing=True)


def test_a_pair_that_comes_twice_counts_twice(tmp_path, policy):
    pairs = pairs_of(3)
    compare(tmp_path, policy, [*pairs, pairs[0]])


def test_a_head_of_its_own_trains_too(tmp_path):
    compare(tmp_path, both.policy(tie_word_embeddings=False), pairs_of(4))


def test_embeddings_that_stay_as_they_are(tmp_path, policy):
    frozen = copy.deepcopy(policy)
    frozen.get_input_embeddings().weight.requires_grad_(False)
    compare(tmp_path, frozen, pairs_of(4))


@pytest.mark.parametrize("of", ["log_probs", "rewards"])
def test_weighed_by_prompt_a_gradient_is_that_of_trls_pairs_weighed_by_hand(tmp_path, policy, reward_model, of):
    # Six pairs of one prompt count a sixth each, the only one of another one whole: (sum of w g) / (sum of w), w = 2.
    model = policy if of == "log_probs" else reward_model
    pairs = pairs_of(4, margins=SMALL) + pairs_of(2, seed=1, margins=LARGE)
    alone = trls(tmp_path, model, pairs[:1])
    weights = Counter(pair.prompt for pair in pairs)
    loss, sums = 0.0, {}
    for pair in pairs:
        share = 1 / weights[pair.prompt] / 2
        of_pair, grads = of_trls(alone, [pair])
        loss += share * of_pair
        sums = {name: sums.get(name, 0) + share * grad for name, grad in grads.items()}
    weighed = weigh_by_prompt(pairs)
    assert sum(pair.weight for pair in weighed) == pytest.approx(2)
    for tokens in (both.ALL, 30):
        found = of_ours(ours(tmp_path, model, one_step(weighed, tokens=tokens)))
        assert_same(found, (loss, sums))


def test_weighed_by_prompt_the_nll_term_weighs_the_chosen_tokens_alike(tmp_path, policy):
    # sum of w NLL / sum of w T, with a reference of all pairs' chosen sides: two pairs of one prompt, half each.
    pairs = weigh_by_prompt(pairs_of(2) + pairs_of(3, seed=1))
    terms = DpoTerms("sigmoid", 0.3, nll_weight=1.0)
    one, other = (of_ours(ours(tmp_path, policy, one_step(pairs), terms=each))[0] for each in (terms, SIGMOID))
    nll, tokens = 0.0, 0.0
    for pair in pairs:
        whole = of_trls(trls(tmp_path, policy, [pair], terms=terms), [pair])[0]
        plain = of_trls(trls(tmp_path, policy, [pair]), [pair])[0]
        nll += pair.weight * (whole - plain) * len(pair.chosen)
        tokens += pair.weight * len(pair.chosen)
    assert one - other == pytest.approx(nll / tokens, rel=1e-4)


def test_the_step_is_a_mean_over_pairs_and_each_process_computes_its_share(tmp_path, policy):
    # Two processes: their gradients are averaged, and each multiplies its own by two. Added up, they are TRL's.
    from training.pipeline.grouped.plan import plan

    pairs = pairs_of(4) + pairs_of(3, seed=1) + pairs_of(2, seed=2)
    right = of_trls(trls(tmp_path, policy, pairs), pairs)
    (shares,) = plan(group(pairs), batch=len(pairs), tokens=60, layout="shared", processes=2)
    loss, sums = 0.0, {}
    for share in shares:
        of_share, grads = of_ours(ours(tmp_path, policy, [[share]]))
        loss += of_share
        sums = {name: sums.get(name, 0) + grad for name, grad in grads.items()}
    assert len(shares[0].parts) == len(shares[1].parts)
    assert_same((loss, sums), right)
