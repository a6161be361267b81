"""DPO on a tiny policy."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sampling.engine.run_dir import RunDirError, read_metrics
from tests.training.pipeline.runs import pair, stage_dir, write_lines
from training.pipeline import dpo
from training.pipeline.preferences import read_pairs
from training.pipeline.trainers import load_tokenizer

ROOT = Path(__file__).parents[3]


def pairs_file(tmp_path, count=16):
    return write_lines(tmp_path / "pairs.jsonl", [pair(i) for i in range(count)])


def dpo_dir(tmp_path, policy, *, count=16, **changes):
    inputs = {"policy": policy, "pairs_train": pairs_file(tmp_path, count)}
    return stage_dir(tmp_path / "dpo", "dpo", inputs=inputs, **changes)


def preference_for_yes(path) -> float:
    """log p(yes yes yes) - log p(no no no), as an answer to a question that was not trained on."""
    tokenizer = load_tokenizer(str(path))
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    prompt = [{"role": "user", "content": "Question 99?"}]
    start = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))
    totals = []
    for answer in ("yes yes yes", "no no no"):
        ids = tokenizer.apply_chat_template(
            [*prompt, {"role": "assistant", "content": answer}], return_dict=False, return_tensors="pt"
        )
        with torch.no_grad():
            log_probs = model(ids).logits.log_softmax(-1)  # (1, tokens, vocabulary)
        chosen = log_probs[0, :-1].gather(-1, ids[0, 1:, None]).squeeze(-1)
        totals.append(chosen[start - 1 :].sum().item())
    return totals[0] - totals[1]


def test_the_first_loss_is_ln_2_because_the_reference_is_the_start(tmp_path, policy):
    # The policy still is the reference: both log-ratios are 0, and -log sigmoid(beta * (0 - 0)) = log 2 = 0.6931.
    result = dpo.run(dpo_dir(tmp_path, policy))
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-4)
    assert result.pairs == 16


def test_training_makes_the_chosen_side_likelier_than_it_was(tmp_path, policy):
    run_dir = dpo_dir(tmp_path, policy, learning_rate=1e-2, epochs=6)
    result = dpo.run(run_dir)
    assert result.final_loss < 0.5 < result.first_loss
    assert result.weights_changed > 0.5
    assert preference_for_yes(run_dir / "checkpoint") > preference_for_yes(policy) + 1


def test_adapters_start_at_the_reference_and_are_merged_into_the_checkpoint(tmp_path, policy, in_32_bits):
    run_dir = dpo_dir(tmp_path, policy, method="lora", learning_rate=2e-2, epochs=6, lora_rank=4)
    result = dpo.run(run_dir)
    # The second matrix of an adapter starts at zero, so it adds nothing at first.
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-4)
    assert preference_for_yes(run_dir / "checkpoint") > preference_for_yes(policy) + 1
    assert not list((run_dir / "checkpoint").glob("adapter*"))


def test_the_nll_term_is_added_with_its_weight(tmp_path, policy):
    # At the start: log 2 + w * NLL of the chosen; NLL is the same for every w.
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = dpo.run(dpo_dir(tmp_path / "a", policy, sft_weight=1.0)).first_loss - math.log(2)
    fifth = dpo.run(dpo_dir(tmp_path / "b", policy, sft_weight=0.2)).first_loss - math.log(2)
    assert whole > 1
    assert fifth == pytest.approx(0.2 * whole, rel=1e-2)


def test_the_metrics_have_one_line_a_step(tmp_path, policy):
    run_dir = dpo_dir(tmp_path, policy)
    result = dpo.run(run_dir)
    # 16 pairs in batches of 8.
    assert [row["step"] for row in read_metrics(run_dir)] == [1, 2]
    assert result.steps == 2
    assert "rewards/margins" in read_metrics(run_dir)[0]


def test_the_checkpoint_holds_weights_and_tokenizer_and_nothing_pickled(tmp_path, policy):
    run_dir = dpo_dir(tmp_path, policy)
    dpo.run(run_dir)
    names = {path.name for path in (run_dir / "checkpoint").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert {Path(name).suffix for name in names} <= {".json", ".safetensors", ".jinja"}
    assert load_tokenizer(str(run_dir / "checkpoint")).chat_template
    assert not (run_dir / "trainer").exists()


def test_too_few_pairs_are_refused_before_anything_is_trained(tmp_path, policy):
    with pytest.raises(RunDirError, match="has 3 usable pairs; DPO needs at least 4"):
        dpo.run(dpo_dir(tmp_path, policy, count=3))


def test_a_stage_that_was_killed_in_the_middle_is_run_again_from_its_start(tmp_path, policy):
    run_dir = dpo_dir(tmp_path, policy, count=64, epochs=50)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    program = subprocess.Popen(
        [sys.executable, "-m", "training.pipeline.dpo", "--run-dir", str(run_dir)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 90
        while not read_metrics(run_dir):
            assert program.poll() is None, "it ended before its first step"
            assert time.monotonic() < until, "no step within 90 s"
            time.sleep(0.05)
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
    assert not (run_dir / "result.json").exists()
    assert not (run_dir / "checkpoint").exists()
    (run_dir / ".checkpoint.partial").mkdir()  # as if it had been saving

    dpo_dir(tmp_path, policy, count=64, epochs=1)
    result = dpo.run(run_dir)
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-4)
    assert [row["step"] for row in read_metrics(run_dir)] == list(range(1, result.steps + 1))
    assert (run_dir / "checkpoint" / "model.safetensors").is_file()
    assert not (run_dir / ".checkpoint.partial").exists()


def test_leaving_prompts_out_of_the_language_model_head_changes_no_loss(tmp_path, policy, in_32_bits, monkeypatch):
    # Rows of unlike length, so that there is padding to leave out as well.
    rows = [pair(i, chosen="yes " * (1 + i % 5), rejected="no") for i in range(16)]
    losses = []
    for name in ("everything", "completions"):
        (tmp_path / name).mkdir()
        inputs = {"policy": policy, "pairs_train": write_lines(tmp_path / name / "pairs.jsonl", rows)}
        run_dir = stage_dir(tmp_path / name / "dpo", "dpo", inputs=inputs, epochs=2)
        with monkeypatch.context() as patch:
            patch.setattr("trl.trainer.utils._use_triton", lambda device: False)
            if name == "everything":
                patch.setattr("training.pipeline.trainers.project_completions_only", lambda: None)
            dpo.run(run_dir)
        losses.append([row["loss"] for row in read_metrics(run_dir)])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert len(set(losses[0])) > 1  # it did train


def test_embeddings_stay_as_they_are_if_the_recipe_says_so(tmp_path, policy):
    before = load_file(policy / "model.safetensors")
    for train_embeddings in (False, True):
        folder = tmp_path / str(train_embeddings)
        folder.mkdir()
        run_dir = dpo_dir(folder, policy, train_embeddings=train_embeddings)
        dpo.run(run_dir)
        after = load_file(run_dir / "checkpoint" / "model.safetensors")
        name = "model.embed_tokens.weight"
        assert torch.equal(before[name], after[name]) is not train_embeddings
        assert not torch.equal(before["model.layers.0.mlp.up_proj.weight"], after["model.layers.0.mlp.up_proj.weight"])


def test_a_completion_that_was_cut_off_is_left_open_and_a_finished_one_is_ended(tmp_path, policy):
    tokenizer = load_tokenizer(str(policy))
    row = pair(1, chosen="yes.", rejected="no and", chosen_finish_reason="stop", rejected_finish_reason="length")
    (read,) = read_pairs(write_lines(tmp_path / "pairs.jsonl", [row]))
    ids = dpo.token_ids(read, tokenizer)
    assert tokenizer.decode(ids["prompt_ids"]) == "<|im_start|>user\nQuestion 1?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(ids["chosen_ids"]) == "yes.<|im_end|>\n"
    assert tokenizer.decode(ids["rejected_ids"]) == "no and"


def test_without_a_finish_reason_a_completion_is_taken_for_finished(tmp_path, policy):
    tokenizer = load_tokenizer(str(policy))
    (read,) = read_pairs(write_lines(tmp_path / "pairs.jsonl", [pair(1)]))
    assert tokenizer.decode(dpo.token_ids(read, tokenizer)["rejected_ids"]) == "no no no<|im_end|>\n"
