"""What goes through the model at once, worked out by hand."""

import pytest
import torch

from training.pipeline.grouped.plan import Part
from training.pipeline.grouped.rankings import Comparison, Ranking
from training.pipeline.grouped.rows import rows_of

PAD = 0
# A prompt of three with completions of two and three tokens; one of two with two of one.
BIG = Ranking((1, 2, 3), ((4, 5), (6, 7, 8)), (Comparison(1, 0, margin=0.5),))
SMALL = Ranking((9, 10), ((11,), (12,)), (Comparison(0, 1, weight=0.25),))
PART = Part((BIG, SMALL))


def rows(of, layout, part=PART, **how):
    return rows_of(part, of=of, layout=layout, pad_token_id=PAD, **how)


def test_a_shared_row_for_log_probs_has_the_prompts_last_token_before_each_completion_and_no_last_token():
    found = rows("log_probs", "shared")
    # 1 2 | 3 4 | 3 6 7 | 9 | 10 | 10: each completion begins with what predicts its first token.
    assert found.input_ids.tolist() == [[1, 2, 3, 4, 3, 6, 7, 9, 10, 10]]
    assert found.position_ids.tolist() == [[0, 1, 2, 3, 2, 3, 4, 0, 1, 1]]
    assert found.blocks.sizes == ((2, (2, 3)), (1, (1, 1)))
    assert found.read_at.tolist() == [2, 3, 4, 5, 6, 8, 9]
    assert found.targets.tolist() == [4, 5, 6, 7, 8, 11, 12]
    assert found.owner.tolist() == [0, 0, 1, 1, 1, 2, 3]
    assert (found.attention_mask, found.tokens, found.positions) == (None, 10, 10)


def test_a_shared_row_for_rewards_is_read_at_the_end_of_each_completion():
    found = rows("rewards", "shared")
    assert found.input_ids.tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]]
    assert found.position_ids.tolist() == [[0, 1, 2, 3, 4, 3, 4, 5, 0, 1, 2, 2]]
    assert found.read_at.tolist() == [4, 7, 10, 11]
    assert found.targets.tolist() == []
    assert found.owner.tolist() == [0, 1, 2, 3]


def test_rows_of_their_own_are_padded_to_the_longest():
    found = rows("log_probs", "separate")
    assert found.input_ids.tolist() == [
        [1, 2, 3, 4, PAD],
        [1, 2, 3, 6, 7],
        [9, 10, PAD, PAD, PAD],
        [9, 10, PAD, PAD, PAD],
    ]
    assert found.attention_mask.tolist() == [[1, 1, 1, 1, 0], [1] * 5, [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    assert found.read_at.tolist() == [2, 3, 7, 8, 9, 11, 16]
    assert (found.blocks, found.tokens, found.positions) == (None, 4 + 5 + 2 + 2, 20)
    rewards = rows("rewards", "separate")
    assert rewards.read_at.tolist() == [4, 11, 14, 20]


@pytest.mark.parametrize("layout", ["shared", "separate"])
@pytest.mark.parametrize("of", ["log_probs", "rewards"])
def test_pairs_are_positions_among_all_completions_of_a_part(of, layout):
    found = rows(of, layout)
    assert (found.chosen.tolist(), found.rejected.tolist()) == ([1, 2], [0, 3])
    assert (found.margins.tolist(), found.weights.tolist()) == ([0.5, 0.0], [1.0, 0.25])
    assert found.lengths.tolist() == [2, 3, 1, 1]
    assert found.completions == 4


def test_a_shared_row_is_padded_to_a_multiple_and_the_padding_is_of_no_ranking():
    found = rows("log_probs", "shared", multiple_of=8)
    assert found.input_ids.shape == (1, 16)
    assert (found.blocks.padding, found.tokens, found.positions) == (6, 10, 16)
    assert found.input_ids[0, 10:].tolist() == [PAD] * 6


def test_a_prompt_of_one_token_is_before_each_completion_and_nowhere_else():
    found = rows("log_probs", "shared", Part((Ranking((1,), ((2, 3), (4,)), (Comparison(0, 1),)),)))
    assert found.input_ids.tolist() == [[1, 2, 1]]
    assert found.blocks.sizes == ((0, (2, 1)),)


def test_where_padding_is_the_end_token_a_reward_stands_at_the_last_token_that_is_none():
    # As transformers' classifiers find it: SmolLM2 pads with its end token, and writes a line break after it.
    ended = Ranking((1, 2), ((3, PAD, 8), (4, PAD), (5, PAD, PAD)), (Comparison(0, 1), Comparison(0, 2)))
    assert rows("rewards", "shared", Part((ended,))).read_at.tolist() == [4, 5, 7]
    assert rows("rewards", "separate", Part((ended,))).read_at.tolist() == [4, 7, 12]


def test_rows_move_whole():
    found = rows("log_probs", "shared").to(torch.device("meta"))
    assert {each.device.type for each in vars(found).values() if isinstance(each, torch.Tensor)} == {"meta"}
