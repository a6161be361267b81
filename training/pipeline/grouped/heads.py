"""A model that is asked for its completions only: their tokens' log-probabilities, or their rewards.

The model's forward is wrapped on the instance, below PEFT and below whatever spreads it over devices, so that their
hooks run as ever; asked without rows, it is what it was.
"""

import functools
import types
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import maybe_gather_lm_head_ctx

from training.pipeline.grouped.attention import FOUR_DIMENSIONS
from training.pipeline.grouped.projection import OfTokens, chunked
from training.pipeline.grouped.rows import Rows

Tensor = torch.Tensor


@dataclass(frozen=True)
class Answers:
    """What a model says of the completions of some rows."""

    values: Tensor  # (C,) sums of log-probabilities in nats, or rewards
    of_tokens: Tensor | None = None  # (N,) what was summed; None for rewards
    # Means over the tokens of the completions, to be shown; None for rewards.
    entropy: Tensor | None = None  # (C,) nats a token
    said_right: Tensor | None = None  # (C,) the share of tokens that were the likeliest


def answer_rows(model: PreTrainedModel, *, in_chunks: bool = True) -> None:
    """Have ``model(rows=rows)`` return `Answers`: of a language model log-probabilities, of a reward model rewards.

    ``in_chunks``: the head projects some tokens at a time, so that memory does not grow with the vocabulary; without,
    it is the model's own forward that does, with whatever its architecture does to logits.
    """
    original = model.forward
    is_language_model = model.get_output_embeddings() is not None
    answer = (_log_probs if in_chunks else _own_log_probs) if is_language_model else _rewards

    @functools.wraps(type(model).forward)
    def forward(self: PreTrainedModel, *args: Any, rows: Rows | None = None, **kwargs: Any) -> Any:
        return original(*args, **kwargs) if rows is None else answer(self, rows, original)

    model.forward = types.MethodType(forward, model)


def _told(rows: Rows) -> dict[str, Any]:
    """What the backbone is told. Four dimensions: transformers takes such a mask as it is, and builds none itself."""
    told = {"input_ids": rows.input_ids, "position_ids": rows.position_ids, "use_cache": False}
    if rows.blocks is None:
        return told | {"attention_mask": rows.attention_mask}
    return told | {"attention_mask": FOUR_DIMENSIONS, "blocks": rows.blocks}


def _states(model: PreTrainedModel, rows: Rows) -> Tensor:
    """(N, width): what the last layer says at the places that are read."""
    backbone = getattr(model, model.base_model_prefix)
    return backbone(**_told(rows)).last_hidden_state.flatten(0, 1).index_select(0, rows.read_at)


def _rewards(model: PreTrainedModel, rows: Rows, original: Any) -> Answers:
    return Answers(model.score(_states(model, rows)).squeeze(-1).float())


def _log_probs(model: PreTrainedModel, rows: Rows, original: Any) -> Answers:
    states = _states(model, rows)
    head = model.get_output_embeddings()
    with maybe_gather_lm_head_ctx(head.weight, head.bias):  # DeepSpeed's ZeRO-3
        return _by_completion(rows, chunked(states, head.weight, head.bias, rows.targets))


def _own_log_probs(model: PreTrainedModel, rows: Rows, original: Any) -> Answers:
    logits = original(**_told(rows)).logits.flatten(0, 1).index_select(0, rows.read_at)
    of_all = logits.float().log_softmax(-1)
    picked = of_all.gather(-1, rows.targets[:, None]).squeeze(-1)
    shown = of_all.detach()
    entropy = -(shown.exp() * shown).sum(-1)
    return _by_completion(rows, OfTokens(picked, entropy, shown.amax(-1) == picked.detach()))


def _by_completion(rows: Rows, tokens: OfTokens) -> Answers:
    def sums(values: Tensor) -> Tensor:
        return values.new_zeros(rows.completions).index_add(0, rows.owner, values)

    means = (sums(each.float()) / rows.lengths for each in (tokens.entropy, tokens.said_right))
    return Answers(sums(tokens.log_probs), tokens.log_probs, *means)
