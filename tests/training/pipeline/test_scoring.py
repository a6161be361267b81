"""Scores by a reward model."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from sampling.engine.run_dir import RunDirError
from tests.tiny_models import save_tiny_reward_model
from training.pipeline.reward_reading import RowEach
from training.pipeline.scoring import Scorer


def conversation(text, question="Question?"):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": text}]


def test_a_score_does_not_depend_on_what_it_is_batched_with(reward, in_32_bits):
    texts = ["a", "a much longer answer than the others", "bb", "ccc ccc", "d" * 60]
    together = Scorer(reward, micro_batch=5).score([conversation(text) for text in texts])
    alone = Scorer(reward, micro_batch=1).score([conversation(text) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) == len(texts)


def test_any_conversations_in_any_batches_have_the_scores_that_each_has_alone(reward, in_32_bits):
    dice = random.Random(17)
    questions = ["Question?", "Question? And a longer one, too.", "Q", ""]
    answers = ["", "a", "ab", "abc", "b" * 40, "abc and on", "ab" * 60]
    given = [conversation(answer, question) for question in questions for answer in answers]
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "a"}]
    given += [[*turns, *each] for each in given[::5]]  # beginning as others do, and longer
    own = Scorer(reward)
    own._reader = RowEach(own._loaded())
    alone = {repr(each): own.score([each])[0] for each in given}
    for micro_batch in (1, 2, 5, 32):
        drawn = dice.sample(given, len(given))
        scorer, scores = Scorer(reward, micro_batch=micro_batch), []
        while len(scores) < len(drawn):
            scores += scorer.score(drawn[len(scores) :][: dice.randint(1, len(drawn))])
        assert scores == pytest.approx([alone[repr(each)] for each in drawn], abs=1e-5)


def test_scores_come_in_the_order_of_the_conversations(reward, in_32_bits):
    scorer = Scorer(reward)
    long, short = scorer.score([conversation("x" * 50), conversation("y")])
    assert scorer.score([conversation("y"), conversation("x" * 50)]) == pytest.approx([short, long], abs=1e-5)


def test_progress_counts_conversations(reward):
    seen = []
    Scorer(reward, micro_batch=2).score([conversation(str(i)) for i in range(5)], on_progress=seen.append)
    assert seen == [2, 4, 5]


def test_nothing_to_score_is_no_score(reward):
    assert Scorer(reward).score([]) == []


def test_the_same_conversation_is_scored_once(reward, monkeypatch):
    rows = count_scored(monkeypatch)
    scorer = Scorer(reward)
    first, again, other = scorer.score([conversation("a"), conversation("a"), conversation("b")])
    assert (first == again != other, sum(rows)) == (True, 2)
    assert scorer.score([conversation("b")]) == [other]
    assert (sum(rows), scorer.from_cache) == (2, 0)


def test_what_was_scored_in_another_program_is_not_scored_again_and_needs_no_weights(reward, tmp_path, monkeypatch):
    rows = count_scored(monkeypatch)
    scores = Scorer(reward, caches=tmp_path).score([conversation("a"), conversation("b")])
    later = Scorer(reward, caches=tmp_path)
    assert later.score([conversation("b"), conversation("a")]) == scores[::-1]
    assert (sum(rows), later.from_cache, later._model) == (2, 2, None)
    assert later.score([conversation("b"), conversation("c")])[0] == scores[1]
    assert (sum(rows), later.from_cache) == (3, 2)


def test_a_score_that_was_kept_counts_even_if_it_would_be_rounded_otherwise_beside_other_rows(reward, tmp_path):
    texts = ["a", "a much longer answer than the others", "bb", "ccc ccc", "d" * 60]
    alone = [Scorer(reward, caches=tmp_path, micro_batch=1).score([conversation(text)])[0] for text in texts]
    together = Scorer(reward, caches=tmp_path, micro_batch=5).score([conversation(text) for text in texts])
    assert together == alone


def test_another_reward_model_in_the_same_place_has_scores_of_its_own(tmp_path):
    place = save_tiny_reward_model(tmp_path / "reward")
    first = Scorer(place, caches=tmp_path / "caches").score([conversation("a")])
    save_tiny_reward_model(tmp_path / "reward", seed=18)
    other = Scorer(place, caches=tmp_path / "caches")
    assert other.score([conversation("a")]) != first
    assert other.from_cache == 0


def test_the_same_weights_with_another_config_are_another_reward_model(tmp_path):
    place = save_tiny_reward_model(tmp_path / "reward")
    first = Scorer(place, caches=tmp_path / "caches").score([conversation("a")])
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1.0}))
    other = Scorer(place, caches=tmp_path / "caches")
    assert other.score([conversation("a")]) != first
    assert other.from_cache == 0


def short_of_memory(monkeypatch, most: int) -> list[int]:
    """Have more rows than ``most`` be too many together; returns the batches that fitted."""
    fitted, score_batch = [], Scorer._score_batch

    def scored(self, ids):
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        fitted.append(len(ids))
        return score_batch(self, ids)

    monkeypatch.setattr(Scorer, "_score_batch", scored)
    return fitted


def test_a_gpu_that_ran_out_of_memory_scores_half_as_many_together(reward, in_32_bits, monkeypatch):
    texts = [conversation(f"answer {i}") for i in range(11)]
    expected = Scorer(reward).score(texts)
    fitted, seen = short_of_memory(monkeypatch, most=3), []
    scorer = Scorer(reward, micro_batch=8)
    assert scorer.score(texts, on_progress=seen.append) == pytest.approx(expected, abs=1e-5)
    # 8 and 4 are too many: 2 fit, and stay.
    assert (fitted, seen) == ([2, 2, 2, 2, 2, 1], [2, 4, 6, 8, 10, 11])
    assert scorer.micro_batch == 2


def test_one_text_that_is_too_much_stays_an_error(reward, monkeypatch):
    short_of_memory(monkeypatch, most=0)
    with pytest.raises(torch.OutOfMemoryError):
        Scorer(reward, micro_batch=4).score([conversation("a"), conversation("b")])


def test_scores_in_32_bits_are_not_taken_for_those_in_16(reward, tmp_path, monkeypatch):
    for has_bf16 in (True, False):
        monkeypatch.setattr("training.pipeline.scoring.can_bf16", lambda has_bf16=has_bf16: has_bf16)
        scorer = Scorer(reward, caches=tmp_path)
        scorer.score([conversation("a")])
        assert scorer.from_cache == 0
    assert len(list((tmp_path / "scores").iterdir())) == 2


def test_scores_have_more_digits_than_bf16_even_where_that_computes_them(reward, monkeypatch):
    monkeypatch.setattr("training.pipeline.scoring.can_bf16", lambda: True)
    scores = Scorer(reward).score([conversation(f"answer {number}") for number in range(40)])
    rounded = torch.tensor(scores).to(torch.bfloat16).tolist()
    assert len(set(rounded)) < len(set(scores))  # the last layer tells them apart; what it reads has the few digits


def test_released_weights_are_loaded_again_when_they_are_needed(reward):
    scorer = Scorer(reward)
    (score,) = scorer.score([conversation("a")])
    scorer.release()
    assert scorer._model is None
    assert scorer.score([conversation("a"), conversation("b")])[0] == score


def test_a_reward_model_that_was_trained_to_pieces_is_refused(tmp_path):
    place = save_tiny_reward_model(tmp_path / "reward")
    weights = load_file(place / "model.safetensors")
    weights["score.weight"] = torch.full_like(weights["score.weight"], float("nan"))
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunDirError, match="gives a conversation a score of nan"):
        Scorer(place).score([conversation("a")])


def count_scored(monkeypatch) -> list[int]:
    """Rows that went through a model, by batch."""
    rows, score_batch = [], Scorer._score_batch
    monkeypatch.setattr(Scorer, "_score_batch", lambda self, ids: rows.append(len(ids)) or score_batch(self, ids))
    return rows
