"""DPO on a tiny policy."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sampling.engine.run_dir import RunDirError, read_metrics
from tests.tiny_models import save_tiny_policy
from tests.training.pipeline.runs import pair, read_lines, stage_dir, write_lines
from tests.training.pipeline.stages import curve, weights_hash
from training.pipeline import dpo
from training.pipeline.grouped.tokens import for_log_probs
from training.pipeline.preferences import read_pairs, select
from training.pipeline.reference_cache import ReferenceCache
from training.pipeline.trainers import Stage, conversation_lengths, load_tokenizer
from training.recipe import Dpo


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


@pytest.mark.parametrize("method", ["full", "lora"])
def test_in_bf16_too_the_first_loss_is_ln_2_because_the_batches_of_the_reference_are_those_of_training(
    tmp_path, policy, method
):
    rows = [pair(i, chosen="yes " * (1 + 7 * i), rejected="no " * (40 - 2 * i)) for i in range(16)]
    inputs = {"policy": policy, "pairs_train": write_lines(tmp_path / "pairs.jsonl", rows)}
    result = dpo.run(stage_dir(tmp_path / "dpo", "dpo", inputs=inputs, precision="bf16", method=method, batch=16))
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-4)


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


def test_what_an_attempt_left_half_saved_is_cleared_away(tmp_path, policy):
    # Killing a stage for real, and going on from its checkpoints: test_killed_stages, test_resuming.
    run_dir = dpo_dir(tmp_path, policy)
    (run_dir / ".checkpoint.partial").mkdir()
    (run_dir / "metrics.jsonl").write_text('{"step": 9, "loss": 0.1}\n')
    result = dpo.run(run_dir)
    assert [row["step"] for row in read_metrics(run_dir)] == list(range(1, result.steps + 1))
    assert (run_dir / "checkpoint" / "model.safetensors").is_file()
    assert not (run_dir / ".checkpoint.partial").exists()


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


def tie(number: int, one: str, other: str) -> dict:
    return pair(number, chosen=one, rejected=other, tie=True, strength="negligibly_better", margin=0.0)


def test_ties_are_trained_on_in_both_orders_if_the_recipe_asks_for_them(tmp_path, policy):
    rows = [pair(i) for i in range(6)] + [tie(9, "yes yes", "no no")]
    inputs = {"policy": policy, "pairs_train": write_lines(tmp_path / "pairs.jsonl", rows)}
    without = dpo.run(stage_dir(tmp_path / "without", "dpo", inputs=inputs))
    assert (without.pairs, without.dropped) == (6, {"tie": 1})
    assert dpo.run(stage_dir(tmp_path / "with", "dpo", inputs=inputs, ties=True)).pairs == 8


def test_what_is_left_out_is_listed(tmp_path, policy):
    rows = [pair(i) for i in range(6)] + [pair(7, rejected=" "), pair(8, chosen="yes " * 200)]
    inputs = {"policy": policy, "pairs_train": write_lines(tmp_path / "pairs.jsonl", rows)}
    run_dir = stage_dir(tmp_path / "dpo", "dpo", inputs=inputs)
    assert dpo.run(run_dir).dropped == {"empty": 1, "too_long": 1}
    empty, long = read_lines(run_dir / "dropped.jsonl")
    assert (empty["stage"], empty["reason"], empty["prompt_id"], empty["line"]) == ("dpo", "empty", "7", 7)
    assert long["reason"] == "too_long"
    assert long["tokens"] > long["limit"] == 512


def test_the_longest_pair_that_is_kept_reaches_the_model_whole(tmp_path, policy, in_32_bits, monkeypatch):
    # One token a byte; TRL's own collator would cut a longer row without a word.
    rows = [pair(i) for i in range(6)]
    inputs = {"policy": policy, "pairs_train": write_lines(tmp_path / "pairs.jsonl", rows)}
    tokenizer = load_tokenizer(str(policy))
    read = read_pairs(inputs["pairs_train"])
    exact = max(conversation_lengths(tokenizer, [side for each in read for side in each.conversations]))
    monkeypatch.setattr("training.pipeline.arguments.ENOUGH_ON_A_CPU", 0)
    stage = Stage.start(stage_dir(tmp_path / "dpo", "dpo", inputs=inputs, max_length=exact, micro_batch=1))
    recipe = Dpo.parse(stage.told, source="the test")
    chosen = select(read_pairs(inputs["pairs_train"]), recipe, lambda each: conversation_lengths(tokenizer, each))
    assert (len(chosen.pairs), chosen.left_out) == (6, [])
    tokens = for_log_probs(chosen, tokenizer, mask_end_tokens=False).tokens
    trainer = dpo.make_trainer(stage, recipe, tokenizer, tokens, ReferenceCache(None, by_part=False))
    assert trainer.tokens_together == 2 * exact  # and a single pair is never cut
    rows = [trainer.rows(part) for (step,) in trainer.planned.steps for part in step.parts]
    assert sum(len(each.chosen) for each in rows) == 6
    targets = [token for each in rows for token in each.targets.tolist()]
    whole = [token for each in tokens for side in (each.chosen, each.rejected) for token in side]
    assert sorted(targets) == sorted(whole)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_reference_is_computed_once_and_found_again_whatever_the_loss(tmp_path, policy, precision):
    inputs = {"policy": policy, "pairs_train": pairs_file(tmp_path), "caches": tmp_path / "caches"}
    first = dpo.run(stage_dir(tmp_path / "first", "dpo", inputs=inputs, precision=precision))
    assert not first.reference_cached
    again = dpo.run(stage_dir(tmp_path / "again", "dpo", inputs=inputs, precision=precision, beta=0.5))
    assert again.reference_cached
    assert first.first_loss == pytest.approx(math.log(2), abs=1e-4)
    assert again.first_loss == pytest.approx(math.log(2), abs=1e-4)
    normalised = stage_dir(tmp_path / "norm", "dpo", inputs=inputs, precision=precision, loss="sigmoid_norm", beta=5.0)
    assert dpo.run(normalised).reference_cached


@pytest.mark.parametrize(("precision", "known"), [("fp32", True), ("bf16", False)])
def test_in_32_bits_a_completion_is_known_in_any_company_and_in_bf16_in_its_own(tmp_path, policy, precision, known):
    inputs = {"policy": policy, "pairs_train": pairs_file(tmp_path), "caches": tmp_path / "caches"}
    dpo.run(stage_dir(tmp_path / "first", "dpo", inputs=inputs, precision=precision))
    other = dpo.run(stage_dir(tmp_path / "other", "dpo", inputs=inputs, precision=precision, batch=4))
    assert other.reference_cached is known
    assert other.first_loss == pytest.approx(math.log(2), abs=1e-4)


def test_other_weights_are_another_reference(tmp_path, policy):
    inputs = {"policy": policy, "pairs_train": pairs_file(tmp_path), "caches": tmp_path / "caches"}
    dpo.run(stage_dir(tmp_path / "first", "dpo", inputs=inputs))
    moved = {"policy": tmp_path / "first" / "checkpoint"}
    result = dpo.run(stage_dir(tmp_path / "second", "dpo", inputs=inputs | moved))
    assert not result.reference_cached
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-4)


def caches_of(tmp_path, policy):
    return {"policy": policy, "pairs_train": pairs_file(tmp_path), "caches": tmp_path / "caches"}


def spoil_reference(tmp_path, by=0.5):
    """Have the kept sums be off, as those of a model of another scale would be."""
    for path in (tmp_path / "caches" / "reference").glob("*/*.jsonl"):
        write_lines(path, [row | {"score": row["score"] - by} for row in read_lines(path)])


@pytest.mark.parametrize("changes", [{}, {"nll_weight": 0.2}, {"loss": "ipo", "beta": 0.5}])
def test_a_kept_reference_that_is_not_the_start_of_the_stage_is_thrown_away_and_computed_again(
    tmp_path, policy, in_32_bits, capsys, changes
):
    inputs = caches_of(tmp_path, policy)
    whole_dir = stage_dir(tmp_path / "whole", "dpo", inputs=inputs, **changes)
    whole = dpo.run(whole_dir)
    spoil_reference(tmp_path)
    run_dir = stage_dir(tmp_path / "spoiled", "dpo", inputs=inputs, **changes)
    result = dpo.run(run_dir)
    assert "What was known of the reference is thrown away and computed again" in capsys.readouterr().out
    assert (result.reference_cached, result.first_loss) == (False, whole.first_loss)
    assert curve(run_dir) == curve(whole_dir)
    assert weights_hash(run_dir) == weights_hash(whole_dir)
    assert dpo.run(stage_dir(tmp_path / "after", "dpo", inputs=inputs, **changes)).reference_cached


def test_a_reference_that_was_computed_just_now_is_believed_and_the_log_says_what_is_wrong(tmp_path, policy, capsys):
    # With a dropout in its attention a policy computes otherwise while it trains.
    other = save_tiny_policy(tmp_path / "dropping", attention_dropout=0.5)
    result = dpo.run(dpo_dir(tmp_path, other, beta=1.0))
    assert result.steps == 2
    assert "is there a dropout in its config?" in capsys.readouterr().out
    dpo.run(stage_dir(tmp_path / "without", "dpo", inputs={"policy": policy, "pairs_train": pairs_file(tmp_path)}))
    assert "dropout" not in capsys.readouterr().out


def test_a_policy_that_is_never_its_reference_in_training_begins_anew_once(tmp_path, capsys):
    inputs = caches_of(tmp_path, save_tiny_policy(tmp_path / "dropping", attention_dropout=0.5))
    dpo.run(stage_dir(tmp_path / "first", "dpo", inputs=inputs, beta=1.0))
    capsys.readouterr()
    result = dpo.run(stage_dir(tmp_path / "second", "dpo", inputs=inputs, beta=1.0))
    assert (result.steps, result.reference_cached) == (2, False)
    log = capsys.readouterr().out
    assert log.count("begins again from its start") == log.count("is there a dropout in its config?") == 1


def test_a_stage_that_is_trained_already_asks_nothing_of_a_reference(tmp_path, policy):
    run_dir = stage_dir(tmp_path / "dpo", "dpo", inputs=caches_of(tmp_path, policy))
    assert dpo.run(run_dir).reference_cached is False
    assert dpo.run(run_dir).reference_cached is None


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_adapters_drop_what_the_recipe_says_and_the_first_loss_is_ln_2_all_the_same(tmp_path, policy, method):
    told = {"method": method, "lora_rank": 4, "epochs": 2, "learning_rate": 2e-2}
    run_dirs = [
        dpo_dir(tmp_path / name, policy, lora_dropout=dropout, **told)
        for name, dropout in (("with", 0.5), ("without", 0.0))
        if (tmp_path / name).mkdir() is None
    ]
    with_dropout, without = (dpo.run(run_dir) for run_dir in run_dirs)
    assert with_dropout.first_loss == pytest.approx(math.log(2), abs=1e-4)
    assert with_dropout.first_loss == without.first_loss
    # From the second step on, when the adapters add something, it shows.
    dropped, whole = ([row["loss"] for row in read_metrics(run_dir)][1:] for run_dir in run_dirs)
    assert all(one != other for one, other in zip(dropped, whole, strict=True))
