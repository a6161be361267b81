"""Evaluation with the engine replaced at its edge; the judges are the real ones."""

import dataclasses
import json

import pytest

from annotation.simulated import annotators as simulated
from sampling.engine.run_dir import RunDirError, read_stage, write_stage
from tests.tiny_models import save_tiny_policy, save_tiny_reward_model
from tests.training.pipeline.runs import FakeEngine, prompts_file, read_lines, stage_dir, write_lines
from training.pipeline import evaluate

GOOD = "The sky is blue because the air scatters the blue part of the light more than the red part."
CUT = "Sure! As an AI I can say that the sky is blue because the air scatters the blue part of the light and"
NAMES = {"new": "r2-dpo", "old": "r1-dpo", "base": "first"}
# Wilson's interval of six of six ends at 1 / (1 + 3.84146 / 6) = 0.609664, and that of none of six at 1 less that.
SIX_OF_SIX = 0.609664


def a_run(tmp_path, *, count=6, names=NAMES, name="evaluate", inputs=None, **changes):
    """Of policies whose directories do not exist: only the fake engine reads their names."""
    given = {
        "policy_new": tmp_path / "new",
        "policy_old": tmp_path / "old",
        "prompts": prompts_file(tmp_path / "prompts.jsonl", count),
    } | (inputs or {})
    run_dir = stage_dir(tmp_path / name, "evaluate", inputs=given, **changes)
    stage = read_stage(run_dir)
    stage["inputs"]["names"] = names
    write_stage(run_dir, stage)
    return run_dir


def answers_of(**texts):
    """An engine in which each policy always writes the same text, by the last part of its location."""

    def answer(model, prompt_id, index):
        text = texts[model.rsplit("/", 1)[-1]]
        return text, "stop" if text.endswith(".") else "length"

    return FakeEngine(answer)


def sampled(engine):
    return [model.rsplit("/", 1)[-1] for model in engine.models]


def match(result, *, opponent="old", judge):
    (found,) = [each for each in result.matches if (each.opponent, each.judge) == (opponent, judge)]
    return found


# --- the headline: the first judge, against the old policy ---


def test_a_better_policy_wins_every_prompt(tmp_path):
    # The noisy annotator errs, but never outvotes the other two.
    result = evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=CUT))
    assert (result.win_rate, result.win_rate_high) == (1.0, 1.0)
    assert result.win_rate_low == pytest.approx(SIX_OF_SIX, abs=1e-5)
    assert (result.wins, result.ties, result.losses) == (6, 0, 0)
    assert (result.finished_new, result.finished_old) == (1.0, 0.0)
    assert result.mean_words_new == len(GOOD.split())
    assert result.judge == "simulated"


def test_a_worse_policy_loses_every_prompt(tmp_path):
    result = evaluate.run(a_run(tmp_path), generate=answers_of(new=CUT, old=GOOD))
    assert (result.win_rate, result.win_rate_low, result.losses) == (0.0, 0.0, 6)
    assert result.win_rate_high == pytest.approx(1 - SIX_OF_SIX, abs=1e-5)


def test_the_same_texts_are_ties_and_a_tie_is_half_a_win(tmp_path):
    result = evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=GOOD))
    # Ties alone: 3.84146 / (6 + 3.84146) / 2 = 0.195167 on either side of one half.
    assert (result.win_rate, result.win_rate_low) == (0.5, pytest.approx(0.5 - 0.195167, abs=1e-5))
    assert result.win_rate_high == pytest.approx(0.5 + 0.195167, abs=1e-5)
    assert (result.wins, result.ties, result.losses) == (0, 6, 0)
    assert result.length_controlled_win_rate == 0.5


