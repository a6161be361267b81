"""Whether a reward model may share a prompt: asked in 16 bits too, where a reward alone says little."""

from dataclasses import replace

import pytest
import torch
from transformers import LlamaForSequenceClassification

from tests.tiny_models import tiny_config, tiny_tokenizer
from training.pipeline.grouped import sharing
from training.pipeline.grouped.rankings import Comparison, Ranking

DTYPES = [torch.float32, torch.bfloat16]


def deep_model(dtype):
    """Deep enough that rounding in bf16 adds up."""
    torch.manual_seed(17)
    config = tiny_config(tiny_tokenizer(), hidden_size=64, num_hidden_layers=12, num_labels=1, initializer_range=0.2)
    return LlamaForSequenceClassification(config).to(dtype).eval()


def found_way(model):
    """The layout, and what was said."""
    torch.manual_seed(18)
    prompt, one, other = (tuple(torch.randint(0, 250, (n,)).tolist()) for n in (120, 60, 40))
    said = []
    pad = tiny_tokenizer().pad_token_id
    ranking = Ranking(prompt, (one, other), (Comparison(0, 1),))
    way = sharing.find_way(model, [ranking], of="rewards", pad_token_id=pad, say=said.append)
    return way.layout, said


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_reward_models_rounding_is_no_reason_to_read_a_prompt_twice_however_large_its_scores_are(dtype):
    model = deep_model(dtype)
    with torch.no_grad():
        model.score.weight.mul_(100)  # rewards in the hundreds, whose rounding is in the units
    assert found_way(model) == ("shared", [])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_reward_model_that_gives_other_states_in_a_shared_row_is_found_out_even_where_its_reward_is_small(
    dtype, monkeypatch
):
    model = deep_model(dtype)
    with torch.no_grad():
        model.score.weight.mul_(1e-3)  # rewards that lie near each other whatever was read
    rows = sharing.Way.rows

    def displaced(way, *args):
        made = rows(way, *args)
        return made if made.blocks is None else replace(made, position_ids=made.position_ids.flip(1))

    monkeypatch.setattr(sharing.Way, "rows", displaced)
    layout, (said,) = found_way(model)
    assert layout == "separate"
    assert "sharing the prompt" in said
