"""Rejection sampling with a tiny reward model; the engine is replaced at its edge."""

import pytest

from sampling.engine.run_dir import RunDirError, read_progress, write_stage
from tests.training.pipeline.runs import FakeEngine, prompts_file, read_lines, stage_dir
from training.pipeline import rejection_sampling
from training.pipeline.completions import Completion, Prompt
from training.pipeline.rejection_sampling import Candidate, keep_best


def candidate(prompt_id, text, score, reason="stop", index=0):
    return Candidate(Completion(prompt_id, index, text, len(text.split()), reason), score)


def prompts(*ids):
    return [Prompt(each, [{"role": "user", "content": "Why?"}]) for each in ids]


def kept_texts(candidates, *ids, finished_only=True):
    kept, dropped = keep_best(prompts(*ids), candidates, finished_only=finished_only)
    return {key: each.completion.text for key, each in kept.items()}, dropped


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


def a_run(tmp_path, policy, reward, **changes):
    inputs = {"policy": policy, "reward": reward, "prompts": prompts_file(tmp_path / "prompts.jsonl", 3)}
    return stage_dir(tmp_path / "rejection", "rejection_sampling", inputs=inputs, candidates=4, **changes)


def different_answers(model, prompt_id, index):
    return f"answer {index} to {prompt_id} " + "word " * index, "stop"


def test_every_candidate_is_scored_and_the_best_of_each_prompt_becomes_a_row(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, reward)
    result = rejection_sampling.run(run_dir, generate=FakeEngine(different_answers))
    candidates = read_lines(run_dir / "candidates.jsonl")
    kept = read_lines(run_dir / "kept.jsonl")
    assert (result.prompts, result.candidates, result.kept) == (3, 12, 3)
    assert [row["prompt_id"] for row in kept] == ["p0", "p1", "p2"]
    for row in kept:
        scores = {each["text"].strip(): each["score"] for each in candidates if each["prompt_id"] == row["prompt_id"]}
        assert row["score"] == max(scores.values())
        assert scores[row["messages"][-1]["content"]] == row["score"]
        assert row["messages"][0]["role"] == "user"
    assert result.mean_score_kept > result.mean_score_all
    assert result.mean_score_all == pytest.approx(sum(each["score"] for each in candidates) / 12)
    assert read_progress(run_dir)["phase"] == "scoring"


def test_a_rerun_samples_nothing_again(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, reward)
    engine = FakeEngine(different_answers)
    first = rejection_sampling.run(run_dir, generate=engine)
    again = rejection_sampling.run(run_dir, generate=engine)
    assert len(engine.models) == 1
    assert (again.kept, again.mean_score_kept) == (first.kept, first.mean_score_kept)


def test_a_rerun_that_is_told_something_else_samples_again(tmp_path, policy, reward):
    engine = FakeEngine(different_answers)
    rejection_sampling.run(a_run(tmp_path, policy, reward), generate=engine)
    rejection_sampling.run(a_run(tmp_path, policy, reward, temperature=0.5), generate=engine)
    assert len(engine.models) == 2


def test_nothing_kept_is_an_error_with_the_reason_and_the_remedy(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, reward)
    with pytest.raises(RunDirError, match=r"Of 3 prompts no candidate could be kept \(3 all_alike\)"):
        rejection_sampling.run(run_dir, generate=FakeEngine(lambda *_: ("same", "stop")))


def test_a_reward_model_that_is_not_there_is_refused_by_its_path(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, tmp_path / "none")
    with pytest.raises(RunDirError, match="none holds no model"):
        rejection_sampling.run(run_dir, generate=FakeEngine(different_answers))


def test_only_the_main_process_samples(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    write_stage(tmp_path, {})
    assert rejection_sampling.run(tmp_path) is None
