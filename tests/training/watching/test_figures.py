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
    assert facts == {"rows": "18", "final loss": "1.250", "left out": "2 too long"}
