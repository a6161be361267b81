"""What was forgotten: the harness and the perplexity of two tiny policies, and the arithmetic of a drop."""

import json
import math
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from sampling.engine.run_dir import RunDirError, read_json_lines, read_result, write_stage
from tests.tiny_models import save_tiny_policy
from tests.training.pipeline.runs import write_lines
from training.pipeline import harness, harness_tasks
from training.pipeline.harness import compare
from training.pipeline.harness_tasks import Measured
from training.pipeline.measured import Measurements, policy_hash
from training.recipe import Harness

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "llm-foundry-eval"

YAML = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{query}}}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: gold
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return save_tiny_policy(tmp_path_factory.mktemp("old"), seed=1)


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    return save_tiny_policy(tmp_path_factory.mktemp("new"), seed=2)


def a_run(tmp_path, new, old, **section):
    (tmp_path / "text.txt").write_text("The apples lean a little towards the street.")
    told = {"text": str(tmp_path / "text.txt"), "window": 16} | section
    inputs = {"policy_new": str(new), "policy_old": str(old), "caches": str(tmp_path / "caches")}
    write_stage(tmp_path / "run", {"recipe": told, "seed": 17, "inputs": inputs})
    return tmp_path / "run"


def measured(values, *, mean=True, higher_is_better=True, stderr=0.1):
    value = sum(values) / len(values)
    return Measured("acc", value, stderr, higher_is_better, len(values), list(values) if mean else None)


# --- the drop ---------------------------------------------------------------------------------------------------


def test_a_drop_is_told_in_standard_errors_of_the_difference_in_pairs():
    # Ten questions; the new one misses two that the old one knew, and knows one that the old one missed.
    old, new = measured([1] * 8 + [0] * 2), measured([1] * 6 + [0] * 2 + [1, 0])
    # Differences new - old: six 0, two -1, one 1, one 0. Mean -0.1; squares sum to 3, so the variance is
    # (3 - 10 * 0.01) / 9 = 0.32222, the standard error sqrt(0.032222) = 0.179505, the drop 0.1 / 0.179505 = 0.5571.
    found = compare("t", new=new, old=old)
    assert found.difference_stderr == pytest.approx(0.179505, abs=1e-6)
    assert found.drop_in_errors == pytest.approx(0.5571, abs=1e-4)
    assert (found.new, found.old, found.examples) == (0.7, 0.8, 10)


def test_one_question_of_many_lost_is_a_drop_of_one_standard_error():
    old, new = measured([1] * 50), measured([1] * 49 + [0])
    assert compare("t", new=new, old=old).drop_in_errors == pytest.approx(1.0)


def test_a_gain_is_a_drop_below_nothing():
    assert compare("t", new=measured([1, 1, 0, 1]), old=measured([0, 1, 0, 0])).drop_in_errors < 0


def test_the_same_answers_are_no_drop_although_nothing_differs():
    assert compare("t", new=measured([1, 0, 1]), old=measured([1, 0, 1])).drop_in_errors == 0.0


def test_where_every_example_fell_alike_the_drop_is_finite():
    # No spread: the standard error is 0, and result.json knows no infinity.
    assert compare("t", new=measured([0, 0, 0]), old=measured([1, 1, 1])).drop_in_errors == 3.0


def test_without_figures_by_example_the_two_errors_are_added_as_of_strangers():
    new, old = measured([0.5], mean=False, stderr=0.03), measured([0.6], mean=False, stderr=0.04)
    # sqrt(0.03^2 + 0.04^2) = 0.05, and 0.1 / 0.05 = 2
    assert compare("t", new=new, old=old).drop_in_errors == pytest.approx(2.0)


def test_where_less_is_better_more_is_a_drop():
    new = measured([12.0], mean=False, higher_is_better=False, stderr=0.3)
    old = measured([11.0], mean=False, higher_is_better=False, stderr=0.4)
    assert compare("t", new=new, old=old).drop_in_errors == pytest.approx(2.0)


def test_a_figure_without_any_error_has_no_drop():
    assert compare("t", new=measured([0.5], mean=False, stderr=None), old=measured([0.6])).drop_in_errors is None


# --- the stage --------------------------------------------------------------------------------------------------


def test_two_policies_are_measured_on_the_bundled_tasks_and_on_the_text(tmp_path, new, old):
    found = harness.run(a_run(tmp_path, new, old, tasks=["everyday", "last_word"], limit=12))
    assert [(each.task, each.metric, each.examples) for each in found.tasks] == [
        ("everyday", "acc", 12),
        ("last_word", "acc", 12),
    ]
    assert found.perplexity_ratio == pytest.approx(found.perplexity_new / found.perplexity_old)
    assert found.perplexity_new != found.perplexity_old
    assert found.largest_drop == max(each.drop_in_errors for each in found.tasks)
    assert found.text == "text.txt"
    assert found.taken_from_cache == 0
    progress = json.loads((tmp_path / "run" / "progress.json").read_text())
    assert (progress["done"], progress["total"]) == (6, 6)


