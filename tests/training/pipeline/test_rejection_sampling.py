"""Rejection sampling with a tiny reward model; the engine is replaced at its edge."""

import pytest

from sampling.engine.run_dir import RunDirError, read_progress, read_stage, write_result, write_stage
from tests.training.pipeline.runs import FakeEngine, prompts_file, read_lines, stage_dir, write_lines
from training.pipeline import rejection_sampling
from training.pipeline.scoring import Scorer


def a_run(tmp_path, policy, reward, *, prompts=3, pool=(), name="rejection", **changes):
    inputs = {
        "policy": policy,
        "reward": reward,
        "prompts": prompts_file(tmp_path / "prompts.jsonl", prompts),
        "pool": list(pool),
        "caches": tmp_path / "caches",
    }
    return stage_dir(tmp_path / name, "rejection_sampling", inputs=inputs, **{"candidates": 4} | changes)


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
        assert row["source"] == ""
    # A later round knows from the row alone what was asked.
    assert candidates[0]["messages"] == [{"role": "user", "content": "Why is the sky blue, question 0?"}]
    assert (result.temperature, result.sweep, result.pooled, result.scores_cached) == (1.0, [], 0, 0)
    assert read_lines(run_dir / "dropped.jsonl") == []
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
    assert (first.scores_cached, again.scores_cached) == (0, 12)


def test_a_rerun_that_is_told_something_else_samples_again(tmp_path, policy, reward):
    engine = FakeEngine(different_answers)
    rejection_sampling.run(a_run(tmp_path, policy, reward), generate=engine)
    rejection_sampling.run(a_run(tmp_path, policy, reward, temperature=0.5), generate=engine)
    assert len(engine.models) == 2


def test_nothing_kept_is_an_error_with_the_reason_and_the_remedy(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, reward)
    with pytest.raises(RunDirError, match=r"Of 3 prompts no candidate could be kept \(3 all_alike\)"):
        rejection_sampling.run(run_dir, generate=FakeEngine(lambda *_: ("same", "stop")))
    listed = [(row["stage"], row["reason"], row["prompt_id"]) for row in read_lines(run_dir / "dropped.jsonl")]
    assert listed == [("rejection_sampling", "all_alike", f"p{i}") for i in range(3)]


def test_a_reward_model_that_is_not_there_is_refused_by_its_path(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, tmp_path / "none")
    with pytest.raises(RunDirError, match="none holds no model"):
        rejection_sampling.run(run_dir, generate=FakeEngine(different_answers))


def test_without_any_reward_model_nothing_is_sampled(tmp_path, policy):
    engine = FakeEngine(different_answers)
    with pytest.raises(RunDirError, match=r"no reward model to score candidates with. Add \[reward_model\]"):
        rejection_sampling.run(a_run(tmp_path, policy, ""), generate=engine)
    assert engine.models == []