def test_the_policies_are_sampled_alike(tmp_path):
    run_dir = a_run(tmp_path, n=2, temperature=0.7, inputs={"policy_base": tmp_path / "base"})
    engine = answers_of(new=GOOD, old=CUT, base=CUT)
    result = evaluate.run(run_dir, generate=engine)
    assert sampled(engine) == ["new", "old", "base"]
    new, old, base = ((run_dir / f"sampling_{which}" / "stage.json").read_text() for which in ("new", "old", "base"))
    assert new.replace("/new", "/old") == old
    assert new.replace("/new", "/base") == base
    assert (result.prompts, result.completions) == (6, 12)


def test_the_verdict_is_the_annotators_own(tmp_path):
    run_dir = a_run(tmp_path, n=2)
    engine = FakeEngine(lambda model, prompt_id, index: ((GOOD, CUT)[(index + model.endswith("new")) % 2], "stop"))
    evaluate.run(run_dir, generate=engine)
    for row in read_lines(run_dir / "judged.jsonl"):
        assert row["verdict"] == simulated.verdict(row["prompt"], row["new"], row["old"], seed=17)


def test_prompts_that_only_one_policy_answered_are_left_out_and_counted(tmp_path):
    class OldSkipsOne(FakeEngine):
        def __call__(self, run_dir, *, on_progress=None):
            super().__call__(run_dir, on_progress=on_progress)
            path = run_dir / "completions.jsonl"
            if self.models[-1].endswith("old"):
                lines = path.read_text().splitlines(keepends=True)
                path.write_text("".join(line for line in lines if '"p3"' not in line))

    engine = OldSkipsOne(answers_of(new=GOOD, old=CUT).answer)
    result = evaluate.run(a_run(tmp_path), generate=engine)
    assert (result.prompts, result.skipped) == (5, 1)


def test_no_prompt_at_all_is_an_error_with_the_remedy(tmp_path):
    with pytest.raises(RunDirError, match="no prompt that both policies answered"):
        evaluate.run(a_run(tmp_path, count=0), generate=answers_of(new=GOOD, old=CUT))


# --- opponents ---


def test_the_new_policy_meets_the_base_too(tmp_path):
    run_dir = a_run(tmp_path, inputs={"policy_base": tmp_path / "base"})
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=GOOD, base=CUT))
    assert [(each.opponent, each.name, each.win_rate) for each in result.matches] == [
        ("old", "r1-dpo", 0.5),
        ("base", "first", 1.0),
    ]
    assert not result.old_is_base
    assert result.mean_tokens_base == len(CUT.split())
    assert len(read_lines(run_dir / "completions_base.jsonl")) == 6


def test_a_base_that_is_the_old_policy_is_sampled_and_met_once(tmp_path):
    run_dir = a_run(tmp_path, inputs={"policy_base": tmp_path / "old"})
    engine = answers_of(new=GOOD, old=CUT)
    result = evaluate.run(run_dir, generate=engine)
    assert sampled(engine) == ["new", "old"]
    assert [each.opponent for each in result.matches] == ["old"]
    assert result.old_is_base
    assert result.mean_tokens_base == result.mean_tokens_old == len(CUT.split())


def test_the_newest_published_policy_is_met_too_where_it_is_neither_the_old_one_nor_the_base(tmp_path):
    inputs = {"policy_base": tmp_path / "base", "policy_published": tmp_path / "published"}
    run_dir = a_run(tmp_path, inputs=inputs, names=NAMES | {"published": "r0-dpo"})
    engine = answers_of(new=GOOD, old=CUT, base=CUT, published=GOOD)
    result = evaluate.run(run_dir, generate=engine)
    assert sampled(engine) == ["new", "old", "base", "published"]
    assert [(each.opponent, each.name, each.win_rate) for each in result.matches] == [
        ("old", "r1-dpo", 1.0),
        ("base", "first", 1.0),
        ("published", "r0-dpo", 0.5),
    ]
    assert result.published_is == "published"
    assert {row["name_opponent"] for row in read_lines(run_dir / "judged.jsonl")} == {"r1-dpo", "first", "r0-dpo"}


