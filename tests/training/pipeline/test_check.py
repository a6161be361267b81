"""The check: what it counts, what it lists, and what it refuses, on a tiny policy's tokenizer."""

import json
import subprocess
import sys

import pytest

from sampling.engine.run_dir import RunDirError, read_json_lines, write_stage
from tests.tiny_models import CHAT_TEMPLATE
from tests.training.pipeline.runs import pair, prompts_file, write_lines
from training.pipeline import check
from training.pipeline.checked_rows import histogram, statistics
from training.recipe import parse

TRAINING = 'method = "full"\nlearning_rate = 1e-3\nepochs = 2\nbatch = 8\nmax_length = 120\nleast_rows = 4\n'
REWARD = f'[reward_model]\n{TRAINING}judges = "all"\n'
DPO = f'[dpo]\n{TRAINING}judges = "all"\nleast_strength = "better"\n'
SAMPLED = f"[rejection_sampling]\ncandidates = 2\nmax_tokens = 64\nmax_model_len = 128\n[sft]\n{TRAINING}"
EVALUATE = '[evaluate]\nmax_tokens = 16\njudges = ["simulated"]\n'
DEMONSTRATIONS = f"[demonstrations]\n{TRAINING}"


def conversation(number: int, **more) -> dict:
    said = [("user", f"Say {number}."), ("assistant", f"{number}."), ("user", "Again."), ("assistant", "No.")]
    return {"line": number, "messages": [{"role": role, "content": content} for role, content in said]} | more


@pytest.fixture
def told(tmp_path, policy):
    """Writes a run directory with 12 train pairs, 3 eval pairs, 6 train prompts and 2 eval prompts; or with others."""

    def write(recipe: str, *, train=None, held_out=None, demonstrations=None, kept_out=(), model=policy, prompts=6):
        data = tmp_path / "data"
        (data / "all").mkdir(parents=True)
        write_lines(data / "all" / "train.jsonl", [pair(n) for n in range(12)] if train is None else train)
        eval_pairs = [pair(100 + n) for n in range(3)] if held_out is None else held_out
        write_lines(data / "all" / "eval.jsonl", eval_pairs)
        inputs = {
            "policy": str(model),
            "pairs": {"all": str(data / "all")},
            "prompts_train": str(prompts_file(data / "prompts_train.jsonl", prompts)),
            "prompts_eval": str(prompts_file(data / "prompts_eval.jsonl", 2)),
            "demonstrations": "",
            "held_out_demonstrations": "",
        }
        if demonstrations is not None:
            inputs["demonstrations"] = str(write_lines(data / "d.jsonl", demonstrations))
            inputs["held_out_demonstrations"] = str(write_lines(data / "h.jsonl", list(kept_out)))
        run_dir = tmp_path / "1-check"
        write_stage(run_dir, {"recipe": parse(recipe, "mine").resolved(), "seed": 17, "inputs": inputs})
        return run_dir

    return write


def refused(run_dir) -> list[tuple[str, str]]:
    """The problems; the program ends badly with all of them, and the result is there."""
    with pytest.raises(RunDirError) as caught:
        check.run(run_dir)
    problems = json.loads((run_dir / "check.json").read_text())["problems"]
    assert str(caught.value) == " ".join(problem["message"] for problem in problems)
    return [(problem["field"], problem["message"]) for problem in problems]


def dropped(run_dir) -> list[tuple[str, str]]:
    return [(row["stage"], row["reason"]) for row in read_json_lines(run_dir / "dropped.jsonl")]


def test_each_stages_rows_and_steps_are_counted(told):
    run_dir = told(REWARD + SAMPLED + DPO + EVALUATE)
    result = check.run(run_dir)
    # 12 pairs in batches of 8 are 2 steps an epoch, 4 in two; of four steps half warm up, for 5 would be all of them.
    counted = {
        "rows": 12,
        "dropped": {},
        "steps": 4,
        "warmup_steps": 2,
        "batch": 8,
        "micro_batch": 8,
        "accumulation": 1,
    }
    assert result["stages"]["reward_model"] == counted | {"held_out": 3}
    assert result["stages"]["dpo"] == counted
    assert result["stages"]["rejection_sampling"] == {"rows": 6, "dropped": {}}
    assert result["stages"]["sft"] == counted | {"rows": 6, "steps": 2, "warmup_steps": 1, "at_most": True}
    assert result["stages"]["evaluate"] == {"rows": 2, "dropped": {}}
    assert result["rows"] == 12 + 3 + 6 + 2
    assert result["problems"] == []
    assert result["memory_free_bytes"] > result["memory_bytes"] > 0
    assert json.loads((run_dir / "check.json").read_text()) == json.loads(json.dumps(result))
    assert (run_dir / "provenance.json").is_file()


