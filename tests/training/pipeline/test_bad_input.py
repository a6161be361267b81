"""Bad input of the stages that train on pairs: each kind has a stated end, and nothing is left out uncounted.

An architecture that cannot share a prompt is `grouped/test_sharing`'s.
"""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sampling.engine.run_dir import RunDirError, read_metrics
from tests.tiny_models import save_tiny_policy, tiny_tokenizer
from tests.training.pipeline.runs import pair, read_lines, stage_dir, write_lines
from tests.training.pipeline.stages import tokenised
from training.pipeline import dpo, reward_model
from training.pipeline.preferences import read_pairs

STAGES = {"dpo": dpo, "reward_model": reward_model}
EITHER = pytest.mark.parametrize("kind", STAGES)
GOOD = [pair(i) for i in range(6)]


@pytest.fixture
def stage(tmp_path, policy):
    """A stage on these pairs."""

    def make(kind, rows, *, model=policy, **changes):
        inputs = {"policy": model, "pairs_train": write_lines(tmp_path / "pairs.jsonl", rows)}
        if kind == "reward_model":
            inputs |= {"pairs_eval": write_lines(tmp_path / "held_out.jsonl", [])}
        run_dir = stage_dir(tmp_path / kind, kind, inputs=inputs, **changes)
        return SimpleNamespace(run_dir=run_dir, run=lambda: STAGES[kind].run(run_dir))

    return make


def pairs_of(result):
    return getattr(result, "pairs", None) or result.pairs_train


def listed(stage):
    return [(row["reason"], row["line"]) for row in read_lines(stage.run_dir / "dropped.jsonl")]


def tie(number):
    return pair(number, tie=True, strength="negligibly_better", margin=0.0)


def with_template(tmp_path, change):
    """A policy whose chat template writes an answer otherwise."""
    path = save_tiny_policy(tmp_path / "templated")
    tokenizer = tiny_tokenizer()
    before = "{{ message['content'] }}<|im_end|>{% endgeneration %}"
    assert before in tokenizer.chat_template
    tokenizer.chat_template = tokenizer.chat_template.replace(before, before.replace("message['content']", change))
    tokenizer.save_pretrained(path)
    return path


@EITHER
def test_a_completion_longer_than_the_limit_is_left_out_and_counted_and_never_cut(stage, kind):
    made = stage(kind, [*GOOD, pair(8, chosen="yes " * 200), pair(9, rejected="no " * 300)])
    result = made.run()
    assert (pairs_of(result), result.dropped) == (6, {"too_long": 2})
    assert listed(made) == [("too_long", 7), ("too_long", 8)]


@EITHER
def test_a_file_of_nothing_but_ties_is_refused_and_every_one_is_counted(stage, kind):
    made = stage(kind, [tie(i) for i in range(6)])
    with pytest.raises(RunDirError, match=r"has 0 usable pairs \(6 tie left out\).* needs at least 4"):
        made.run()
    assert listed(made) == [("tie", line) for line in range(1, 7)]


NAMES = ("one", "other", "third")
ALL_TIES = [
    pair(7, chosen=NAMES[i], rejected=NAMES[j], tie=True, strength="negligibly_better", margin=0.0)
    for i, j in ((0, 1), (0, 2), (1, 2))
]


def test_a_ranking_that_is_all_ties_is_both_orders_of_each_where_dpo_is_asked_for_ties(stage):
    # Three completions that are all alike: three ties, six pairs, one ranking. At the reference each costs ln 2.
    made = stage("dpo", [*GOOD, *ALL_TIES], ties=True, precision="fp32", max_pairs_per_prompt=6)
    result = made.run()
    assert (result.pairs, result.dropped) == (12, {})
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-4)


def test_ties_alone_prefer_nothing_and_dpo_says_so_before_it_trains(stage):
    # Each order pulls as much as the other, so that no gradient is left; an NLL term would still raise all of them.
    with pytest.raises(RunDirError, match=r"pairs\.jsonl has nothing but ties.* Collect judgments that prefer"):
        stage("dpo", ALL_TIES, ties=True, max_pairs_per_prompt=6).run()
    assert stage("dpo", ALL_TIES, ties=True, max_pairs_per_prompt=6, nll_weight=0.2).run().pairs == 6


@EITHER
def test_a_prompt_with_one_completion_has_no_pair_and_a_file_without_pairs_is_refused(stage, kind):
    with pytest.raises(RunDirError, match=r"has 0 usable pairs; .* needs at least 4. Collect more judgments"):
        stage(kind, []).run()


