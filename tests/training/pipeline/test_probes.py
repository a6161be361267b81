"""What a policy says while it trains, and how far it has moved."""

import math

import pytest
import torch

from sampling.engine.run_dir import read_metrics
from tests.training.pipeline.stages import PROGRAMS, curve, probes, training_dir, weights_hash
from training.pipeline import sft
from training.pipeline.probes import (
    Policy,
    Said,
    chosen_prompts,
    divergences,
    repeats_itself,
    steps_to_probe,
)
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import RecipeError, Sft

ASKED = {"probes": 2, "probe_prompts": 3, "probe_tokens": 5}


def user(text):
    return [{"role": "user", "content": text}]


@pytest.fixture
def asked(tmp_path, policy):
    """The tiny policy in a trainer, and three prompts to ask it."""
    stage = Stage.start(training_dir(tmp_path, "sft", policy))
    tokenizer = load_tokenizer(str(policy))
    row = [*user("One?"), {"role": "assistant", "content": "yes"}]
    trainer = sft.make_trainer(stage, Sft.parse(stage.told, source="the test"), tokenizer, [row] * 4)
    return Policy(trainer, tokenizer, prompts=[user("One?"), user("And another one, longer?"), user("2")], tokens=8)


def test_prompts_that_leave_no_room_for_an_answer_are_not_asked_and_the_log_says_so(tmp_path, policy, capsys):
    # The tiny policy takes 512 tokens: with 512 to answer there is no room for a prompt.
    run_dir = training_dir(tmp_path, "sft", policy, probes=2, probe_tokens=512)
    PROGRAMS["sft"].run(run_dir)
    assert not (run_dir / "probes.jsonl").exists()
    assert "None of the probe prompts leaves room for an answer" in capsys.readouterr().out


@pytest.mark.parametrize("changes", [{"probe_prompts": 17}, {"probe_tokens": 513}])
def test_more_probes_than_anybody_reads_are_refused(tmp_path, policy, changes):
    with pytest.raises(RecipeError, match=f"{next(iter(changes))}.*must be at most"):
        training_dir(tmp_path, "sft", policy, **changes)


def test_probes_are_spread_over_the_stage_and_one_is_at_its_end():
    # 100 steps and 4 probes: after every fifth of them.
    assert steps_to_probe(100, 4) == {20, 40, 60, 80, 100}
    assert steps_to_probe(2, 4) == {1, 2}  # a short stage has no step twice, and none before its first
    assert steps_to_probe(100, 0) == set()


def test_the_same_few_different_prompts_are_chosen_for_the_same_seed():
    prompts = [user(f"Question {i % 5}?") for i in range(20)]
    chosen = chosen_prompts(prompts, count=4, seed=17)
    assert len({str(each) for each in chosen}) == 4
    assert chosen_prompts(prompts, count=4, seed=17) == chosen
    assert chosen_prompts(prompts, count=4, seed=18) != chosen
    assert len(chosen_prompts(prompts, count=9, seed=17)) == 5


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("a b c d a b c d a b c d", True),
        ("A b c d, a b c d, a B c d,", True),  # whatever the case
        ("a b c d a b c d", False),  # twice is a figure of speech
        ("no no no no no no", True),  # "no no no no" comes three times
        ("a b c", False),
        ("", False),
    ],
)
def test_a_text_repeats_itself_when_four_words_come_three_times(text, repeats):
    assert repeats_itself(text) is repeats


def test_the_divergence_is_that_of_the_whole_vocabulary_at_each_token():
    # Two tokens over a vocabulary of two. Start (1/2, 1/2), now (1/4, 3/4):
    # 1/2 ln(2) + 1/2 ln(2/3) = 1/2 ln(4/3) = 0.1438; at the second token nothing moved; the mean is half of it.
    start = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()
    now = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
    assert divergences([start], [now]) == pytest.approx([math.log(4 / 3) / 4], abs=1e-6)


def test_in_16_bits_the_divergence_is_never_below_nought_and_next_to_exact():
    logits = torch.randn(6, 1000, generator=torch.Generator().manual_seed(17)) * 4
    start, now = logits.log_softmax(-1), (logits + 0.01 * logits.roll(1, -1)).log_softmax(-1)
    (exact,) = divergences([start], [now])
    assert 1e-4 < exact < 1e-2  # as after a few steps
    assert divergences([start.half()], [now])[0] == pytest.approx(exact, rel=0.01)
    assert 0 <= divergences([start.half()], [start])[0] < 1e-6


def test_the_log_probabilities_are_those_of_each_answer_alone_whatever_is_padded(asked, in_32_bits):
    # "Two" letters and eight; one prompt is longer than the others. Asked together or alone, the same comes out.
    answers = [Said(asked.tokenizer(text).input_ids, text) for text in ("ab", "abcdefgh", "c")]
    together = asked.log_probs(answers)
    model = asked.trainer.model
    for prompt, answer, found in zip(asked.prompt_ids, answers, together, strict=True):
        with torch.no_grad():
            alone = model(torch.tensor([prompt + answer.ids])).logits.float().log_softmax(-1)  # (1, tokens, vocabulary)
        torch.testing.assert_close(found, alone[0, len(prompt) - 1 : -1], atol=2e-2, rtol=0)
        assert found.shape == (len(answer.ids), len(asked.tokenizer))