def test_lengths_are_those_of_the_rows_under_the_policys_template(told):
    lengths = check.run(told(REWARD, train=[pair(n, chosen="yes", rejected="no") for n in range(9)]))["lengths"]
    # One token a byte, and one for each special one. "<|im_start|>user\n" 6, "Why is the sky blue, question 0?" 32,
    # "<|im_end|>\n" 2, "<|im_start|>assistant\n" 11: what asks for an answer is 51.
    assert lengths["prompt"] == {
        "rows": 6, "min": 51, "median": 51, "p95": 51, "max": 51,
        "histogram": [[5 * n, 0] for n in range(1, 11)] + [[55, 6]],
    }  # fmt: skip
    # "yes" 3, "no" 2, and of the eval pairs "yes yes yes" 11 and "no no no" 8: distinct texts.
    assert (lengths["completion"]["rows"], lengths["completion"]["min"], lengths["completion"]["max"]) == (4, 2, 11)
    # "Question 0?" 11: 6 + 11 + 2 + 11 + 3 + 2 = 35 for a yes.
    assert lengths["conversation"]["min"] == 34
    assert lengths["conversation"]["rows"] == 9 * 2 + 3 * 2


def test_every_row_that_is_left_out_is_counted_by_reason_and_listed(told):
    rows = [pair(n) for n in range(6)]
    rows += [pair(6, chosen=" "), pair(7, rejected="yes yes yes"), pair(8, chosen="x" * 200)]
    rows += [pair(9, strength="slightly_better")]
    run_dir = told(REWARD + DPO, train=rows)
    result = check.run(run_dir)
    everywhere = {"empty": 1, "identical": 1, "too_long": 1}
    assert result["stages"]["reward_model"]["dropped"] == everywhere
    assert result["stages"]["dpo"]["dropped"] == everywhere | {"weaker_than_least_strength": 1}
    assert sorted(dropped(run_dir)) == sorted(
        [("dpo", reason) for reason in [*everywhere, "weaker_than_least_strength"]]
        + [("reward_model", reason) for reason in everywhere]
    )
    listed = {row["reason"]: row for row in read_json_lines(run_dir / "dropped.jsonl") if row["stage"] == "dpo"}
    assert (listed["too_long"]["prompt_id"], listed["too_long"]["limit"]) == ("8", 120)
    assert result["warnings"][0] == (
        "The reward model leaves out 3 of 10 rows: 1 empty, 1 with two sides alike, 1 longer than it takes."
    )


def test_too_few_pairs_are_a_problem_of_the_snapshot_for_each_stage_that_lacks_them(told):
    problems = refused(told(REWARD + DPO, train=[pair(0), pair(1), pair(2), pair(3, strength="slightly_better")]))
    assert problems == [
        (
            "snapshot",
            "DPO needs at least 4 pairs and has 3 (1 weaker_than_least_strength left out). Collect more judgments or "
            "choose another snapshot, or lower least_rows in the recipe.",
        )
    ]


def test_without_held_out_pairs_the_reward_model_is_warned_of(told):
    warnings = check.run(told(REWARD, held_out=[]))["warnings"]
    assert any("no pair to be measured on" in warning for warning in warnings)


def test_a_policy_without_a_chat_template_is_a_problem_of_the_policy_and_nothing_else_is_said(told, policy, tmp_path):
    bare = _with_template(policy, tmp_path / "bare", None)
    ((form_field, message),) = refused(told(REWARD, model=bare))
    assert form_field == "base_policy"
    assert "has no chat template" in message


def test_a_policy_that_is_gone_is_a_problem_of_the_policy(told, tmp_path):
    ((form_field, message),) = refused(told(REWARD, model=tmp_path / "gone"))
    assert (form_field, "config.json is missing" in message) == ("base_policy", True)


def test_the_tokenizer_is_described(told):
    assert check.run(told(REWARD))["tokenizer"] == {
        "chat_template": True, "assistant_mask": True, "end_token": "<|im_end|>", "ends_with_end_token": True,
    }  # fmt: skip


def test_a_template_that_ends_no_turn_is_warned_of(told, policy, tmp_path):
    endless = _with_template(policy, tmp_path / "endless", CHAT_TEMPLATE.replace("<|im_end|>", ""))
    result = check.run(told(REWARD, model=endless))
    assert not result["tokenizer"]["ends_with_end_token"]
    assert any("learns no end" in warning for warning in result["warnings"])


