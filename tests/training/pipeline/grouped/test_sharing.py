"""Which architectures may share a prompt: each gets the quickest way that gives its own numbers, and TRL's gradients.

Models are built from configs, with random weights, in 32 bits.
"""

import random

import pytest
import torch
import transformers as hf

from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.grouped import both
from tests.training.pipeline.grouped.both import PAD, TOKENIZER, assert_same, of_ours, of_trls, one_step, ours, pairs_of
from training.pipeline.grouped import attention
from training.pipeline.grouped.rankings import TokenPair, group
from training.pipeline.grouped.sharing import find_way

SMALL = {
    "vocab_size": len(TOKENIZER),
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "eos_token_id": TOKENIZER.eos_token_id,
    "bos_token_id": None,
    "pad_token_id": PAD,
}
GEMMA2 = SMALL | {"head_dim": 4, "query_pre_attn_scalar": 4, "attn_logit_softcapping": None}
OF_GPT2 = {"vocab_size": len(TOKENIZER), "n_positions": 128, "n_embd": 16, "n_layer": 2, "n_head": 2}
SPECIAL = {"eos_token_id": TOKENIZER.eos_token_id, "bos_token_id": None, "pad_token_id": PAD}
WINDOW = {"sliding_window": 8, "use_sliding_window": True}

# What shares its prompt, with a head in chunks.
QUICKEST = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SMALL)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SMALL | {"head_dim": 4})),
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(**OF_GPT2, **SPECIAL, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    ),
    "gemma": lambda: hf.GemmaForCausalLM(hf.GemmaConfig(**SMALL | {"head_dim": 4})),
    "mistral, a window that is long enough": lambda: hf.MistralForCausalLM(
        hf.MistralConfig(**SMALL, sliding_window=64)
    ),
    "phi, with a bias in its head": lambda: hf.PhiForCausalLM(
        hf.PhiConfig(**SMALL | {"num_key_value_heads": 4}, resid_pdrop=0.0, embd_pdrop=0.0)
    ),
}
# What does not, what it does instead, and what the log says.
OTHERWISE = {
    "gemma2 bends its logits": (
        lambda: hf.Gemma2ForCausalLM(hf.Gemma2Config(**GEMMA2, final_logit_softcapping=0.5, sliding_window=64)),
        ("shared", False),
        "a head in chunks",
    ),
    "qwen2, a window shorter than a completion": (
        lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SMALL, **WINDOW, max_window_layers=0)),
        ("separate", True),
        "sees 8 tokens, and a completion with its prompt has more",
    ),
    "bloom counts positions along the row": (
        lambda: hf.BloomForCausalLM(
            hf.BloomConfig(
                vocab_size=len(TOKENIZER), hidden_size=16, n_layer=2, n_head=2, **SPECIAL,
                hidden_dropout=0.0, attention_dropout=0.0,
            )
        ),
        ("separate", True),
        "sharing the prompt",
    ),
    "mamba runs a state along the row": (
        lambda: hf.MambaForCausalLM(
            hf.MambaConfig(
                vocab_size=len(TOKENIZER), hidden_size=16, state_size=4, num_hidden_layers=2, expand=2,
                conv_kernel=4, time_step_rank=2, **SPECIAL,
            )
        ),
        ("separate", True),
        "sharing the prompt",
    ),
    "lfm2 convolves over the row": (
        lambda: hf.Lfm2ForCausalLM(hf.Lfm2Config(**SMALL, layer_types=["conv", "full_attention"])),
        ("separate", True),
        "sharing the prompt",
    ),
}  # fmt: skip
PAIRS = pairs_of(4) + pairs_of(2, seed=1, prompt=11)


def found_way(model, pairs=PAIRS):
    """The way, and what was said."""
    said: list[str] = []
    return find_way(model, group(pairs), of=both.of_model(model), pad_token_id=PAD, say=said.append), said


def same_gradients_as_trls(tmp_path, make, way, model):
    right = of_trls(both.trls(tmp_path, both.seeded(make), PAIRS), PAIRS)
    assert_same(of_ours(ours(tmp_path, model, one_step(PAIRS, layout=way.layout), way=way)), right)


@pytest.mark.parametrize("name", QUICKEST)
def test_an_architecture_that_may_share_does_and_has_trls_gradients(tmp_path, name):
    model = both.seeded(QUICKEST[name])
    way, said = found_way(model)
    assert (way.layout, way.in_chunks, said) == ("shared", True, [])
    same_gradients_as_trls(tmp_path, QUICKEST[name], way, model)


@pytest.mark.parametrize("name", OTHERWISE)
def test_an_architecture_that_may_not_falls_back_says_so_and_has_trls_gradients(tmp_path, name):
    make, (layout, in_chunks), words = OTHERWISE[name]
    model = both.seeded(make)
    own_attention = model.config._attn_implementation
    way, said = found_way(model)
    assert (way.layout, way.in_chunks) == (layout, in_chunks)
    (line,) = said
    assert words in line
    assert line.startswith("This model does not give its own numbers with ")
    assert model.config._attn_implementation == (attention.NAME if layout == "shared" else own_attention)
    same_gradients_as_trls(tmp_path, make, way, model)


def test_a_reward_model_may_share_too(tmp_path):
    model = both.reward_model()
    way, said = found_way(model)
    assert (way.of, way.layout, said) == ("rewards", "shared", [])


def test_what_is_asked_with_every_completion_is_asked_without_gradients_and_training_goes_on_as_it_was():
    model = both.policy()
    for training in (True, False):
        model.train(training)
        found_way(model)
        assert model.training is training
    assert all(each.grad is None for each in model.parameters())


def test_asked_without_rows_a_model_is_what_it_was():
    dice = random.Random(1)
    ids = torch.tensor([both.ids(dice, 12)])
    mask = torch.ones_like(ids)
    mask[0, -3:] = 0
    model = both.policy()
    before = model(input_ids=ids, attention_mask=mask).logits
    way, _ = found_way(model)
    assert way.layout == "shared"
    assert torch.equal(model(input_ids=ids, attention_mask=mask).logits, before)


def test_the_longest_completion_is_asked_about_so_that_a_window_is_found_out():
    make = OTHERWISE["qwen2, a window shorter than a completion"][0]
    short = [TokenPair((1, 2, 3), (4, 5), (6,))]
    way, said = found_way(both.seeded(make), short)
    assert (way.layout, said) == ("shared", [])  # six tokens see all that there is through a window of eight
    long = [TokenPair((1, 2), (4, 5), tuple(range(20)))]
    way, said = found_way(both.seeded(make), short + long)
    assert way.layout == "separate"


def test_a_model_that_gives_other_numbers_in_a_batch_is_refused_with_the_remedy(monkeypatch):
    model = both.policy()
    forward = model.model.forward

    def unlike(*args, **kwargs):
        found = forward(*args, **kwargs)
        if len(kwargs["input_ids"]) > 1:
            found.last_hidden_state = found.last_hidden_state * 2
        return found

    monkeypatch.setattr(model.model, "forward", unlike)
    # Sharing is no way out: it is looked for among the ways to lay out a row only once rows beside others are right.
    with pytest.raises(RunDirError, match="Choose another architecture"):
        found_way(model)


def test_a_policy_with_a_weight_that_is_no_number_is_refused_with_the_remedy():
    model = both.policy()
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(RunDirError, match=r"not a number.*another checkpoint"):
        found_way(model)
