"""The reward model on a tiny policy."""

import json
import math
import weakref

import pytest
import torch
from safetensors.torch import load_file

from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.runs import pair, read_lines, stage_dir, write_lines
from tests.training.pipeline.stages import loss_of_step, tokenised
from training.pipeline import judge_model, reward_model
from training.pipeline.accuracy import Accuracy
from training.pipeline.preferences import read_pairs
from training.pipeline.reward_model import Measured, Rival
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import Stage, WeightWatch, load_tokenizer, save_checkpoint
from training.recipe import RewardModel


def reward_dir(tmp_path, policy, *, train=16, held_out=10, strength="significantly_better", rivals=(), **changes):
    tmp_path.mkdir(exist_ok=True)
    inputs = {
        "policy": policy,
        "pairs_train": write_lines(tmp_path / "train.jsonl", [pair(i, strength=strength) for i in range(train)]),
        "pairs_eval": write_lines(tmp_path / "eval.jsonl", [pair(100 + i) for i in range(held_out)]),
        "rivals": list(rivals),
        "caches": tmp_path / "caches",
    }
    return stage_dir(tmp_path / "reward_model", "reward_model", inputs=inputs, **changes)


def trainer_in(run_dir):
    stage = Stage.start(run_dir)
    recipe = RewardModel.parse(stage.told, source="the test")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    pairs = tokenised(stage.inputs["pairs_train"], tokenizer, margins=recipe.margins).tokens
    return stage, reward_model.make_trainer(stage, recipe, tokenizer, pairs)


def first_loss_with_a_silent_head(run_dir) -> float:
    """Every reward is 0 when the head is, so the loss is that of the margins alone."""
    _, trainer = trainer_in(run_dir)
    torch.nn.init.zeros_(trainer.model.score.weight)
    trainer.train()
    return trainer.state.log_history[0]["loss"]


@pytest.mark.parametrize(
    ("margins", "strength", "expected"),
    [
        # -log sigmoid(0 - 0 - margin) = log(1 + e^margin), with Llama 2's margins (arXiv 2307.09288, table 27)
        ("large", "significantly_better", math.log(1 + math.exp(3))),  # 3.0486
        ("large", "better", math.log(1 + math.exp(2))),  # 2.1269
        ("large", "slightly_better", math.log(1 + math.e)),  # 1.3133
        ("large", "negligibly_better", math.log(2)),  # 0.6931
        ("small", "significantly_better", math.log(1 + math.e)),  # 1.3133
        ("small", "better", math.log(1 + math.exp(2 / 3))),  # 1.0813
        ("small", "slightly_better", math.log(1 + math.exp(1 / 3))),  # 0.8736
        ("small", "negligibly_better", math.log(2)),
        ("none", "significantly_better", math.log(2)),
    ],
)
def test_the_margin_of_the_strength_is_taken_from_the_difference_of_the_rewards(
    tmp_path, policy, in_32_bits, margins, strength, expected
):
    loss = first_loss_with_a_silent_head(reward_dir(tmp_path, policy, strength=strength, margins=margins))
    assert loss == pytest.approx(expected, abs=2e-4)  # it is logged with four digits or so


@pytest.mark.parametrize("margins", ["none", "small", "large"])
def test_the_loss_of_a_step_is_the_mean_of_its_pairs_worked_out_from_their_scores(
    tmp_path, policy, in_32_bits, margins
):
    run_dir = reward_dir(tmp_path, policy, margins=margins)
    strengths = ["significantly_better", "better", "slightly_better", "negligibly_better"]
    rows = [pair(i, chosen=f"yes {i}", strength=strength) for i, strength in enumerate(strengths)]
    write_lines(tmp_path / "train.jsonl", rows)
    _, trainer = trainer_in(run_dir)
    torch.nn.init.normal_(trainer.model.score.weight, std=1.0)  # rewards that differ visibly
    trainer.model.eval()
    found = loss_of_step(trainer)
    margin = {"none": [0, 0, 0, 0], "small": [1, 2 / 3, 1 / 3, 0], "large": [3, 2, 1, 0]}[margins]
    by_hand = []
    for each, asked in zip(read_pairs(tmp_path / "train.jsonl"), margin, strict=True):
        chosen, rejected = (
            trainer.model(torch.tensor([ids])).logits.item()
            for ids in trainer.processing_class.apply_chat_template(list(each.conversations), return_dict=False)
        )
        by_hand.append(math.log(1 + math.exp(-(chosen - rejected - asked))))
    assert found == pytest.approx(sum(by_hand) / 4, abs=1e-5)