def test_what_was_measured_is_not_measured_again(tmp_path, new, old, monkeypatch):
    run_dir = a_run(tmp_path, new, old, tasks=["last_word"], limit=5)
    first = harness.run(run_dir)

    def nothing_to_load(*args, **kwargs):
        raise AssertionError("A policy was loaded.")

    monkeypatch.setattr(harness.AutoModelForCausalLM, "from_pretrained", nothing_to_load)
    again = harness.run(run_dir)
    assert again.taken_from_cache == 4
    assert (again.tasks, again.perplexity_ratio) == (first.tasks, first.perplexity_ratio)


def test_another_limit_other_weights_and_another_text_are_measured_anew(tmp_path, new, old):
    harness.run(a_run(tmp_path, new, old, tasks=["last_word"], limit=5))
    assert harness.run(a_run(tmp_path, new, old, tasks=["last_word"], limit=6)).taken_from_cache == 2  # the texts
    third = save_tiny_policy(tmp_path / "third", seed=3)
    assert harness.run(a_run(tmp_path, third, old, tasks=["last_word"], limit=5)).taken_from_cache == 2  # the old one
    assert harness.run(a_run(tmp_path, new, old, window=32)).taken_from_cache == 0


def test_the_same_policy_on_both_sides_has_forgotten_nothing(tmp_path, old):
    found = harness.run(a_run(tmp_path, old, old, tasks=["last_word"], limit=5))
    assert (found.perplexity_ratio, found.largest_drop) == (1.0, 0.0)


def test_without_tasks_only_the_perplexity_is_measured(tmp_path, new, old):
    found = harness.run(a_run(tmp_path, new, old))
    assert (found.tasks, found.largest_drop) == ([], None)
    assert math.isfinite(found.perplexity_new)