def test_answers_are_greedy_and_end_at_their_end_token(asked):
    first, again = asked.answers(), asked.answers()
    assert first == again
    for prompt, answer in zip(asked.prompt_ids, first, strict=True):
        (found,) = asked.log_probs([answer]) if prompt == asked.prompt_ids[0] and len(first) == 1 else (None,)
        assert found is None or answer.ids == found.argmax(-1).tolist()
    end = asked.tokenizer.eos_token_id
    assert asked._said([65, end, end, asked.tokenizer.pad_token_id]).ids == [65, end]
    assert asked._said([65, 66]).ids == [65, 66]


def test_asking_draws_no_random_number_and_leaves_the_model_as_it_was(asked):
    model = asked.trainer.model
    model.train()
    model.model.layers[0].eval()  # as somebody may have chosen
    before = torch.random.get_rng_state()
    asked.log_probs(asked.answers())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training
    assert not model.model.layers[0].mlp.training
    assert model.model.layers[1].mlp.training
    assert all(weight.grad is None for weight in model.parameters())


def test_a_prompt_that_leaves_no_room_for_an_answer_is_not_asked(asked, policy):
    # The tiny policy has 512 positions and each letter takes one.
    given = [user("x" * 500), user("short")]
    shorter = Policy(asked.trainer, asked.tokenizer, prompts=given, tokens=8)
    assert shorter.prompts == [user("short")]


@pytest.mark.parametrize("kind", ["demonstrations", "sft", "dpo"])
@pytest.mark.parametrize("method", [{"method": "full"}, {"method": "lora", "lora_rank": 4, "lora_dropout": 0.1}])
def test_training_is_the_same_with_probes_and_without(tmp_path, policy, kind, method):
    with_probes = training_dir(tmp_path / "with", kind, policy, **ASKED, **method)
    without = training_dir(tmp_path / "without", kind, policy, **method)
    for run_dir in (with_probes, without):
        PROGRAMS[kind].run(run_dir)
    assert weights_hash(with_probes) == weights_hash(without)
    found = ("kl", "probe_tokens", "probe_repeats")
    assert [{name: row[name] for name in row if name not in found} for row in curve(with_probes)] == curve(without)


@pytest.mark.parametrize("kind", ["demonstrations", "sft", "dpo"])
def test_what_the_policy_said_is_written_at_the_start_in_between_and_at_the_end(tmp_path, policy, kind):
    run_dir = training_dir(tmp_path, kind, policy, learning_rate=3e-2, **ASKED)
    PROGRAMS[kind].run(run_dir)
    rows = probes(run_dir)
    # Six steps, two probes in between: after 2 and after 4.
    assert [(row["step"], row["index"]) for row in rows] == [(s, i) for s in (0, 2, 4, 6) for i in range(3)]
    assert all(row["prompt"][0]["content"].startswith("Question") for row in rows)
    assert all(0 < row["tokens"] <= 5 for row in rows)
    assert {row["kl"] for row in rows if row["step"] == 0} == {0.0}
    logged = {row["step"]: row["kl"] for row in read_metrics(run_dir) if "kl" in row}
    assert list(logged) == [2, 4, 6]
    # It warms up for half of the first two steps; by the end it has moved, and further than in the middle.
    assert 0 < logged[2] < logged[6]
    last = [row for row in rows if row["step"] == 6]
    tokens = [row["tokens"] for row in rows if row["step"] == 0]  # the divergence is along the first answers
    mean = sum(row["kl"] * count for row, count in zip(last, tokens, strict=True)) / sum(tokens)
    assert logged[6] == pytest.approx(mean)


def test_a_policy_that_does_not_move_has_no_divergence(tmp_path, policy, monkeypatch):
    monkeypatch.setattr("training.pipeline.trainers.WeightWatch.share_changed", lambda *args: 0.0)
    run_dir = training_dir(tmp_path, "sft", policy, learning_rate=1e-30, **ASKED)
    PROGRAMS["sft"].run(run_dir)
    assert all(abs(row["kl"]) < 1e-6 for row in probes(run_dir))


def test_a_reward_model_is_asked_nothing(tmp_path, policy):
    run_dir = training_dir(tmp_path, "reward_model", policy, **ASKED)
    PROGRAMS["reward_model"].run(run_dir)
    assert not (run_dir / "probes.jsonl").exists()
    assert not any("kl" in row for row in read_metrics(run_dir))


def test_no_probes_are_made_where_the_recipe_asks_for_none(tmp_path, policy):
    run_dir = training_dir(tmp_path, "sft", policy, probes=0)
    PROGRAMS["sft"].run(run_dir)
    assert not (run_dir / "probes.jsonl").exists()