@pytest.mark.parametrize("which", ["old", "base"])
def test_a_published_policy_that_is_met_already_is_not_met_twice(tmp_path, which):
    inputs = {"policy_base": tmp_path / "base", "policy_published": tmp_path / which}
    engine = answers_of(new=GOOD, old=CUT, base=CUT)
    result = evaluate.run(a_run(tmp_path, inputs=inputs), generate=engine)
    assert sampled(engine) == ["new", "old", "base"]
    assert [each.opponent for each in result.matches] == ["old", "base"]
    assert result.published_is == which


def test_who_was_told_of_no_published_policy_takes_the_old_one_for_it(tmp_path):
    assert evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=CUT)).published_is == "old"


def test_what_one_round_sampled_the_next_does_not_sample_again(tmp_path):
    policies = {which: save_tiny_policy(tmp_path / which, seed=i) for i, which in enumerate(("base", "r1", "r2"))}
    caches, texts = tmp_path / "caches", {"base": CUT, "r1": CUT, "r2": GOOD}
    told = {"policy_base": policies["base"], "caches": caches}
    first, second = answers_of(**texts), answers_of(**texts)
    inputs = told | {"policy_new": policies["r1"], "policy_old": policies["base"]}
    evaluate.run(a_run(tmp_path, name="1", inputs=inputs), generate=first)
    inputs = told | {"policy_new": policies["r2"], "policy_old": policies["r1"]}
    run_dir = a_run(tmp_path, name="2", inputs=inputs)
    result = evaluate.run(run_dir, generate=second)
    assert sampled(first) == ["r1", "base"]
    assert sampled(second) == ["r2"]
    assert [each.win_rate for each in result.matches] == [1.0, 1.0]
    assert {row["text"] for row in read_lines(run_dir / "completions_old.jsonl")} == {CUT}


# --- judges ---


def test_every_judge_of_the_recipe_is_heard_in_its_order(tmp_path, reward):
    run_dir = a_run(
        tmp_path,
        judges=["reward_model", "simulated"],
        inputs={"reward": reward, "policy_base": tmp_path / "base"},
    )
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT, base=CUT))
    met = [(each.judge, each.opponent, each.independent) for each in result.matches]
    assert met == [
        ("reward_model", "old", True),
        ("reward_model", "base", True),
        ("simulated", "old", True),
        ("simulated", "base", True),
    ]
    assert result.judge == "reward_model"
    assert (result.win_rate, result.win_rate_low) == (result.reward_win_rate, result.reward_win_rate_low)


def test_the_reward_model_that_selected_nothing_is_heard_unasked_and_the_selector_is_marked(tmp_path, reward):
    selector = save_tiny_reward_model(tmp_path / "selector", seed=3)
    run_dir = a_run(tmp_path, inputs={"reward": reward, "reward_selector": selector})
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    met = [(each.judge, each.independent) for each in result.matches]
    assert met == [("simulated", True), ("reward_model", True), ("reward_selector", False)]
    assert result.win_rate == 1.0
    assert result.reward_win_rate == match(result, judge="reward_model").win_rate


def test_a_selector_that_must_judge_alone_is_marked(tmp_path, reward):
    run_dir = a_run(tmp_path, judges=["reward_model"], inputs={"reward_selector": reward})
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    (only,) = result.matches
    assert (only.judge, only.independent, only.independence) == ("reward_model", False, "selected")


def test_the_selectors_opinion_stands_in_where_no_other_reward_model_is(tmp_path, reward):
    result = evaluate.run(a_run(tmp_path, inputs={"reward_selector": reward}), generate=answers_of(new=GOOD, old=CUT))
    assert result.reward_win_rate == match(result, judge="reward_selector").win_rate
    assert 0.0 <= result.reward_win_rate_low <= result.reward_win_rate <= result.reward_win_rate_high <= 1.0


def test_the_verdict_of_a_reward_model_is_which_side_it_scores_higher(tmp_path, reward, in_32_bits):
    run_dir = a_run(tmp_path, judges=["reward_model"], inputs={"reward": reward})
    evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    rows = read_lines(run_dir / "judged.jsonl")
    assert rows
    assert all(row["verdict"] == float(row["reward_new"] > row["reward_old"]) for row in rows)


