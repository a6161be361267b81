"""Scores by a reward model."""

import pytest

from training.pipeline.scoring import Scorer


def conversation(text):
    return [{"role": "user", "content": "Question?"}, {"role": "assistant", "content": text}]


def test_a_score_does_not_depend_on_what_it_is_batched_with(reward, in_32_bits):
    texts = ["a", "a much longer answer than the others", "bb", "ccc ccc", "d" * 60]
    together = Scorer(reward, micro_batch=5).score([conversation(text) for text in texts])
    alone = Scorer(reward, micro_batch=1).score([conversation(text) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) == len(texts)


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
