"""QLoRA: adapters on a base of four bits, merged into the weights as they were stored."""

import math

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sampling.engine.run_dir import RunDirError
from tests.tiny_models import save_tiny_policy
from tests.training.pipeline.runs import pair, stage_dir, write_lines
from tests.training.pipeline.stages import tokenised
from training.pipeline import dpo, quantised, reward_model
from training.pipeline.arguments import adapter, loading
from training.pipeline.reference_cache import ReferenceCache
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Dpo

UP_PROJECTION = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def wide_policy(tmp_path_factory):
    """A block of four bits is 64 numbers."""
    return save_tiny_policy(tmp_path_factory.mktemp("wide"), hidden_size=64, intermediate_size=128)


@pytest.fixture
def run_dir(tmp_path, wide_policy):
    def make(kind, **changes):
        pairs = write_lines(tmp_path / "pairs.jsonl", [pair(i) for i in range(16)])
        inputs = {"policy": wide_policy, "pairs_train": pairs, "pairs_eval": pairs}
        told = {"method": "qlora", "lora_rank": 4, "learning_rate": 2e-2, "epochs": 4} | changes
        return stage_dir(tmp_path / kind, kind, inputs=inputs, **told)

    return make


def merged_and_start(run_dir, policy):
    return load_file(run_dir / "checkpoint" / "model.safetensors"), load_file(policy / "model.safetensors")


def test_the_base_is_four_bits_and_its_embeddings_and_head_are_not(wide_policy):
    recipe = Dpo(method="qlora", learning_rate=1e-4, epochs=1, batch=8, max_length=128)
    model = AutoModelForCausalLM.from_pretrained(wide_policy, **loading(recipe))
    projection = model.model.layers[0].mlp.up_proj.weight
    assert quantised.is_quantised(model)
    assert (projection.dtype, projection.numel()) == (torch.uint8, 64 * 128 // 2)  # two numbers a byte
    assert (projection.quant_state.quant_type, projection.quant_state.nested) == ("nf4", True)
    assert model.lm_head.weight.dtype == torch.bfloat16


def test_dpo_learns_through_adapters_and_merges_them_into_the_unrounded_weights(run_dir, wide_policy):
    folder = run_dir("dpo")
    result = dpo.run(folder)
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-3)
    assert result.final_loss < 0.5
    after, before = merged_and_start(folder, wide_policy)
    # What was added has the adapters' rank. Rounding to four bits would have moved the weights in every direction.
    added = torch.linalg.svdvals(after[UP_PROJECTION] - before[UP_PROJECTION])
    assert added[3] > 1e-3
    assert added[4] < 1e-5
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    assert not list((folder / "checkpoint").glob("adapter*"))


def test_a_reward_model_keeps_its_trained_head(run_dir, wide_policy):
    folder = run_dir("reward_model")
    result = reward_model.run(folder)
    assert result.accuracy == 1.0  # of the saved checkpoint, on what it learned: with another head it would be chance
    after, before = merged_and_start(folder, wide_policy)
    assert after["score.weight"].shape == (1, 64)
    assert torch.linalg.svdvals(after[UP_PROJECTION].float() - before[UP_PROJECTION])[4] < 1e-5


def test_being_asked_outside_of_training_stops_no_gradient(wide_policy):
    recipe = Dpo(method="qlora", learning_rate=1e-4, epochs=1, batch=8, max_length=128)
    base = AutoModelForCausalLM.from_pretrained(wide_policy, **loading(recipe))
    model = get_peft_model(base, adapter(recipe, task="CAUSAL_LM"))
    tokens = torch.arange(20)[None]
    model.eval()
    with torch.no_grad():
        before = model(tokens).logits
    model.train()
    model(tokens, labels=tokens).loss.backward()
    # The second matrix of an adapter starts at zero: only it has a gradient at first, in every layer.
    gradients = [each.grad for name, each in model.named_parameters() if "lora_B" in name]
    assert len(gradients) == 14
    assert all(each.abs().max() > 0 for each in gradients)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, before)


def test_adapters_stay_in_32_bits_in_which_small_steps_count(run_dir):
    stage = Stage.start(run_dir("dpo"))
    recipe = Dpo.parse(stage.told, source="the test")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    pairs = tokenised(stage.inputs["pairs_train"], tokenizer).tokens
    trainer = dpo.make_trainer(stage, recipe, tokenizer, pairs, ReferenceCache(None, by_part=True))
    quantised.keep_adapters_in_32_bits(trainer.model)
    trained = [each for each in trainer.model.parameters() if each.requires_grad]
    assert {each.dtype for each in trained} == {torch.float32}


def test_where_bitsandbytes_does_not_run_the_remedy_is_said_before_anything_is_loaded(monkeypatch):
    def broken(name):
        raise RuntimeError("no kernel image for this device")

    monkeypatch.setattr(quantised.importlib, "import_module", broken)
    with pytest.raises(RunDirError, match="which QLoRA needs, does not run on this machine"):
        quantised.four_bits()