def test_without_a_reward_model_its_figures_are_empty_and_it_cannot_judge(tmp_path):
    result = evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=CUT))
    assert result.reward_win_rate is None
    with pytest.raises(RunDirError, match='given no "reward"'):
        evaluate.run(a_run(tmp_path, judges=["reward_model"]), generate=answers_of(new=GOOD, old=CUT))


def test_a_policy_as_judge_is_asked_once_for_all_opponents(tmp_path):
    def answer(model, question, index):
        if model.endswith("critic"):
            return ("[[A]]" if question.endswith("new-first") else "[[B]]"), "stop"
        return (GOOD if model.endswith("new") else CUT), "stop"

    engine = FakeEngine(answer)
    run_dir = a_run(
        tmp_path,
        judges=["model"],
        judge_policy="critic",
        inputs={"judge_policy": tmp_path / "critic", "policy_base": tmp_path / "base"},
    )
    result = evaluate.run(run_dir, generate=engine)
    assert sampled(engine) == ["new", "old", "base", "critic"]
    assert [(each.opponent, each.wins, each.unparsable) for each in result.matches] == [("old", 6, 0), ("base", 6, 0)]
    assert all(each.independent for each in result.matches)
    questions = read_lines(run_dir / "sampling_judge" / "prompts.jsonl")
    assert len(questions) == 24  # six prompts, two opponents, both orders


def test_a_policy_that_takes_part_is_no_independent_judge(tmp_path):
    run_dir = a_run(tmp_path, judges=["model"], judge_policy="r1-dpo", inputs={"judge_policy": tmp_path / "old"})
    result = evaluate.run(run_dir, generate=FakeEngine(lambda model, prompt_id, index: (model[-3:], "stop")))
    assert (result.matches[0].independent, result.matches[0].independence) == (False, "takes_part")
    assert (result.ties, result.matches[0].unparsable) == (6, 6)


def test_a_policy_that_is_the_published_one_takes_part(tmp_path):
    inputs = {"judge_policy": tmp_path / "critic", "policy_published": tmp_path / "critic"}
    run_dir = a_run(tmp_path, judges=["model"], judge_policy="r0-dpo", inputs=inputs)
    result = evaluate.run(run_dir, generate=FakeEngine(lambda model, prompt_id, index: (model[-3:], "stop")))
    assert {each.independence for each in result.matches} == {"takes_part"}


def test_a_judge_that_was_not_given_is_an_error_with_the_remedy(tmp_path):
    run_dir = a_run(tmp_path, judges=["model"], judge_policy="critic")
    with pytest.raises(RunDirError, match='given no "judge_policy"'):
        evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))


def test_what_was_sampled_before_a_crash_is_not_sampled_again(tmp_path):
    class Stopped(Exception):
        pass

    def answer(model, prompt_id, index):
        if model.endswith("critic"):
            raise Stopped
        return (GOOD if model.endswith("new") else CUT), "stop"

    told = {"judges": ["model"], "judge_policy": "critic", "inputs": {"judge_policy": tmp_path / "critic"}}
    run_dir = a_run(tmp_path, **told)
    with pytest.raises(Stopped):
        evaluate.run(run_dir, generate=FakeEngine(answer))
    second = FakeEngine(lambda model, prompt_id, index: ("[[C]]", "stop"))
    assert evaluate.run(run_dir, generate=second).ties == 6
    assert sampled(second) == ["critic"]


# --- what is written ---


def test_every_judged_pair_is_written_with_both_texts_names_judge_and_verdict(tmp_path):
    run_dir = a_run(tmp_path, n=2)
    evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    rows = read_lines(run_dir / "judged.jsonl")
    assert len(rows) == 12
    assert {(row["new"], row["old"], row["verdict"]) for row in rows} == {(GOOD, CUT, 1.0)}
    told = {(row["opponent"], row["judge"], row["name_new"], row["name_opponent"]) for row in rows}
    assert told == {("old", "simulated", "r2-dpo", "r1-dpo")}
    assert rows[0]["prompt"][0]["content"] == "Why is the sky blue, question 0?"
    assert len(read_lines(run_dir / "completions_new.jsonl")) == 12


