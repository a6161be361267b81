"""Which pairs are trained on, and what is said of the others."""

import dataclasses

import pytest

from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.runs import pair, write_lines
from training.pipeline.preferences import read_pairs, refuse_too_few, select, select_held_out
from training.recipe import load

RECIPE = load("smoke").dpo


def letters(conversations):
    """A stand-in for the tokenizer: one token a letter of the completion."""
    return [len(conversation[-1]["content"]) for conversation in conversations]


def pairs_of(tmp_path, *rows):
    return read_pairs(write_lines(tmp_path / "pairs.jsonl", list(rows)))


def recipe(**changes):
    return dataclasses.replace(RECIPE, **changes)


def test_a_pair_is_read_with_its_prompt_and_both_sides(tmp_path):
    (read,) = pairs_of(tmp_path, pair(3, strength="significantly_better", votes=2, votes_against=1))
    assert (read.prompt_id, read.chosen, read.rejected) == ("3", "yes yes yes", "no no no")
    assert (read.margin, read.agreement) == (1.0, 1)
    assert read.conversations[1][-1] == {"role": "assistant", "content": "no no no"}


def test_the_strongest_pairs_of_a_prompt_are_kept_and_the_others_counted(tmp_path):
    pairs = pairs_of(
        tmp_path,
        pair(1, chosen="a", strength="slightly_better"),
        pair(1, chosen="b", strength="significantly_better"),
        pair(1, chosen="c", strength="better"),
        pair(2, chosen="d", strength="negligibly_better"),
    )
    selection = select(pairs, recipe(max_pairs_per_prompt=2), letters)
    assert [each.chosen for each in selection.pairs] == ["b", "c", "d"]
    assert selection.dropped == {"more_than_max_pairs_per_prompt": 1}


def test_among_pairs_of_one_strength_the_more_agreed_on_comes_first(tmp_path):
    pairs = pairs_of(
        tmp_path, pair(1, chosen="a", votes=2, votes_against=1), pair(1, chosen="b", votes=3, votes_against=0)
    )
    assert [each.chosen for each in select(pairs, recipe(max_pairs_per_prompt=1), letters).pairs] == ["b"]


def test_unusable_pairs_are_dropped_and_counted_by_reason(tmp_path):
    pairs = pairs_of(
        tmp_path,
        pair(1, rejected=" \n"),
        pair(2, chosen="same ", rejected="same"),
        pair(3, chosen="x" * 50),
        pair(4, rejected="x" * 50),
        pair(5, strength="negligibly_better"),
        pair(6),
    )
    selection = select(pairs, recipe(max_length=49, least_strength="slightly_better"), letters)
    assert [each.prompt_id for each in selection.pairs] == ["6"]
    assert selection.lengths == [11]
    assert selection.dropped == {"empty": 1, "identical": 1, "too_long": 2, "weaker_than_least_strength": 1}


def test_a_pair_that_just_fits_is_kept(tmp_path):
    pairs = pairs_of(tmp_path, pair(1, chosen="x" * 49))
    assert len(select(pairs, recipe(max_length=49), letters).pairs) == 1


def test_held_out_pairs_are_measured_on_however_weak_and_many_they_are(tmp_path):
    pairs = pairs_of(tmp_path, *[pair(1, chosen=f"a{i}", strength="negligibly_better") for i in range(6)])
    assert len(select_held_out(pairs, 100, letters).pairs) == 6


def test_too_few_pairs_are_refused_with_the_count_the_reasons_and_the_remedy():
    with pytest.raises(RunDirError) as caught:
        refuse_too_few(12, 16, what="pairs", stage="DPO", dropped={"too_long": 3}, path="june.jsonl")
    assert str(caught.value) == (
        "june.jsonl has 12 usable pairs (3 too_long left out); DPO needs at least 16. Collect more judgments, "
        "choose another snapshot, or lower least_rows in the recipe."
    )


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": []},
        pair(1) | {"chosen": []},
        pair(1) | {"chosen": "text"},
        pair(1) | {"margin": "much"},
    ],
)
def test_a_row_that_is_not_a_pair_is_refused_by_its_line(tmp_path, row):
    with pytest.raises(RunDirError, match="line 2 is not a preference pair"):
        pairs_of(tmp_path, pair(0), row)


def test_a_line_that_is_not_json_is_refused_by_its_number(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n{broken\n")
    with pytest.raises(RunDirError, match="line 2 is not valid JSON"):
        read_pairs(path)


def test_a_file_that_is_not_there_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(RunDirError, match="does not exist"):
        read_pairs(tmp_path / "none.jsonl")
