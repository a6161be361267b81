"""Results in words."""

import pytest

from tests.training.fake_stage import RESULTS
from training.models import StageKind
from training.watching import figures


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 B"), (270_000_000, "270.0 MB"), (1.5e9, "1.5 GB"), (2e12, "2.0 TB")]
)
def test_sizes_have_their_unit(size, words):
    assert figures.size(size) == words


def test_a_proportion_comes_with_its_interval():
    told = figures.proportion({"a": 0.712, "low": 0.64, "high": 0.78}, "a", "low", "high")
    assert told == "71.2 % (64.0 to 78.0)"
    assert figures.proportion({"a": 0.5}, "a", "low", "high") == "50.0 %"
    assert figures.proportion({}, "a", "low", "high") == "not measured"


@pytest.mark.parametrize("kind", StageKind)
def test_every_stage_has_words_for_a_whole_result_and_for_an_empty_one(kind):
    assert figures.facts_of(kind, RESULTS[kind])
    assert figures.facts_of(kind, None) == []
    assert all(isinstance(words, str) for _, words in figures.facts_of(kind, {"other": 1}))


def test_what_was_left_out_is_told_by_reason():
    facts = dict(
        figures.facts_of(StageKind.SFT, {"rows": 18, "final_loss": 1.25, "dropped": {"too_long": 2, "empty": 0}})
    )
    assert facts == {"rows": "18", figures.LAST_LOSS: "1.250", "left out": "2 too long"}


def test_prompts_that_rejection_sampling_lost_are_told_with_the_limit_that_lost_them():
    result = {"prompts": 148, "dropped": {"none_finished": 54, "all_alike": 1, "all_empty": 0}}
    told = dict(figures.facts_of(StageKind.REJECTION_SAMPLING, result, {"max_tokens": 80}))["left out"]
    assert told == "54 prompts: no candidate finished within 80 tokens; 1 prompt: all candidates said the same"


def test_the_share_that_was_cut_off_stands_beside_the_mean_length_where_it_is_known():
    result = {"mean_tokens_old": 67.4, "mean_tokens_new": 62.6, "finished_old": 0.3148, "finished_new": 0.6204}
    facts = dict(figures.facts_of(StageKind.EVALUATE, result))
    assert facts["mean length, old to new"] == "67.4 to 62.6 tokens"
    assert facts["cut off at the limit, old to new"] == "69% to 38% of the completions"
    assert figures.cut_off({"finished_old": 0.5}) == []