def test_the_first_judges_rows_against_the_old_policy_come_first(tmp_path, reward):
    run_dir = a_run(tmp_path, inputs={"reward": reward, "policy_base": tmp_path / "base"})
    evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT, base=CUT))
    rows = read_lines(run_dir / "judged.jsonl")
    parts = list(dict.fromkeys((row["judge"], row["opponent"]) for row in rows))
    assert parts == [("simulated", "old"), ("simulated", "base"), ("reward_model", "old"), ("reward_model", "base")]
    assert all(row["reward_new"] is not None for row in rows)  # shown beside the rules' verdicts too


def test_the_result_is_plain_json_with_every_promised_key(tmp_path):
    result = dataclasses.asdict(evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=CUT)))
    assert json.loads(json.dumps(result)) == result
    assert {
        "opponent", "name", "judge", "independent", "independence", "win_rate", "low", "high", "wins", "ties", "losses",
        "length_controlled_win_rate", "length_controlled_low", "length_controlled_high", "mean_tokens_new",
        "mean_tokens_opponent",
    } <= set(result["matches"][0])  # fmt: skip


# --- ratings and divergence ---


def test_there_are_ratings_once_three_versions_met(tmp_path):
    two = a_run(tmp_path, name="1", names={"new": "r1-dpo", "old": "first", "base": "first"})
    result = evaluate.run(two, generate=answers_of(new=GOOD, old=CUT))
    assert result.ratings is None
    inputs = {"policy_base": tmp_path / "base", "earlier": [two / "judged.jsonl"]}
    three = a_run(tmp_path, name="2", inputs=inputs)
    result = evaluate.run(three, generate=answers_of(new=GOOD, old=GOOD, base=CUT))
    assert [each.name for each in result.ratings][-1] == "first"
    by_name = {each.name: each.rating for each in result.ratings}
    assert by_name["first"] == 0.0
    assert by_name["r2-dpo"] == pytest.approx(by_name["r1-dpo"], abs=1.0)  # the same wins, and six ties
    assert by_name["r2-dpo"] > 100


def test_rows_from_before_names_were_kept_rate_nobody(tmp_path):
    earlier = write_lines(tmp_path / "judged.jsonl", [{"prompt_id": "p0", "verdict": 1.0, "new": "a", "old": "b"}])
    result = evaluate.run(a_run(tmp_path, inputs={"earlier": [earlier]}), generate=answers_of(new=GOOD, old=CUT))
    assert result.ratings is None


def test_how_far_the_policy_moved_is_measured_on_its_own_completions(tmp_path, in_32_bits):
    policies = {which: save_tiny_policy(tmp_path / which, seed=i) for i, which in enumerate(("new", "old"))}
    result = evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=CUT))
    assert result.kl_completions == 6
    assert result.kl_to_old is not None
    run_dir = a_run(tmp_path, inputs={"policy_new": policies["old"]})
    assert evaluate.run(run_dir, generate=answers_of(old=GOOD)).kl_to_old == 0.0


def test_a_divergence_that_cannot_be_measured_is_null_and_fails_nothing(tmp_path):
    result = evaluate.run(a_run(tmp_path), generate=answers_of(new=GOOD, old=CUT))
    assert (result.kl_to_old, result.kl_completions) == (None, 0)


def test_how_the_completions_were_drawn_is_told_beside_the_divergence(tmp_path):
    run_dir = a_run(tmp_path, temperature=0.7, top_p=0.9)
    result = evaluate.run(run_dir, generate=answers_of(new=GOOD, old=CUT))
    assert (result.kl_temperature, result.kl_top_p) == (0.7, 0.9)
