"""Log-probabilities in tiles: those of a softmax over everything, and its gradients, in less memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from training.pipeline.grouped import projection
from training.pipeline.grouped.projection import chunked

WIDTH, WORDS = 8, 50


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(projection, "TOKENS", 16)


def drawn(count, dtype=torch.float32, *, words=WORDS, trains=(True, True)):
    dice = torch.Generator().manual_seed(count)
    states = torch.randn(count, WIDTH, generator=dice).to(dtype).requires_grad_(trains[0])
    weight = torch.randn(words, WIDTH, generator=dice).to(dtype).requires_grad_(trains[1])
    targets = torch.randint(words, (count,), generator=dice)
    return states, weight, targets


def plainly(states, weight, targets):
    of_all = (states @ weight.t()).float().log_softmax(-1)  # (N, vocabulary)
    log_probs = of_all.gather(1, targets[:, None]).squeeze(1)
    return log_probs, -(of_all.exp() * of_all).sum(-1), of_all.argmax(-1) == targets


# Less than a tile, a whole one, one more, two and a bit.
@pytest.mark.parametrize("count", [1, 15, 16, 17, 32, 37])
@pytest.mark.parametrize("trains", [(True, True), (True, False), (False, True)], ids=["both", "frozen head", "head"])
def test_in_32_bits_numbers_and_gradients_are_those_of_the_whole(count, trains):
    states, weight, targets = drawn(count, trains=trains)
    found, right = chunked(states, weight, None, targets), plainly(states, weight, targets)
    assert torch.allclose(found.log_probs, right[0], atol=1e-5)
    assert torch.allclose(found.entropy, right[1], atol=1e-5)
    assert torch.equal(found.said_right, right[2])
    assert not found.entropy.requires_grad
    weights = torch.randn(count, generator=torch.Generator().manual_seed(0))
    asked = [each for each in (states, weight) if each.requires_grad]
    grads, rights = (torch.autograd.grad((each * weights).sum(), asked) for each in (found.log_probs, right[0]))
    for one, other in zip(grads, rights, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).norm() <= 1e-5 * other.norm()


def test_in_bf16_they_are_within_what_eight_bits_round():
    states, weight, targets = drawn(37, torch.bfloat16)
    exact = drawn(37, torch.bfloat16)
    found = chunked(states, weight, None, targets)
    wide = [each.detach().float().requires_grad_() for each in exact[:2]]
    right = plainly(*wide, targets)[0]
    assert found.log_probs.dtype == torch.float32
    assert (found.log_probs - right).abs().max() < 0.1  # logits of about 5, of which eight bits are 0.03
    grads = torch.autograd.grad(found.log_probs.sum(), (states, weight))
    for one, other in zip(grads, torch.autograd.grad(right.sum(), wide), strict=True):
        assert one.dtype == torch.bfloat16
        assert (one.float() - other).norm() <= 0.02 * other.norm()


def test_under_autocast_it_computes_in_16_bits_and_gives_gradients_in_the_types_of_the_weights():
    states, weight, targets = drawn(20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = chunked(states, weight, None, targets)
    right = plainly(states, weight, targets)[0]
    assert 0 < (found.log_probs - right).abs().max() < 0.1
    assert {each.dtype for each in torch.autograd.grad(found.log_probs.sum(), (states, weight))} == {torch.float32}


def test_a_head_with_a_bias_is_projected_too():
    states, weight, targets = drawn(20)
    bias = torch.linspace(-1, 1, WORDS, requires_grad=True)
    found = chunked(states, weight, bias, targets)
    of_all = (states @ weight.t() + bias).log_softmax(-1)
    right = of_all.gather(1, targets[:, None]).squeeze(1)
    assert torch.allclose(found.log_probs, right, atol=1e-5)
    asked = (states, weight, bias)
    for one, other in zip(*(torch.autograd.grad(each.sum(), asked) for each in (found.log_probs, right)), strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()


class Largest(TorchDispatchMode):
    """The most numbers that any one tensor has, of all that are made while it watches."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in tree_leaves(found) if isinstance(each, torch.Tensor)]
        self.numbers = max(self.numbers, *sizes, 0)
        return found


@pytest.mark.parametrize("count", [64, 640])
def test_no_tensor_grows_with_tokens_times_words(count):
    # A tile is 16 x 1,000, the head's gradient 1,000 x 8; the logits of all would be 64,000 or 640,000.
    states, weight, targets = drawn(count, words=1000)
    with Largest() as watched:
        chunked(states, weight, None, targets).log_probs.sum().backward()
    assert watched.numbers == 16 * 1000


def test_without_gradients_nothing_is_kept_for_them():
    states, weight, targets = drawn(20)
    with torch.no_grad():
        found = chunked(states, weight, None, targets)
    assert not found.log_probs.requires_grad
    assert torch.allclose(found.log_probs, plainly(states, weight, targets)[0], atol=1e-5)


def test_over_a_real_vocabulary_32_bits_stay_near_64():
    # torch's log_softmax adds up word by word: of 49,152 such words it is 6e-6 off, and a row's gradients with it.
    weight = torch.randn(49_152, 1, generator=torch.Generator().manual_seed(0))
    states, target = torch.full((1, 1), 4.0), weight.argmax(0)
    right = (states.double() @ weight.double().t()).log_softmax(-1)[0, target]
    assert (chunked(states, weight, None, target).log_probs - right).abs() < 2e-6
    assert ((states @ weight.t()).log_softmax(-1)[0, target] - right).abs() > 2e-6  # else it is one pass too many
