"""Attention in a row that holds rankings: a completion sees its prompt and itself, and nothing of its neighbours.

By torch's SDPA, block by block, so that nothing is computed that the mask would throw away: on a CPU, and anywhere. By
FlexAttention on a GPU, in one kernel. It is one more attention of transformers' `AttentionInterface`; a model that does
not hand it the blocks, or that attends otherwise than by a softmax over what it may see, computes other numbers, and
`sharing` finds out.
"""

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "whetstone_rankings"
FLEX_BLOCK = 128  # positions: FlexAttention skips whole blocks of so many
FOUR_DIMENSIONS = torch.ones(1, 1, 1, 1, dtype=torch.bool)  # a mask that says nothing: the blocks say it
Tensor = torch.Tensor


@dataclass(frozen=True)
class Blocks:
    """What a shared row is made of, in order."""

    sizes: tuple[tuple[int, tuple[int, ...]], ...]  # of each ranking: tokens of its prompt, of each completion
    padding: int = 0  # positions behind them all
    flex: BlockMask | None = None  # the same for FlexAttention
    masks: dict[tuple[int, int], Tensor] = field(default_factory=dict, compare=False)  # by what a completion sees

    def to(self, device: torch.device) -> "Blocks":
        return replace(self, masks={}) if self.flex is None else replace(self, flex=self.flex.to(device))

    @property
    def flat(self) -> list[int]:
        """Tokens of each piece: a prompt, its completions, the next prompt ..."""
        return [size for prompt, completions in self.sizes for size in (prompt, *completions)]

    @property
    def longest(self) -> int:
        """The most tokens that a completion sees, itself with them."""
        return max(prompt + max(completions) for prompt, completions in self.sizes)

    def for_flex(self, device: torch.device) -> "Blocks":
        """With a mask for FlexAttention."""
        ranking, branch = self._belonging(device)

        def may_see(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            of_it = (branch[key] == 0) | (branch[key] == branch[query])
            return (query >= key) & (ranking[query] == ranking[key]) & of_it

        length = len(ranking)
        mask = create_block_mask(may_see, None, None, length, length, device=device, BLOCK_SIZE=FLEX_BLOCK)
        return replace(self, flex=mask)

    def _belonging(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Of each position: which ranking it is of, and which completion of it; 0 is the prompt. Padding is its own."""
        ranking = [i for i, (prompt, completions) in enumerate(self.sizes) for _ in range(prompt + sum(completions))]
        branch = [
            k
            for prompt, completions in self.sizes
            for k, size in enumerate((prompt, *completions))
            for _ in range(size)
        ]
        ranking += [-1] * self.padding
        branch += [0] * self.padding
        return torch.tensor(ranking, device=device), torch.tensor(branch, device=device)

    def mask(self, prompt: int, completion: int, device: torch.device) -> Tensor:
        """(completion, prompt + completion), true where a token of the completion may look."""
        if (prompt, completion) not in self.masks:
            seen = torch.ones(completion, prompt + completion, dtype=torch.bool, device=device)
            self.masks[prompt, completion] = seen.tril(prompt)
        return self.masks[prompt, completion]


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    blocks: Blocks | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention for transformers' models; query (1, heads, T, width), the result (1, T, heads, width).

    Without ``blocks`` it is SDPA as ever. Raises `NotImplementedError` where a layer asks for more than a softmax, or
    sees a window that is shorter than a completion with its prompt.
    """
    if blocks is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
    _refuse_more(module, blocks, kwargs)
    if blocks.flex is not None:
        out, _ = flex_attention_forward(module, query, key, value, blocks.flex, scaling=scaling, dropout=dropout)
        return out, None
    # What SDPA does under autocast: once, in place of once for each completion that looks at a prompt.
    query, key = query.to(value.dtype), key.to(value.dtype)
    groups = getattr(module, "num_key_value_groups", 1)
    seen = _block_by_block(query, repeat_kv(key, groups), repeat_kv(value, groups), blocks, scaling, dropout)
    return seen.transpose(1, 2).contiguous(), None


def _refuse_more(module: torch.nn.Module, blocks: Blocks, told: dict[str, Any]) -> None:
    """Of what a layer asks for beside a softmax over all that a token may see, nothing is known here."""
    config = getattr(module, "config", None)
    for window in (told.get("sliding_window"), getattr(config, "attention_chunk_size", None)):
        if window is not None and window < blocks.longest:
            raise NotImplementedError(f"A layer sees {window} tokens, and a completion with its prompt has more.")
    for name in ("softcap", "s_aux", "position_bias"):
        if told.get(name) is not None:
            raise NotImplementedError(f"Its attention has {name}.")


def _block_by_block(
    query: Tensor, key: Tensor, value: Tensor, blocks: Blocks, scale: float | None, dropout: float
) -> Tensor:
    # Split once: each of its backward passes is one concatenation, where those of slices fill the whole row each.
    sizes = [*blocks.flat, blocks.padding]
    queries, keys, values = (each.split(sizes, dim=2) for each in (query, key, value))
    found = []
    starts = accumulate((1 + len(completions) for _, completions in blocks.sizes), initial=0)
    for start, (prompt, completions) in zip(starts, blocks.sizes, strict=False):
        if prompt:
            found.append(_sdpa(queries[start], keys[start], values[start], None, scale, dropout))
        for i, size in enumerate(completions, start=start + 1):
            own = (keys[i], values[i])
            k, v = (
                torch.cat((of_prompt[start], each), dim=2) for of_prompt, each in zip((keys, values), own, strict=True)
            )
            found.append(_sdpa(queries[i], k, v, blocks.mask(prompt, size, query.device), scale, dropout))
    if blocks.padding:
        found.append(torch.zeros_like(found[-1][:, :, :1]).expand(-1, -1, blocks.padding, -1))
    return torch.cat(found, dim=2)


def _sdpa(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None, dropout: float
) -> Tensor:
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=mask is None, scale=scale
    )


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