def test_only_the_main_process_samples(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    write_stage(tmp_path, {})
    assert rejection_sampling.run(tmp_path) is None


class StoppedEngine(FakeEngine):
    """Killed after half of its completions, the last of them torn; started again it writes the others only."""

    def __call__(self, run_dir, *, on_progress=None):
        told = read_stage(run_dir)
        self.models.append(told["model"])
        path = run_dir / "completions.jsonl"
        wanted = [(row["id"], index) for row in read_lines(run_dir / told["prompts"]) for index in range(told["n"])]
        if not path.is_file():
            write_lines(path, [self._row(told, *each) for each in wanted[: len(wanted) // 2]])
            with path.open("a") as file:
                file.write('{"prompt_id": "p')
            raise KeyboardInterrupt
        path.write_text(path.read_text().rpartition("\n")[0] + "\n")  # as `cut_torn_line` does
        self.found = len(read_lines(path))
        write_lines(path, read_lines(path) + [self._row(told, *each) for each in wanted[self.found :]])
        write_result(run_dir, {"completions": len(wanted), "new_completions": len(wanted) - self.found})

    def _row(self, told, prompt_id, index):
        text, reason = self.answer(told["model"], prompt_id, index)
        return {"prompt_id": prompt_id, "index": index, "text": text, "tokens": 3, "finish_reason": reason}


def test_a_stage_that_was_killed_while_it_sampled_keeps_what_was_sampled(tmp_path, policy, reward):
    run_dir = a_run(tmp_path, policy, reward)
    engine = StoppedEngine(different_answers)
    with pytest.raises(KeyboardInterrupt):
        rejection_sampling.run(run_dir, generate=engine)
    result = rejection_sampling.run(run_dir, generate=engine)
    assert (engine.found, result.candidates, result.kept) == (6, 12, 3)


def test_a_stage_that_was_killed_while_it_scored_samples_nothing_and_scores_the_rest(
    tmp_path, policy, reward, monkeypatch
):
    run_dir = a_run(tmp_path, policy, reward, micro_batch=4)
    score_batch, batches = Scorer._score_batch, []

    def killed_in_the_third(self, rows):
        batches.append(len(rows))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return score_batch(self, rows)

    monkeypatch.setattr(Scorer, "_score_batch", killed_in_the_third)
    engine = FakeEngine(different_answers)
    with pytest.raises(KeyboardInterrupt):
        rejection_sampling.run(run_dir, generate=engine)
    result = rejection_sampling.run(run_dir, generate=engine)
    assert len(engine.models) == 1
    assert batches == [4, 4, 4, 4]  # two of three batches were kept, so one came after the one that was lost
    assert (result.scores_cached, result.kept) == (8, 3)


def by_temperature(run_dir, **texts):
    """An engine whose answers depend on the temperature that it was told."""

    class Engine(FakeEngine):
        asked: list[tuple[float, int]] = []

        def __call__(self, run_dir, *, on_progress=None):
            told = read_stage(run_dir)
            self.asked.append((told["temperature"], len(read_lines(run_dir / told["prompts"]))))
            self.answer = lambda model, prompt_id, index: (texts[f"at_{told['temperature']:g}"](index), "stop")
            return super().__call__(run_dir, on_progress=on_progress)

    Engine.asked = []
    return Engine(None)


class Ruler:
    """Scores by length: a reward model whose taste is known."""

    from_cache = 0

    def __init__(self, path, **kwargs):
        pass

    def score(self, conversations, *, on_progress=None):
        return [float(len(each[-1]["content"])) for each in conversations]

    def release(self):
        pass


def test_the_temperature_whose_best_candidates_score_highest_is_used_and_its_candidates_are_not_sampled_again(
    tmp_path, policy, reward, monkeypatch
):
    monkeypatch.setattr(rejection_sampling, "Scorer", Ruler)
    run_dir = a_run(
        tmp_path, policy, reward, prompts=5, candidates=2, temperatures=[0.7, 1.2, 1.3], sweep_prompts=2, seed=5
    )
    engine = by_temperature(
        run_dir,
        **{
            "at_0.7": lambda index: "same",  # 4 characters, all alike
            "at_1.2": lambda index: "x" * (10 - 9 * index),  # 10 and 1: best 10, mean 5.5
            "at_1.3": lambda index: "x" * (8 - index),  # 8 and 7: best 8, mean 7.5
        },
    )
    result = rejection_sampling.run(run_dir, generate=engine)
    found = [(each.temperature, each.mean_best_score, each.mean_score, each.all_alike) for each in result.sweep]
    assert found == [(0.7, 4.0, 4.0, 2), (1.2, 10.0, 5.5, 0), (1.3, 8.0, 7.5, 0)]
    assert result.temperature == 1.2
    # Two prompts at each temperature, and the three others at the best one.
    assert engine.asked == [(0.7, 2), (1.2, 2), (1.3, 2), (1.2, 3)]
    assert (result.prompts, result.candidates, result.kept) == (5, 10, 5)
    assert {row["prompt_id"] for row in read_lines(run_dir / "kept.jsonl")} == {f"p{i}" for i in range(5)}


def test_a_sweep_over_all_prompts_leaves_none_to_sample(tmp_path, policy, reward, monkeypatch):
    monkeypatch.setattr(rejection_sampling, "Scorer", Ruler)
    run_dir = a_run(tmp_path, policy, reward, candidates=2, temperatures=[0.7, 1.2], sweep_prompts=64)
    engine = by_temperature(
        run_dir, **{"at_0.7": lambda index: "x" * (3 + index), "at_1.2": lambda index: "x" * (2 + index)}
    )
    result = rejection_sampling.run(run_dir, generate=engine)
    assert engine.asked == [(0.7, 3), (1.2, 3)]
    assert (result.temperature, result.candidates) == (0.7, 6)


def test_a_single_temperature_is_used_without_a_sweep(tmp_path, policy, reward, monkeypatch):
    monkeypatch.setattr(rejection_sampling, "Scorer", Ruler)
    run_dir = a_run(tmp_path, policy, reward, candidates=2, temperatures=[1.2])
    engine = by_temperature(run_dir, **{"at_1.2": lambda index: "x" * (2 + index)})
    result = rejection_sampling.run(run_dir, generate=engine)
    assert (engine.asked, result.temperature, result.sweep) == ([(1.2, 3)], 1.2, [])


def test_the_best_of_all_rounds_is_kept_and_prompts_that_only_an_earlier_round_had_are_trained_on_again(
    tmp_path, policy, reward, monkeypatch
):
    monkeypatch.setattr(rejection_sampling, "Scorer", Ruler)
    first = a_run(tmp_path, policy, reward, name="first", prompts=4, candidates=2)
    # Prompts 0 to 3. Of prompt 1 the first round said something long; all that it said of prompt 3 is cut off.
    said = {"p0": "ab", "p1": "a long answer of the first round ", "p2": "ab", "p3": "cut off in the middle of a"}
    rejection_sampling.run(
        first,
        generate=FakeEngine(
            lambda model, prompt_id, index: (said[prompt_id] + str(index), "length" if prompt_id == "p3" else "stop")
        ),
    )
    assert read_lines(first / "candidates.jsonl")[0]["score"] == 3.0
    # The second round has the first two prompts, and better words for the first of them.
    pool = [first / "candidates.jsonl"]
    second = a_run(tmp_path, policy, reward, name="second", prompts=2, candidates=2, pool=pool, finished_only=True)
    result = rejection_sampling.run(
        second, generate=FakeEngine(lambda model, prompt_id, index: ("better" + "!" * index, "stop"))
    )
    kept = {row["prompt_id"]: row for row in read_lines(second / "kept.jsonl")}
    assert {key: row["messages"][-1]["content"] for key, row in kept.items()} == {
        "p0": "better!",
        "p1": "a long answer of the first round 0",
        "p2": "ab0",
    }
    assert [kept[key]["source"] for key in ("p0", "p1", "p2")] == ["", str(pool[0]), str(pool[0])]
    assert (result.prompts, result.candidates, result.kept) == (2, 4, 3)
    assert (result.pooled, result.from_earlier_rounds, result.dropped) == (8, 2, {})
    # Only what this round sampled, so that a third round does not count the first one twice.
    assert len(read_lines(second / "candidates.jsonl")) == 4


def test_candidates_of_earlier_rounds_are_scored_once_by_the_same_reward_model(tmp_path, policy, reward):
    first = a_run(tmp_path, policy, reward, name="first")
    rejection_sampling.run(first, generate=FakeEngine(different_answers))
    pool = [first / "candidates.jsonl"]
    second = a_run(tmp_path, policy, reward, name="second", pool=pool)
    result = rejection_sampling.run(second, generate=FakeEngine(lambda model, prompt_id, index: (f"{index}", "stop")))
    assert (result.candidates, result.pooled, result.scores_cached) == (12, 12, 12)


def test_candidates_that_do_not_say_what_was_asked_are_refused_by_their_line(tmp_path, policy, reward):
    pool = [write_lines(tmp_path / "old.jsonl", [{"prompt_id": "p0", "text": "words", "score": 1.0}])]
    run_dir = a_run(tmp_path, policy, reward, pool=pool)
    with pytest.raises(RunDirError, match=r"old\.jsonl, line 1 is no candidate with its prompt"):
        rejection_sampling.run(run_dir, generate=FakeEngine(different_answers))