def test_a_rule_that_can_be_learned_is_and_the_accuracy_is_that_of_held_out_pairs(tmp_path, policy):
    result = reward_model.run(reward_dir(tmp_path, policy, learning_rate=1e-2, epochs=4))
    assert (result.pairs_train, result.pairs_eval) == (16, 10)
    assert result.final_loss < result.first_loss
    assert result.accuracy == 1.0
    # Ten prompts of ten: a bootstrap would claim certainty; Wilson's lower end is 1 / (1 + z^2 / 10) = 0.7225.
    assert result.accuracy_low == pytest.approx(0.7225, abs=1e-4)
    assert [(each.strength, each.pairs, each.accuracy) for each in result.by_strength] == [("better", 10, 1.0)]
    assert (result.prompts_eval, result.best_is_new) == (10, True)
    # "yes yes yes" is longer than "no no no" each time.
    assert result.length_baseline.accuracy == 1.0


def test_without_held_out_pairs_there_is_no_accuracy(tmp_path, policy):
    result = reward_model.run(reward_dir(tmp_path, policy, held_out=0))
    assert (result.pairs_eval, result.accuracy, result.accuracy_low) == (0, None, None)
    assert (result.by_strength, result.length_baseline, result.best_is_new) == ([], None, True)


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


def test_the_best_reward_model_so_far_is_the_most_accurate_on_this_rounds_held_out_pairs(tmp_path, policy):
    learned = reward_model.run(reward_dir(tmp_path / "one", policy, learning_rate=1e-2, epochs=4))
    assert learned.accuracy == 1.0
    # This round's people like the opposite, but those of the held-out prompts do not.
    misled = reward_dir(tmp_path / "two", policy, learning_rate=1e-2, epochs=4, rivals=[learned.best])
    opposite = [pair(i, chosen="no no no", rejected="yes yes yes") for i in range(16)]
    write_lines(tmp_path / "two" / "train.jsonl", opposite)
    result = reward_model.run(misled)
    assert (result.accuracy, result.rivals) == (0.0, [Rival(learned.best, 1.0, pytest.approx(0.7225, abs=1e-4), 1.0)])
    assert (result.best, result.best_is_new) == (learned.best, False)


def of_accuracy(*values):
    new, *rivals = values
    return Measured(
        accuracy=None if new is None else Accuracy(new, 0.0, 1.0),
        by_strength=[],
        length_baseline=None,
        rivals=[Rival(f"round {i}", value, 0.0, 1.0) for i, value in enumerate(rivals, start=1)],
    )


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ((0.6, 0.5, 0.7, 0.65), "round 2"),
        ((0.7, 0.7, 0.6), "new"),  # a tie goes to the newest
        ((0.6, 0.7, 0.7), "round 2"),  # of the earlier ones too
        ((0.6, None, 0.5), "new"),  # one that is not there any more cannot be the best
        ((None, None), "new"),  # nothing was held out
        ((0.6,), "new"),
    ],
)
def test_of_equally_accurate_reward_models_the_newest_is_the_best(accuracies, best):
    assert reward_model.best_of("new", of_accuracy(*accuracies)) == best


def test_a_reward_model_of_an_earlier_round_that_was_deleted_is_named_and_not_compared(tmp_path, policy):
    gone = tmp_path / "gone"
    result = reward_model.run(reward_dir(tmp_path, policy, rivals=[gone]))
    assert result.rivals == [Rival(str(gone), None, None, None)]
    assert result.best_is_new


def test_pairs_that_are_left_out_are_listed_and_the_held_out_ones_say_so(tmp_path, policy):
    run_dir = reward_dir(tmp_path, policy)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(json.dumps(pair(50, rejected=" ")) + "\n")
    with (tmp_path / "eval.jsonl").open("a") as file:
        file.write(json.dumps(pair(200, chosen="alike", rejected="alike ")) + "\n")
    result = reward_model.run(run_dir)
    assert (result.dropped, result.dropped_eval) == ({"empty": 1}, {"identical": 1})
    listed = [(row["stage"], row["reason"], row["prompt_id"]) for row in read_lines(run_dir / "dropped.jsonl")]
    assert listed == [("reward_model", "empty", "50"), ("reward_model", "held_out_identical", "200")]


