"""The reward model on a tiny policy."""

import math

import pytest
import torch
from safetensors.torch import load_file

from tests.training.pipeline.runs import pair, stage_dir, write_lines
from training.pipeline import reward_model
from training.pipeline.preferences import read_pairs
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import Stage, WeightWatch, load_tokenizer, save_checkpoint
from training.recipe import RewardModel


def reward_dir(tmp_path, policy, *, train=16, held_out=10, strength="significantly_better", **changes):
    inputs = {
        "policy": policy,
        "pairs_train": write_lines(tmp_path / "train.jsonl", [pair(i, strength=strength) for i in range(train)]),
        "pairs_eval": write_lines(tmp_path / "eval.jsonl", [pair(100 + i) for i in range(held_out)]),
    }
    return stage_dir(tmp_path / "reward_model", "reward_model", inputs=inputs, **changes)


def trainer_in(run_dir):
    stage = Stage.start(run_dir)
    recipe = RewardModel.parse(stage.told, source="the test")
    pairs = read_pairs(stage.inputs["pairs_train"])
    return stage, reward_model.make_trainer(stage, recipe, load_tokenizer(stage.inputs["policy"]), pairs)


def first_loss_with_a_silent_head(run_dir) -> float:
    """Every reward is 0 when the head is, so the loss is that of the margins alone."""
    stage, trainer = trainer_in(run_dir)
    torch.nn.init.zeros_(trainer.model.score.weight)
    trainer.train()
    return stage.losses[0]


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        # -log sigmoid(0 - 0 - margin) = log(1 + e^margin)
        ("significantly_better", math.log(1 + math.e)),  # margin 1: 1.3133
        ("slightly_better", math.log(1 + math.exp(1 / 3))),  # margin 1/3: 0.8736
        ("negligibly_better", math.log(2)),  # margin 0: 0.6931
    ],
)
def test_the_margin_is_taken_from_the_difference_of_the_rewards(tmp_path, policy, strength, expected):
    loss = first_loss_with_a_silent_head(reward_dir(tmp_path, policy, strength=strength))
    assert loss == pytest.approx(expected, abs=1e-3)


def test_a_recipe_without_margins_leaves_them_out(tmp_path, policy):
    loss = first_loss_with_a_silent_head(reward_dir(tmp_path, policy, margins=False))
    assert loss == pytest.approx(math.log(2), abs=1e-3)


def test_a_rule_that_can_be_learned_is_and_the_accuracy_is_that_of_held_out_pairs(tmp_path, policy):
    result = reward_model.run(reward_dir(tmp_path, policy, learning_rate=1e-2, epochs=4))
    assert (result.pairs_train, result.pairs_eval) == (16, 10)
    assert result.final_loss < result.first_loss
    assert result.accuracy == 1.0
    # Ten of ten: Wilson's lower end is 1 / (1 + z^2 / 10) = 0.7225.
    assert result.accuracy_low == pytest.approx(0.7225, abs=1e-4)


def test_without_held_out_pairs_there_is_no_accuracy(tmp_path, policy):
    result = reward_model.run(reward_dir(tmp_path, policy, held_out=0))
    assert (result.pairs_eval, result.accuracy, result.accuracy_low) == (0, None, None)


def test_adapters_are_merged_with_the_score_head_so_that_the_scores_stay(tmp_path, policy, in_32_bits):
    run_dir = reward_dir(tmp_path, policy, method="lora", learning_rate=1e-2, epochs=4, lora_rank=4)
    stage, trainer = trainer_in(run_dir)
    watch = WeightWatch(trainer.model)
    trainer.train()
    conversations = [side for i in range(4) for side in read_pairs(stage.inputs["pairs_eval"])[i].conversations]
    before = []
    for ids in trainer.processing_class.apply_chat_template(conversations, return_dict=False):
        with torch.no_grad():
            before.append(trainer.model.eval()(torch.tensor([ids])).logits.item())
    save_checkpoint(trainer, stage, watch)
    assert Scorer(stage.checkpoint).score(conversations) == pytest.approx(before, abs=1e-4)
    assert max(before) - min(before) > 0.1  # scores that are all alike would prove nothing
    assert "score.weight" in load_file(stage.checkpoint / "model.safetensors")


def test_equal_scores_are_not_right(tmp_path):
    class Indifferent:
        def score(self, conversations):
            return [0.0] * len(conversations)

    pairs = read_pairs(write_lines(tmp_path / "pairs.jsonl", [pair(i) for i in range(3)]))
    assert reward_model.count_right(Indifferent(), pairs) == 0


def test_a_text_of_several_pairs_is_scored_once(tmp_path):
    class ByLength:
        scored = 0

        def score(self, conversations):
            self.scored += len(conversations)
            return [float(len(each[-1]["content"])) for each in conversations]

    rows = [
        pair(1, chosen="aaa", rejected="b"),
        pair(1, chosen="aa", rejected="b"),
        pair(1, chosen="aa", rejected="aaa"),
    ]
    scorer = ByLength()
    assert reward_model.count_right(scorer, read_pairs(write_lines(tmp_path / "pairs.jsonl", rows))) == 2
    assert scorer.scored == 3
