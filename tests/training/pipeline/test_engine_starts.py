"""How often a stage starts an engine: once for each policy that has something to write, and once for a whole sweep."""

import functools

import pytest

from sampling.engine.child import EngineChild
from tests.sampling.engine import fake_engine
from tests.training.pipeline.runs import prompts_file, read_lines, stage_dir
from tests.training.pipeline.test_rejection_sampling import Ruler
from training.pipeline import evaluate, judging, rejection_sampling

SWEEP = {"temperatures": [0.7, 1.0, 1.3], "sweep_prompts": 2, "candidates": 2}


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    child = functools.partial(EngineChild, fake_engine.__name__)
    for stage in (rejection_sampling, evaluate):
        monkeypatch.setattr(stage, "EngineChild", child)
    for scores in (rejection_sampling, judging):
        monkeypatch.setattr(scores, "Scorer", Ruler)


def started(folder):
    """The policies for which an engine was started, in order."""
    notes = folder / fake_engine.NOTES
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [line.split()[1] for line in lines if line.startswith("start")]


def a_stage(tmp_path, kind, *, policies, prompts=4, **changes):
    """Of policies that do not exist, whose engines are counted beside them."""
    inputs = {name: tmp_path / "policies" / location for name, location in policies.items()}
    inputs |= {"reward": tmp_path / "reward", "prompts": prompts_file(tmp_path / "prompts.jsonl", prompts)}
    (tmp_path / "policies").mkdir(exist_ok=True)
    return stage_dir(tmp_path / kind, kind, inputs=inputs, **changes)


def test_a_sweep_over_temperatures_and_what_follows_it_share_one_engine(tmp_path):
    run_dir = a_stage(tmp_path, "rejection_sampling", policies={"policy": "newest"}, **SWEEP)
    result = rejection_sampling.run(run_dir)
    assert (len(result.sweep), result.candidates) == (3, 8)
    assert started(tmp_path / "policies") == ["newest"]
    rejection_sampling.run(run_dir)  # all is there
    assert started(tmp_path / "policies") == ["newest"]


def test_where_policy_and_reward_model_do_not_fit_together_a_sweep_takes_two(tmp_path):
    run_dir = a_stage(tmp_path, "rejection_sampling", policies={"policy": "newest"}, **SWEEP)
    (tmp_path / "policies" / fake_engine.NO_ROOM).touch()
    rejection_sampling.run(run_dir)
    # Three temperatures, closed to score them, and the best one for the other prompts.
    assert started(tmp_path / "policies") == ["newest", "newest"]


def test_an_evaluation_starts_one_for_each_policy_and_for_the_judge(tmp_path):
    policies = {"policy_new": "new", "policy_old": "old", "policy_base": "base", "policy_published": "old"}
    run_dir = a_stage(
        tmp_path,
        "evaluate",
        policies=policies | {"judge_policy": "judge"},
        judges=["model", "reward_model"],
        judge_policy="j",
    )
    evaluate.run(run_dir)
    assert {row["judge"] for row in read_lines(run_dir / "judged.jsonl")} == {"model", "reward_model"}
    assert started(tmp_path / "policies") == ["new", "old", "base", "judge"]


def test_a_judge_that_has_just_written_needs_no_engine_of_its_own_if_its_questions_fit(tmp_path):
    # A question has room for two completions and the judge's words; by this file the policy was made for no more.
    policies = {"policy_new": "new", "policy_old": "old", "judge_policy": "old"}
    run_dir = a_stage(tmp_path, "evaluate", policies=policies, judges=["model"], judge_policy="j", max_model_len=512)
    (tmp_path / "policies" / "old").mkdir()
    (tmp_path / "policies" / "old" / "config.json").write_text('{"max_position_embeddings": 512}')
    evaluate.run(run_dir)
    assert started(tmp_path / "policies") == ["new", "old"]