def test_too_few_pairs_are_listed_before_the_stage_refuses(tmp_path, policy):
    run_dir = reward_dir(tmp_path, policy, train=2)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(json.dumps(pair(50, rejected=" ")) + "\n")
    with pytest.raises(RunDirError, match=r"2 usable pairs \(1 empty left out\); the reward model needs at least 4"):
        reward_model.run(run_dir)
    assert len(read_lines(run_dir / "dropped.jsonl")) == 1


def test_the_judge_model_is_the_same_program_told_of_other_pairs(tmp_path, policy):
    inputs = {
        "policy": policy,
        "pairs_train": write_lines(tmp_path / "eval.jsonl", [pair(100 + i) for i in range(8)]),
        "pairs_eval": write_lines(tmp_path / "train.jsonl", [pair(i) for i in range(6)]),
        "rivals": [],
    }
    run_dir = stage_dir(tmp_path / "judge_model", "reward_model", inputs=inputs, learning_rate=1e-2, epochs=6)
    result = judge_model.run(run_dir)
    assert (result.pairs_train, result.pairs_eval, result.accuracy) == (8, 6, 1.0)
    assert result.best == str(run_dir / "checkpoint")
    write_lines(tmp_path / "eval.jsonl", [pair(1)])
    with pytest.raises(RunDirError, match="the judge model needs at least 4"):
        judge_model.run(run_dir)


def test_every_pair_that_was_selected_is_trained_on_the_longest_too(tmp_path, policy):
    _, trainer = trainer_in(reward_dir(tmp_path, policy))
    rankings = [each for (step,) in trainer.planned.steps for part in step.parts for each in part.rankings]
    longest = max(each.longest for each in rankings)
    run_dir = reward_dir(tmp_path, policy, max_length=longest)
    _, trainer = trainer_in(run_dir)
    steps = [step for (step,) in trainer.planned.steps]
    assert sum(len(each.pairs) for step in steps for part in step.parts for each in part.rankings) == 16
    result = reward_model.run(run_dir)
    assert (result.pairs_train, result.dropped) == (16, {})


def killed(*args, **kwargs):
    raise KeyboardInterrupt


def test_a_stage_that_was_killed_while_it_measured_is_not_trained_again(tmp_path, policy, monkeypatch):
    run_dir = reward_dir(tmp_path, policy)
    with monkeypatch.context() as patch:
        patch.setattr(reward_model, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            reward_model.run(run_dir)
    saved = (run_dir / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(reward_model, "make_trainer", None)
    result = reward_model.run(run_dir)
    assert (run_dir / "checkpoint" / "model.safetensors").stat().st_mtime_ns == saved
    assert (result.pairs_eval, result.steps) == (10, 2)
    assert result.first_loss > 0


def test_nothing_of_the_training_is_in_memory_while_it_is_measured(tmp_path, policy, monkeypatch):
    made, alive = [], []
    make_trainer, measure = reward_model.make_trainer, reward_model.measure

    def making(*args):
        trainer = make_trainer(*args)
        made.extend([weakref.ref(trainer), weakref.ref(trainer.model)])
        return trainer

    def measuring(*args, **kwargs):
        alive.extend(each() for each in made)
        return measure(*args, **kwargs)

    monkeypatch.setattr(reward_model, "make_trainer", making)
    monkeypatch.setattr(reward_model, "measure", measuring)
    reward_model.run(reward_dir(tmp_path, policy))
    assert alive == [None, None]


@pytest.mark.parametrize(("micro_batch", "texts"), [(2, 4), (0, 8)])
def test_as_many_texts_are_measured_together_as_were_trained_on(tmp_path, policy, monkeypatch, micro_batch, texts):
    monkeypatch.setattr("training.pipeline.memory.micro_batch_of", lambda *args, **kwargs: 4)
    seen, score = [], Scorer.score
    monkeypatch.setattr(
        Scorer, "score", lambda self, *args, **kwargs: seen.append(self.micro_batch) or score(self, *args, **kwargs)
    )
    reward_model.run(reward_dir(tmp_path, policy, micro_batch=micro_batch))
    assert seen == [texts]


def test_of_several_processes_only_the_main_one_measures(tmp_path, policy, monkeypatch):
    run_dir = reward_dir(tmp_path, policy)
    monkeypatch.setattr(Stage, "train", lambda *args, **kwargs: None)
    monkeypatch.setenv("RANK", "1")
    assert reward_model.run(run_dir) is None
