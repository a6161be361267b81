"""How many rows are in memory together."""

import dataclasses
import json
import sys

import pytest
import torch

from sampling.engine.run_dir import RunDirError, write_json
from training.pipeline import memory
from training.pipeline.memory import ModelSize, bytes_of_a_row, fixed_bytes, micro_batch_of, rows_together
from training.recipe import Dpo, Sft

# A billion parameters, 32,000 words, 16 layers of width 2,048: in the shape of Llama 3.2 1B.
SIZE = ModelSize(parameters=1_000_000_000, vocabulary=32_000, width=2048, layers=16)
RECIPE = Dpo(method="full", learning_rate=1e-6, epochs=1, batch=512, max_length=1000)
GB = 1e9


def changed(**changes):
    return dataclasses.replace(RECIPE, **changes)


def test_what_the_model_takes_before_it_reads_a_row():
    # Every weight: 4 bytes, 4 of gradient, 8 of Adam or 4 of RMSProp, and 2 for bf16's copy.
    assert fixed_bytes(RECIPE, SIZE, bf16=False) == 16 * GB
    assert fixed_bytes(RECIPE, SIZE, bf16=True) == 18 * GB
    assert fixed_bytes(changed(optimizer="rmsprop"), SIZE, bf16=False) == 12 * GB
    # Adapters of rank 16: 16 layers x 7 matrices x 2 thin ones x 2 x 2048 x 16 numbers = 14.7 million of 16 bytes.
    lora = fixed_bytes(changed(method="lora"), SIZE, bf16=True)
    assert lora == 2 * GB + 16 * 7 * 2 * 2 * 2048 * 16 * 16
    # Four bits: (1e9 - 65.5 million embeddings) x 0.56, and the embeddings in 16 bits.
    qlora = fixed_bytes(changed(method="qlora"), SIZE, bf16=True)
    assert qlora == pytest.approx(lora - 2 * GB + 934_464_000 * 0.56 + 65_536_000 * 2)


def test_what_a_row_takes():
    # A token: 16 layers x 17 x 2048 numbers of 2 bytes = 1,114,112, and 32,000 words x 12 = 384,000.
    token = 1_114_112 + 384_000
    sft = Sft(method="full", learning_rate=1e-6, epochs=1, batch=512, max_length=1000)
    assert bytes_of_a_row(sft, SIZE, bf16=True) == 1000 * token
    assert bytes_of_a_row(RECIPE, SIZE, bf16=True) == 2 * 1000 * token  # a pair is two sequences
    # Checkpointed: the inputs of 16 layers, 2048 x 2 bytes each, and one layer of 17 x 2048 x 2.
    checkpointed = bytes_of_a_row(dataclasses.replace(sft, gradient_checkpointing=True), SIZE, bf16=True)
    assert checkpointed == 1000 * (65_536 + 69_632 + 384_000)


def test_the_largest_divisor_that_fits_is_chosen():
    # Pairs of 3 GB (2 x 1000 x 1,498,112 bytes); 18 GB for the model. 60 GB leave 42: 14 pairs, of which 8 divide 512.
    assert micro_batch_of(RECIPE, SIZE, bytes_free=60 * GB, bf16=True) == 8
    assert micro_batch_of(changed(batch=42), SIZE, bytes_free=60 * GB, bf16=True) == 14
    assert micro_batch_of(changed(batch=42), SIZE, bytes_free=60 * GB, bf16=True, processes=2) == 7


def test_never_more_than_64_and_never_less_than_one():
    assert micro_batch_of(RECIPE, SIZE, bytes_free=10_000 * GB, bf16=True) == 64
    assert micro_batch_of(RECIPE, SIZE, bytes_free=1 * GB, bf16=True) == 1


def test_the_demo_model_takes_what_was_seen_of_it():
    # SmolLM2-135M: eight rows of 256 tokens in full training were seen to take about 4 GB (the recipe "demo").
    size = ModelSize(parameters=134_515_008, vocabulary=49_152, width=576, layers=30)
    sft = Sft(method="full", learning_rate=1e-5, epochs=1, batch=8, max_length=256)
    taken = fixed_bytes(sft, size, bf16=True) + 8 * bytes_of_a_row(sft, size, bf16=True)
    assert 4 * GB < taken < 6 * GB  # on the safe side


def test_the_size_is_read_from_the_checkpoints_files(policy, tmp_path):
    from transformers import AutoModelForCausalLM

    size = memory.size_of(str(policy))
    assert size.parameters == AutoModelForCausalLM.from_pretrained(policy).num_parameters()
    assert (size.vocabulary, size.width, size.layers) == (259, 16, 2)
    assert memory.size_of("some/model-of-a-hub") is None
    assert memory.size_of(str(tmp_path)) is None


def test_a_stage_chooses_once_and_keeps_to_it(tmp_path, policy, monkeypatch):
    monkeypatch.setattr(memory, "device_bytes", lambda: 1 * GB)
    asked = {"policy": str(policy), "run_dir": tmp_path, "bf16": False}
    assert rows_together(changed(max_length=512), **asked) == 64
    monkeypatch.setattr(memory, "device_bytes", lambda: 1e6)
    assert rows_together(changed(max_length=512), **asked) == 64  # resumed beside another program, say
    assert rows_together(changed(max_length=256), **asked) == 1  # told something else
    assert rows_together(changed(micro_batch=2), **asked) == 2


def test_a_gpu_that_ran_out_of_memory_starts_again_with_fewer_rows(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(memory.os, "execv", lambda path, arguments: started.append(arguments))
    write_json(tmp_path / memory.CHOSEN, {"asked": [], "micro_batch": 12})
    with memory.smaller_after_out_of_memory(RECIPE, tmp_path):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert started == [sys.orig_argv]
    assert json.loads((tmp_path / memory.CHOSEN).read_text())["micro_batch"] == 6


def test_several_processes_are_not_started_again_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    write_json(tmp_path / memory.CHOSEN, {"asked": [], "micro_batch": 8})
    with pytest.raises(RunDirError, match="Start the stage again: it will take 4"):  # noqa: SIM117
        with memory.smaller_after_out_of_memory(RECIPE, tmp_path):
            raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("recipe", [RECIPE, changed(micro_batch=8)])
def test_one_row_that_is_too_much_and_a_number_that_the_recipe_fixes_stay_errors(tmp_path, recipe):
    write_json(tmp_path / memory.CHOSEN, {"asked": [], "micro_batch": 1 if recipe is RECIPE else 8})
    with pytest.raises(torch.OutOfMemoryError):  # noqa: SIM117
        with memory.smaller_after_out_of_memory(recipe, tmp_path):
            raise torch.OutOfMemoryError("CUDA out of memory")
