"""Evaluation with the engine replaced at its edge; the judges are the real ones."""

import pytest

from annotation.simulated import annotators as simulated
from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.runs import FakeEngine, prompts_file, read_lines, stage_dir
from training.pipeline import evaluate
from training.pipeline.completions import Completion, Prompt
from training.pipeline.evaluate import Meeting, reward_verdict, win_rate

GOOD = "The sky is blue because the air scatters the blue part of the light more than the red part."
CUT = "Sure! As an AI I can say that the sky is blue because the air scatters the blue part of the light and"


def a_run(tmp_path, policy, *, reward=None, count=6, **changes):
    new, old = tmp_path / "new", tmp_path / "old"
    inputs = {
        "policy_new": new,
        "policy_old": old,
        "prompts": prompts_file(tmp_path / "prompts.jsonl", count),
    } | ({"reward": reward} if reward else {})
    return stage_dir(tmp_path / "evaluate", "evaluate", inputs=inputs, **changes)


def answers_of(*, new, old):
    def answer(model, prompt_id, index):
        text = new if model.endswith("new") else old
        return text, "stop" if text.endswith(".") else "length"

    return FakeEngine(answer)


def test_a_better_policy_wins_every_prompt(tmp_path, policy):
    # The noisy annotator errs, but never outvotes the other two.
    run_dir = a_run(tmp_path, policy)
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    assert (result.win_rate, result.win_rate_low, result.win_rate_high) == (1.0, 1.0, 1.0)
    assert (result.wins, result.ties, result.losses) == (6, 0, 0)
    assert (result.finished_new, result.finished_old) == (1.0, 0.0)
    assert result.mean_words_new == len(GOOD.split())
    assert result.judge == "simulated"


def test_a_worse_policy_loses_every_prompt(tmp_path, policy):
    result = evaluate.run(a_run(tmp_path, policy), generate=answers_of(new=CUT, old=GOOD))
    assert (result.win_rate, result.losses) == (0.0, 6)


def test_the_same_texts_are_ties_and_a_tie_is_half_a_win(tmp_path, policy):
    result = evaluate.run(a_run(tmp_path, policy), generate=answers_of(new=GOOD, old=GOOD))
    assert (result.win_rate, result.win_rate_low, result.win_rate_high) == (0.5, 0.5, 0.5)
    assert (result.wins, result.ties, result.losses) == (0, 6, 0)


def test_both_policies_are_sampled_alike(tmp_path, policy):
    run_dir = a_run(tmp_path, policy, n=2, temperature=0.7)
    engine = answers_of(new=GOOD, old=CUT)
    result = evaluate.run(run_dir, generate=engine)
    assert [model.rsplit("/", 1)[-1] for model in engine.models] == ["new", "old"]
    new, old = ((run_dir / f"sampling_{which}" / "stage.json").read_text() for which in ("new", "old"))
    assert new.replace("/new", "/old") == old
    assert (result.prompts, result.completions) == (6, 12)


def test_every_judged_pair_is_written_with_both_texts_and_the_verdict(tmp_path, policy):
    run_dir = a_run(tmp_path, policy, n=2)
    evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    rows = read_lines(run_dir / "judged.jsonl")
    assert len(rows) == 12
    assert {(row["new"], row["old"], row["verdict"]) for row in rows} == {(GOOD, CUT, 1.0)}
    assert rows[0]["prompt"][0]["content"] == "Why is the sky blue, question 0?"
    assert len(read_lines(run_dir / "completions_new.jsonl")) == 12


def test_the_verdict_is_the_annotators_own(tmp_path, policy):
    run_dir = a_run(tmp_path, policy, n=2)
    engine = FakeEngine(lambda model, prompt_id, index: ((GOOD, CUT)[(index + model.endswith("new")) % 2], "stop"))
    evaluate.run(run_dir, generate=engine)
    for row in read_lines(run_dir / "judged.jsonl"):
        assert row["verdict"] == simulated.verdict(row["prompt"], row["new"], row["old"], seed=17)


def test_with_a_reward_model_both_rates_are_told_and_the_judge_stays_the_recipes(tmp_path, policy, reward):
    result = evaluate.run(a_run(tmp_path, policy, reward=reward), generate=answers_of(new=GOOD, old=CUT))
    assert result.win_rate == 1.0
    assert 0.0 <= result.reward_win_rate_low <= result.reward_win_rate <= result.reward_win_rate_high <= 1.0


def test_the_reward_model_can_be_the_judge(tmp_path, policy, reward, in_32_bits):
    run_dir = a_run(tmp_path, policy, reward=reward, judge="reward_model")
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    assert (result.win_rate, result.win_rate_low) == (result.reward_win_rate, result.reward_win_rate_low)
    assert all(
        row["verdict"] == float(row["reward_new"] > row["reward_old"]) for row in read_lines(run_dir / "judged.jsonl")
    )


def test_without_a_reward_model_its_figures_are_empty_and_it_cannot_judge(tmp_path, policy):
    result = evaluate.run(a_run(tmp_path, policy), generate=answers_of(new=GOOD, old=CUT))
    assert result.reward_win_rate is None
    run_dir = a_run(tmp_path, policy, judge="reward_model")
    with pytest.raises(RunDirError, match='given no "reward"'):
        evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))


def test_prompts_that_only_one_policy_answered_are_left_out_and_counted(tmp_path, policy):
    class OldSkipsOne(FakeEngine):
        def __call__(self, run_dir, *, on_progress=None):
            super().__call__(run_dir, on_progress=on_progress)
            path = run_dir / "completions.jsonl"
            if self.models[-1].endswith("old"):
                lines = path.read_text().splitlines(keepends=True)
                path.write_text("".join(line for line in lines if '"p3"' not in line))

    engine = OldSkipsOne(answers_of(new=GOOD, old=CUT).answer)
    result = evaluate.run(a_run(tmp_path, policy), generate=engine)
    assert (result.prompts, result.skipped) == (5, 1)


def test_no_prompt_at_all_is_an_error_with_the_remedy(tmp_path, policy):
    run_dir = a_run(tmp_path, policy, count=0)
    with pytest.raises(RunDirError, match="no prompt that both policies answered"):
        evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))


def meeting(prompt_id, index=0, reward_new=None, reward_old=None):
    prompt = Prompt(prompt_id, [{"role": "user", "content": "Why?"}])
    side = Completion(prompt_id, index, "text", 1, "stop")
    return Meeting(prompt, side, side, reward_new, reward_old)


def test_a_prompt_counts_once_however_many_completions_it_has():
    # Prompt a: three wins; prompt b: one loss. (1 + 0) / 2, not 3 / 4.
    meetings = [meeting("a", 0), meeting("a", 1), meeting("a", 2), meeting("b", 0)]
    assert win_rate(meetings, [1.0, 1.0, 1.0, 0.0], resamples=100, seed=1).value == 0.5


def test_equal_rewards_are_a_tie():
    assert reward_verdict(meeting("a", reward_new=1.5, reward_old=1.5)) == 0.5
    assert reward_verdict(meeting("a", reward_new=1.5, reward_old=1.0)) == 1.0
    assert reward_verdict(meeting("a", reward_new=1.0, reward_old=1.5)) == 0.0