def test_demonstrations_need_a_template_that_marks_the_assistants_tokens(told, policy, tmp_path):
    unmarked = CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    model = _with_template(policy, tmp_path / "unmarked", unmarked)
    rows = [conversation(n) for n in range(8)]
    ((form_field, message),) = refused(told(DEMONSTRATIONS, model=model, demonstrations=rows))
    assert form_field == "base_policy"
    assert "{% generation %} and {% endgeneration %} around the assistant's content" in message


def test_demonstrations_need_the_end_of_a_turn_inside_the_markers(told, policy, tmp_path):
    outside = CHAT_TEMPLATE.replace("<|im_end|>{% endgeneration %}", "{% endgeneration %}<|im_end|>")
    model = _with_template(policy, tmp_path / "outside", outside)
    ((_, message),) = refused(told(DEMONSTRATIONS, model=model, demonstrations=[conversation(n) for n in range(8)]))
    assert "never learn to stop" in message


def test_a_recipe_with_demonstrations_needs_a_set_of_them(told):
    ((form_field, message),) = refused(told(DEMONSTRATIONS))
    assert (form_field, "Choose a set of them" in message) == ("demonstrations", True)


def test_demonstrations_are_counted_and_what_answers_an_eval_prompt_is_listed_by_its_line(told):
    rows = [conversation(n) for n in range(8)] + [conversation(8), conversation(9)]
    rows[9]["messages"][3]["content"] = "x" * 300
    run_dir = told(DEMONSTRATIONS, demonstrations=rows, kept_out=[conversation(77)])
    result = check.run(run_dir)
    assert result["stages"]["demonstrations"]["rows"] == 9
    assert result["stages"]["demonstrations"]["dropped"] == {"held_out": 1, "too_long": 1}
    listed = {row["reason"]: row for row in read_json_lines(run_dir / "dropped.jsonl")}
    assert (listed["held_out"]["line"], listed["too_long"]["line"]) == (77, 9)


def test_a_stage_of_less_than_one_step_is_warned_of(told):
    warnings = check.run(told(REWARD.replace("batch = 8", "batch = 512")))["warnings"]
    assert any("has 12 rows, and a step takes 512: an epoch is one step" in warning for warning in warnings)


def test_prompts_that_leave_no_room_to_answer_are_counted_and_all_of_them_are_a_problem(told):
    # 51 tokens of prompt and 64 of answer are more than 100.
    problems = refused(told(REWARD + SAMPLED.replace("max_model_len = 128", "max_model_len = 100")))
    assert problems[0][0] == "recipe"
    assert "no train prompt leaves room for 64 tokens in a max_model_len of 100" in problems[0][1]


def test_sampling_without_prompts_is_a_problem_of_the_snapshot(told):
    ((form_field, message),) = refused(told(REWARD + SAMPLED, prompts=0))
    assert (form_field, "sampling samples from train prompts" in message) == ("snapshot", True)


def test_a_policy_that_no_memory_here_can_train_is_a_problem_of_the_recipe(told, monkeypatch):
    monkeypatch.setattr("training.pipeline.memory.device_bytes", lambda: 1e5)
    problems = refused(told(REWARD))
    assert problems[0][0] == "recipe"
    assert 'with method "full" needs' in problems[0][1]


def test_a_histogram_has_bars_of_one_round_width():
    assert histogram([1, 10, 11, 25]) == [[5, 1], [10, 1], [15, 1], [20, 0], [25, 1]]
    assert len(histogram([4096])) == 9  # of 500 tokens each: 12 of 200 would end at 2400
    assert statistics([3, 1, 2])["median"] == 2


@pytest.mark.slow
def test_the_program_ends_badly_with_the_problems_and_leaves_its_result(told):
    run_dir = told(REWARD, train=[pair(0)])
    ended = subprocess.run(
        [sys.executable, "-m", "training.pipeline.check", "--run-dir", str(run_dir)], capture_output=True, check=False
    )
    assert ended.returncode == 1
    assert "needs at least 4 pairs and has 1" in json.loads((run_dir / "error.json").read_text())["message"]
    assert json.loads((run_dir / "check.json").read_text())["problems"]
    assert not (run_dir / "result.json").exists()


def _with_template(policy, directory, template: str | None):
    """A copy of the policy with another chat template, or none."""
    directory.mkdir()
    for path in policy.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    if template is None:
        (directory / "chat_template.jinja").unlink()
    else:
        (directory / "chat_template.jinja").write_text(template)
    return directory