def test_a_stage_that_was_killed_goes_on_with_what_it_had_not_measured_yet(tmp_path, new, old, monkeypatch):
    run_dir = a_run(tmp_path, new, old, tasks=["everyday", "last_word"], limit=4)
    measure, asked = harness_tasks.measure, []

    def killed_at_the_third(lm, name, task, **how):
        asked.append(name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return measure(lm, name, task, **how)

    monkeypatch.setattr(harness_tasks, "measure", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        harness.run(run_dir)
    # Of six figures three were there: both tasks and the text of the old policy.
    assert harness.run(run_dir).taken_from_cache == 3
    assert asked == ["everyday", "last_word", "everyday", "everyday", "last_word"]


def test_the_stage_says_in_what_it_computed(tmp_path, new, old, monkeypatch):
    monkeypatch.setattr(harness, "can_bf16", lambda: False)
    harness.run(a_run(tmp_path, new, old))
    written = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert (written["precision"], written["micro_batch"]) == ("fp32", 8)
    assert written["libraries"]["lm_eval"]


def test_what_the_stage_would_miss_can_be_found_before_the_round(tmp_path):
    harness.check(Harness(tasks=("everyday",)))
    with pytest.raises(RunDirError, match="cannot be read"):
        harness.check(Harness(text=str(tmp_path / "none.txt")))
    with pytest.raises(RunDirError, match="There is no folder"):
        harness.check(Harness(tasks=("mine",), task_folder=str(tmp_path / "none")))


@pytest.mark.slow
def test_the_program_runs_by_hand_and_leaves_its_result(tmp_path, new, old):
    run_dir = a_run(tmp_path, new, old, tasks=["last_word"], limit=3)
    argv = [sys.executable, "-m", "training.pipeline.harness", "--run-dir", str(run_dir)]
    subprocess.run(argv, check=True, capture_output=True, timeout=240)
    result = read_result(run_dir)
    assert result["tasks"][0]["task"] == "last_word"
    assert set(result) >= {"perplexity_new", "perplexity_old", "perplexity_ratio", "text", "largest_drop"}


def test_a_policy_that_is_not_there_is_named(tmp_path, old):
    with pytest.raises(RunDirError, match="nowhere holds no model"):
        harness.run(a_run(tmp_path, tmp_path / "nowhere", old))


# --- tasks ------------------------------------------------------------------------------------------------------


def test_a_users_own_task_reads_the_file_beside_it_from_wherever_the_stage_runs(tmp_path, new, old):
    folder = tmp_path / "tasks"
    folder.mkdir()
    write_lines(folder / "mine.jsonl", [{"query": "Which?", "choices": ["this", "that"], "gold": 1}] * 3)
    (folder / "mine.yaml").write_text(YAML.format(name="mine", file="mine.jsonl"))
    found = harness.run(a_run(tmp_path, new, old, tasks=["mine", "last_word"], task_folder=str(folder), limit=3))
    assert [(each.task, each.examples) for each in found.tasks] == [("mine", 3), ("last_word", 3)]


def test_a_task_that_nobody_knows_is_an_error_that_names_the_known_ones(tmp_path):
    with pytest.raises(RunDirError, match=r'no harness task "histroy".*Known here: everyday, last_word'):
        harness_tasks.load_tasks(("everyday", "histroy"))


@pytest.mark.slow
def test_a_task_whose_data_would_have_to_be_fetched_is_an_error_and_no_download(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    with harness_tasks.offline(), pytest.raises(RunDirError, match=r'"hellaswag" cannot be loaded.*uses no network'):
        harness_tasks.load_tasks(("hellaswag",))


def test_a_folder_that_is_not_there_and_a_broken_task_file_are_errors(tmp_path):
    with pytest.raises(RunDirError, match="There is no folder"):
        harness_tasks.load_tasks(("mine",), str(tmp_path / "none"))
    (tmp_path / "mine.yaml").write_text(YAML.format(name="mine", file="lost.jsonl"))
    with pytest.raises(RunDirError, match=r'"mine" cannot be loaded. See its YAML file'):
        harness_tasks.load_tasks(("mine",), str(tmp_path))


def test_a_task_is_known_by_what_it_asks_not_by_where_its_files_are(tmp_path):
    prints = []
    for place, gold in (("a", 0), ("b", 0), ("c", 1)):
        folder = tmp_path / place
        folder.mkdir()
        write_lines(folder / "mine.jsonl", [{"query": "Which?", "choices": ["this", "that"], "gold": gold}] * 3)
        (folder / "mine.yaml").write_text(YAML.format(name="mine", file="mine.jsonl"))
        (task,) = harness_tasks.load_tasks(("mine",), str(folder)).values()
        prints.append(harness_tasks.fingerprint(task, limit=2))
    assert prints[0] == prints[1] != prints[2]


def test_the_bundled_tasks_have_one_right_answer_each_and_no_question_twice():
    questions = list(read_json_lines(harness_tasks.BUNDLED / "everyday.jsonl"))
    assert len({row["question"] for row in questions}) == 60
    assert all(len(set(row["choices"])) == 4 and row["answer"] in range(4) for row in questions)
    starts = list(read_json_lines(harness_tasks.BUNDLED / "last_word.jsonl"))
    assert len({row["start"] for row in starts}) == 40
    assert all(" " not in row["last_word"] for row in starts)


@pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation sets of ../shared/data are not here")
def test_public_sets_work_as_a_users_own_task_files(tmp_path, new, old):
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name in ("arc_easy", "piqa", "copa"):
        with (DATA / f"{name}.jsonl").open(encoding="utf-8") as source:
            (folder / f"{name}.jsonl").write_text("".join(islice(source, 20)))
        (folder / f"{name}.yaml").write_text(YAML.format(name=f"my_{name}", file=f"{name}.jsonl"))
    names = ["my_arc_easy", "my_piqa", "my_copa"]
    found = harness.run(a_run(tmp_path, new, old, tasks=names, task_folder=str(folder), limit=4))
    assert [(each.task, each.examples) for each in found.tasks] == [(name, 4) for name in names]
    assert all(0 <= each.new <= 1 and each.new_stderr is not None for each in found.tasks)


# --- what is kept -----------------------------------------------------------------------------------------------


def test_a_policy_is_known_by_its_weights_and_by_its_tokenizer(tmp_path, old):
    same, other = save_tiny_policy(tmp_path / "same", seed=1), save_tiny_policy(tmp_path / "other", seed=1)
    assert policy_hash(str(same)) == policy_hash(str(old))
    config = json.loads((other / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 9}))
    assert policy_hash(str(other)) != policy_hash(str(old))


def test_a_policy_without_a_known_content_is_measured_each_time(tmp_path):
    kept = Measurements(tmp_path, {"policy": policy_hash("org/name")})
    kept.put({"text": "t"}, {"perplexity": 2.0})
    assert kept.get({"text": "t"}) is None
    assert list(tmp_path.iterdir()) == []


def test_a_torn_file_counts_as_not_measured(tmp_path):
    kept = Measurements(tmp_path, {"policy": "abc"})
    kept.put({"text": "t"}, {"perplexity": 2.0})
    assert kept.get({"text": "t"}) == {"perplexity": 2.0}
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-9])
    assert kept.get({"text": "t"}) is None