@EITHER
def test_two_completions_of_one_text_or_of_the_same_tokens_are_one(tmp_path, stage, kind):
    model = with_template(tmp_path, "message['content'] | lower")
    rows = [*GOOD, pair(7, chosen="alike", rejected=" alike"), pair(8, chosen="Yes", rejected="yes")]
    made = stage(kind, rows, model=model)
    result = made.run()
    assert (pairs_of(result), result.dropped) == (6, {"identical": 2})
    assert listed(made) == [("identical", 7), ("identical", 8)]


@EITHER
def test_an_empty_completion_is_left_out_and_counted(stage, kind):
    made = stage(kind, [*GOOD, pair(7, chosen=""), pair(8, rejected=" \n")])
    assert made.run().dropped == {"empty": 2}
    assert listed(made) == [("empty", 7), ("empty", 8)]


# Reasoning that a template leaves out, as Qwen3's does: an answer of nothing else is no token, but for its end.
THOUGHT = "message['content'].split('</think>')[-1]"
ONLY_THOUGHT = pair(7, rejected="nothing but this</think>")


@pytest.mark.parametrize(
    ("row", "changes"),
    [(ONLY_THOUGHT, {"mask_end_tokens": True}), (ONLY_THOUGHT | {"rejected_finish_reason": "length"}, {})],
    ids=["masked end", "cut off"],
)
def test_a_completion_that_is_empty_in_tokens_only_is_left_out_of_dpo_and_counted(tmp_path, stage, row, changes):
    made = stage("dpo", [*GOOD, row], model=with_template(tmp_path, THOUGHT), **changes)
    result = made.run()
    assert (result.pairs, result.dropped) == (6, {"empty": 1})
    assert listed(made) == [("empty", 7)]


def test_an_answer_of_an_end_alone_is_something_to_learn_from_where_the_end_counts(tmp_path, stage):
    model = with_template(tmp_path, THOUGHT)
    assert stage("dpo", [*GOOD, ONLY_THOUGHT], model=model).run().pairs == 7
    assert stage("reward_model", [*GOOD, ONLY_THOUGHT], model=model).run().pairs_train == 7


@EITHER
@pytest.mark.parametrize("margin", ["NaN", "Infinity", '"much"'])
def test_a_margin_that_is_no_number_is_refused_by_its_line(tmp_path, stage, kind, margin):
    made = stage(kind, GOOD)
    with (tmp_path / "pairs.jsonl").open("a") as file:
        file.write(json.dumps(pair(7, margin="MARGIN")).replace('"MARGIN"', margin) + "\n")
    with pytest.raises(RunDirError, match=r"pairs\.jsonl, line 7 is not a preference pair \(ValueError"):
        made.run()


@EITHER
def test_a_loss_that_is_no_number_ends_the_stage_with_the_remedy(stage, kind, monkeypatch):
    name = {"dpo": "dpo_losses", "reward_model": "bradley_terry_losses"}[kind]
    monkeypatch.setattr(
        f"training.pipeline.grouped.trainer.{name}", lambda values, *rest: values.sum() * float("nan") + torch.zeros(1)
    )
    made = stage(kind, GOOD)
    with pytest.raises(RunDirError, match=r"loss of step 1 is not a number.*Lower learning_rate"):
        made.run()
    assert [row["loss"] for row in read_metrics(made.run_dir)] == [None]
    assert not (made.run_dir / "checkpoint").exists()


@EITHER
def test_a_policy_with_a_weight_that_is_no_number_is_refused_before_anything_is_trained(tmp_path, stage, kind):
    path = save_tiny_policy(tmp_path / "broken")
    weights = load_file(path / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    made = stage(kind, GOOD, model=path)
    with pytest.raises(RunDirError, match=r"not a number.*Start from another checkpoint"):
        made.run()
    assert not (made.run_dir / "metrics.jsonl").exists()


def test_where_the_end_token_pads_a_pair_of_rewards_is_what_it_was(tmp_path, policy):
    # SmolLM2's way: the same tokens, but for which of them is told to be padding.
    path = write_lines(tmp_path / "pairs.jsonl", GOOD)
    plain, padded = tiny_tokenizer(), tiny_tokenizer()
    padded.pad_token = padded.eos_token
    assert tokenised(path, plain, margins="none").tokens == tokenised(path, padded, margins="none").tokens
    assert len(read_pairs(path)) == 6
