"""Attention in a shared row: block by block it is that of a dense mask, and FlexAttention's mask is the same one."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention.flex_attention import create_mask, flex_attention

from training.pipeline.grouped.attention import Blocks, attend

# Two rankings: prompts of three and none, completions of two, one and four, and of two; two positions of padding.
SIZES = ((3, (2, 1, 4)), (0, (2, 1)))
BLOCKS = Blocks(SIZES)
PADDED = Blocks(SIZES, padding=2)


class Layer(torch.nn.Module):
    """As much of an attention layer as `attend` asks for: two heads of the query for each of the keys."""

    num_key_value_groups = 2
    is_causal = True


def may_see(blocks: Blocks) -> torch.Tensor:
    """(T, T), as the words say it: what is earlier, of the same ranking, and of the prompt or the same completion."""
    of = [
        (ranking, branch)
        for ranking, (prompt, completions) in enumerate(blocks.sizes)
        for branch, size in enumerate((prompt, *completions))
        for _ in range(size)
    ]
    seen = [
        [j <= i and of[j][0] == of[i][0] and of[j][1] in (0, of[i][1]) for j in range(len(of))] for i in range(len(of))
    ]
    return torch.tensor(seen)


def drawn(blocks: Blocks):
    dice = torch.Generator().manual_seed(1)
    length = sum(blocks.flat) + blocks.padding

    def some(heads):
        return torch.randn(1, heads, length, 8, generator=dice, requires_grad=True)

    return some(4), some(2), some(2)


@pytest.mark.parametrize("scaling", [None, 0.1])
@pytest.mark.parametrize("blocks", [BLOCKS, PADDED], ids=["whole", "padded"])
def test_block_by_block_is_what_a_dense_mask_gives_and_so_are_its_gradients(blocks, scaling):
    query, key, value = drawn(blocks)
    real = sum(blocks.flat)
    found, _ = attend(Layer(), query, key, value, None, blocks=blocks, scaling=scaling)  # (1, T, heads, width)
    keys, values = (each[:, :, :real].repeat_interleave(2, dim=1) for each in (key, value))
    mask = may_see(blocks)
    right = F.scaled_dot_product_attention(query[:, :, :real], keys, values, attn_mask=mask, scale=scaling)
    assert found.shape == (1, real + blocks.padding, 4, 8)
    assert torch.allclose(found[:, :real], right.transpose(1, 2), atol=1e-6)
    weights = torch.randn(found[:, :real].shape, generator=torch.Generator().manual_seed(2))
    gradients = [
        torch.autograd.grad((out * weights).sum(), (query, key, value), retain_graph=True)
        for out in (found[:, :real], right.transpose(1, 2))
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert all(each.grad is None for each in (query, key, value))


def test_flex_attentions_mask_is_the_same_and_padding_sees_padding_alone():
    flex = PADDED.for_flex(torch.device("cpu")).flex
    length = sum(PADDED.flat) + 2
    dense = create_mask(flex.mask_mod, None, None, length, length, device="cpu")[0, 0]
    assert torch.equal(dense[:-2, :-2], may_see(PADDED))
    assert not dense[:-2, -2:].any()
    assert not dense[-2:, :-2].any()
    assert dense[-2:, -2:].tolist() == [[True, False], [True, True]]  # and never nothing, which would be no number


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_with_that_mask_is_what_a_dense_one_gives():
    # As torch computes it without compiling, on a CPU; on a GPU transformers compiles it.
    query, key, value = (each.detach() for each in drawn(PADDED))
    flex = PADDED.for_flex(torch.device("cpu")).flex
    found = flex_attention(query, key, value, block_mask=flex, enable_gqa=True)
    right, _ = attend(Layer(), query, key, value, None, blocks=PADDED)
    real = sum(PADDED.flat)
    assert torch.allclose(found.transpose(1, 2)[:, :real], right[:, :real], atol=1e-6)
    assert found.isfinite().all()


def test_without_blocks_it_is_sdpa_as_ever():
    query, key, value = drawn(BLOCKS)
    found, _ = attend(Layer(), query, key, value, None)
    keys, values = (each.repeat_interleave(2, dim=1) for each in (key, value))
    right = F.scaled_dot_product_attention(query, keys, values, is_causal=True)
    assert torch.allclose(found, right.transpose(1, 2), atol=1e-6)


def test_a_window_that_is_shorter_than_a_completion_with_its_prompt_is_refused():
    query, key, value = drawn(BLOCKS)
    assert BLOCKS.longest == 7
    attend(Layer(), query, key, value, None, blocks=BLOCKS, sliding_window=7)
    with pytest.raises(NotImplementedError, match="A layer sees 6 tokens"):
        attend(Layer(), query, key, value, None, blocks=BLOCKS, sliding_window=6)


def test_masks_are_made_once_for_all_layers_and_are_left_behind_by_a_move():
    query, key, value = drawn(BLOCKS)
    blocks = Blocks(SIZES)
    attend(Layer(), query, key, value, None, blocks=blocks)
    made = dict(blocks.masks)
    assert set(made) == {(3, 2), (3, 1), (3, 4), (0, 2), (0, 1)}
    attend(Layer(), query, key, value, None, blocks=blocks)
    assert all(blocks.masks[at] is mask for at, mask in made.items())
    assert blocks.to(torch.device("cpu")).masks == {}
