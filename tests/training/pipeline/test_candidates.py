"""Which candidate of a prompt is kept."""

from training.pipeline.candidates import Candidate, keep_best
from training.pipeline.completions import Completion, Prompt
from training.pipeline.left_out import count_by_reason


def candidate(prompt_id, text, score, reason="stop", index=0, source=""):
    return Candidate(Completion(prompt_id, index, text, len(text.split()), reason), score, source)


def prompts(*ids):
    return [Prompt(each, [{"role": "user", "content": "Why?"}]) for each in ids]


def kept_texts(candidates, *ids, finished_only=True):
    kept, left_out = keep_best(prompts(*ids), candidates, finished_only=finished_only)
    return {key: each.completion.text for key, each in kept.items()}, count_by_reason(left_out)


def test_the_candidate_with_the_highest_score_is_kept():
    candidates = [candidate("a", "low", -2.0), candidate("a", "high", 0.5), candidate("b", "one", 3.0)]
    candidates.append(candidate("b", "two", 3.5))
    assert kept_texts(candidates, "a", "b") == ({"a": "high", "b": "two"}, {})


def test_a_candidate_that_was_cut_off_is_never_kept_however_high_it_scores():
    candidates = [candidate("a", "cut", 9.0, "length"), candidate("a", "whole", 1.0)]
    assert kept_texts(candidates, "a") == ({"a": "whole"}, {})
    assert kept_texts(candidates, "a", finished_only=False) == ({"a": "cut"}, {})


def test_a_prompt_without_a_finished_candidate_is_dropped_and_counted():
    candidates = [candidate("a", "cut", 9.0, "length"), candidate("a", "off", 1.0, "length")]
    assert kept_texts(candidates, "a") == ({}, {"none_finished": 1})


def test_a_prompt_whose_candidates_are_all_alike_is_dropped_and_counted():
    candidates = [candidate("a", "same", 1.0), candidate("a", "same ", 1.0)]
    assert kept_texts(candidates, "a") == ({}, {"all_alike": 1})


def test_an_empty_candidate_is_never_kept_and_a_prompt_that_was_not_sampled_is_counted():
    candidates = [candidate("a", " ", 9.0), candidate("a", "said", 1.0)]
    assert kept_texts(candidates, "a", "b") == ({"a": "said"}, {"not_sampled": 1})


def test_of_equally_good_candidates_the_first_is_kept_which_is_the_newest_policys():
    candidates = [candidate("a", "new", 1.0), candidate("a", "old", 1.0, source="round 1")]
    assert kept_texts(candidates, "a") == ({"a": "new"}, {})


def test_a_prompt_of_which_nothing_is_kept_is_listed_with_what_was_asked():
    _, left_out = keep_best(prompts("a"), [], finished_only=True)
    assert [(each.prompt_id, each.reason, each.excerpt) for each in left_out] == [("a", "not_sampled", "Why?")]
