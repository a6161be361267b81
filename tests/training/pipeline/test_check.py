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
JUDGE = f'[judge_model]\n{TRAINING}judges = "all"\nsnapshots = "all"\n'
DEMONSTRATIONS = f"[demonstrations]\n{TRAINING}"


def conversation(number: int, **more) -> dict:
    said = [("user", f"Say {number}."), ("assistant", f"{number}."), ("user", "Again."), ("assistant", "No.")]
    return {"line": number, "messages": [{"role": role, "content": content} for role, content in said]} | more


@pytest.fixture
def told(tmp_path, policy):
    """Writes a run directory with 12 train pairs, 3 eval pairs, 6 train prompts and 2 eval prompts; or with others."""

    def write(
        recipe: str, *, train=None, held_out=None, demonstrations=None, kept_out=(), model=policy, prompts=6,
        held_out_pairs=(), undecided=(), held_out_prompts=(), pool=None, held_out_pool=(),
    ):  # fmt: skip
        data = tmp_path / "data"
        (data / "all").mkdir(parents=True)
        write_lines(data / "all" / "held_out.jsonl", list(held_out_pairs))
        write_lines(data / "all" / "undecided.jsonl", list(undecided))
        write_lines(data / "all" / "train.jsonl", [pair(n) for n in range(12)] if train is None else train)
        eval_pairs = [pair(100 + n) for n in range(3)] if held_out is None else held_out
        write_lines(data / "all" / "eval.jsonl", eval_pairs)
        inputs = {
            "policy": str(model),
            "pairs": {"all": str(data / "all")},
            "prompts_train": str(prompts_file(data / "prompts_train.jsonl", prompts)),
            "prompts_eval": str(prompts_file(data / "prompts_eval.jsonl", 2)),
            "held_out_prompts": str(write_lines(data / "held_out_prompts.jsonl", list(held_out_prompts))),
            "demonstrations": "",
            "held_out_demonstrations": "",
        }
        if pool is not None:
            (data / "pool").mkdir()
            write_lines(data / "pool" / "0001.jsonl", list(pool))
            inputs["pool"] = str(data / "pool")
            inputs["held_out_pool"] = str(write_lines(data / "held_out_pool.jsonl", list(held_out_pool)))
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
    # 12 pairs in batches of 8 are 2 steps an epoch, 4 in two, too few to warm up for 5.
    counted = {
        "rows": 12,
        "dropped": {},
        "steps": 4,
        "warmup_steps": 0,
        "batch": 8,
        "micro_batch": 8,
        "accumulation": 1,
    }
    assert result["stages"]["reward_model"] == counted | {"held_out": 3}
    assert result["stages"]["dpo"] == counted
    assert result["stages"]["rejection_sampling"] == {"rows": 6, "dropped": {}}
    assert result["stages"]["sft"] == counted | {"rows": 6, "steps": 2, "warmup_steps": 0, "at_most": True}
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
    assert result["warnings"][0] == ("The reward model leaves out 3 of 10 rows: 1 empty, 1 identical, 1 too long.")


def undecided(number: int, reason: str, **more) -> dict:
    prompt = [{"role": "user", "content": f"Question {number}?"}]
    row = {"reason": reason, "prompt_id": str(number), "prompt": prompt, "texts": ["One.", "Other."]}
    return row | {"split": "train", "latest": True} | more


def candidate(prompt_id: str, question: str, index: int = 0) -> dict:
    prompt = [{"role": "user", "content": question}]
    said = {"text": f"{index}.", "tokens": 2, "finish_reason": "stop", "score": 0.5}
    return {"prompt_id": prompt_id, "index": index, "messages": prompt} | said


def test_pairs_that_are_held_out_or_that_nobody_agrees_on_are_counted_and_listed_where_they_are_missed(told):
    run_dir = told(
        REWARD + DPO + EVALUATE + JUDGE,
        held_out=[pair(100 + n) for n in range(5)],
        held_out_pairs=[pair(50), pair(51, latest=False)],
        undecided=[
            undecided(60, "conflict"), undecided(61, "conflict"), undecided(62, "unsafe_over_safe"),
            undecided(63, "tie", latest=False), undecided(64, "tie", split="eval"),
        ],
    )  # fmt: skip
    stages = check.run(run_dir)["stages"]
    missed = {"conflict": 2, "unsafe_over_safe": 1, "held_out": 1}
    assert stages["reward_model"]["dropped"] == missed | {"held_out_tie": 1}
    assert stages["dpo"]["dropped"] == missed
    # It learns from the pairs of the eval prompts, and is measured on the others, of all snapshots.
    assert stages["judge_model"]["dropped"] == {
        "tie": 1, "held_out_conflict": 2, "held_out_unsafe_over_safe": 1, "held_out_tie": 1,
    }  # fmt: skip
    assert stages["reward_model"]["rows"] == 12
    listed = [row for row in read_json_lines(run_dir / "dropped.jsonl") if row["stage"] == "dpo"]
    assert {row["prompt_id"]: row["reason"] for row in listed} == {
        "50": "held_out", "60": "conflict", "61": "conflict", "62": "unsafe_over_safe",
    }  # fmt: skip
    assert listed[0]["excerpt"] == "Question 60? | One. | Other."


def test_pairs_that_cannot_be_measured_on_are_counted_and_listed_as_the_stage_will(told):
    held_out = [pair(100), pair(101, chosen="x" * 200), pair(102, chosen=" "), pair(103, latest=False)]
    run_dir = told(REWARD, held_out=held_out)
    found = check.run(run_dir)["stages"]["reward_model"]
    assert found["held_out"] == 1
    assert found["dropped"] == {"held_out_too_long": 1, "held_out_empty": 1, "held_out_earlier_snapshot": 1}
    assert sorted(dropped(run_dir)) == sorted(("reward_model", reason) for reason in found["dropped"])


def test_prompts_that_are_held_out_are_counted_once_with_what_earlier_rounds_said_to_them(told):
    twin = candidate("p9", "Held out?")
    held_out = [{"id": twin["prompt_id"], "messages": twin["messages"]}]
    gone = [candidate("old", "Gone?", index) for index in range(3)]
    run_dir = told(REWARD + SAMPLED, held_out_prompts=held_out, pool=[], held_out_pool=[twin, *gone])
    assert check.run(run_dir)["stages"]["rejection_sampling"] == {"rows": 6, "dropped": {"held_out": 2}}
    listed = {row["prompt_id"]: row["excerpt"] for row in read_json_lines(run_dir / "dropped.jsonl")}
    assert listed == {
        "p9": "Held out? (1 candidates of earlier rounds)", "old": "Gone? (3 candidates of earlier rounds)",
    }  # fmt: skip


def test_sft_has_at_most_the_prompts_of_this_round_and_those_that_only_earlier_ones_had(told):
    again = "Why is the sky blue, question 0?"
    pool = [candidate("p0", again), candidate("x", "Earlier?"), candidate("x", "Earlier?", 1), candidate("y", "Other?")]
    found = check.run(told(REWARD + SAMPLED, pool=pool))["stages"]["sft"]
    assert (found["rows"], found["at_most"]) == (6 + 2, True)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('[harness]\ntasks = ["evryday"]\n', 'There is no harness task "evryday". Known here: '),
        ('[harness]\ntext = "/gone.txt"\n', "The text for perplexity, /gone.txt, cannot be read"),
    ],
)
def test_what_the_harness_cannot_read_is_a_problem_of_the_recipe_before_the_round(told, section, words):
    ((form_field, message),) = refused(told(DPO + section))
    assert form_field == "recipe"
    assert message.startswith(words)


def test_qlora_without_a_library_that_runs_here_is_a_problem_of_the_recipe(told, monkeypatch):
    def broken():
        raise RunDirError("bitsandbytes does not run on this machine.")

    monkeypatch.setattr("training.pipeline.quantised.check_bitsandbytes", broken)
    qlora = DPO.replace('"full"', '"qlora"')
    assert refused(told(qlora)) == [("recipe", "bitsandbytes does not run on this machine.")]


def test_too_few_pairs_are_a_problem_of_the_snapshot_for_each_stage_that_lacks_them(told):
    problems = refused(told(REWARD + DPO, train=[pair(0), pair(1), pair(2), pair(3, strength="slightly_better")]))
    assert problems == [
        (
            "snapshot",
            "DPO needs at least 4 pairs and has 3 (1 weaker than least strength left out). Collect more judgments or "
            "choose another snapshot, or lower least_rows in the recipe.",
        )
    ]


def test_pairs_that_no_person_judged_are_told_of_with_what_lets_them_in(told):
    ((form_field, message),) = refused(
        told(REWARD, train=[], undecided=[undecided(n, "not_judged_by_people") for n in range(5)])
    )
    assert form_field == "snapshot"
    assert message.startswith("The reward model needs at least 4 pairs and has 0 (5 not judged by people left out). ")
    assert 'let simulated and model judges count too by the change reward_model.judges = "all"' in message


@pytest.mark.parametrize(("max_tokens", "finished_only"), [(64, True), (10, True), (10, False)])
def test_completions_that_pile_up_at_the_sampling_limit_are_warned_of(told, max_tokens, finished_only):
    # Of 22 completions 16 have far more than ten tokens, and none as many as 64.
    section = SAMPLED.replace("max_tokens = 64", f"max_tokens = {max_tokens}\nfinished_only = {finished_only}".lower())
    long = [pair(n, chosen=f"{n} many different words", rejected=f"{n} {'more ' * 5}") for n in range(8)]
    found = check.run(told(REWARD + section, train=long))
    warned = [each for each in found["warnings"] if each.startswith(f"Most completions are cut off at {max_tokens}")]
    assert len(warned) == (max_tokens == 10)
    assert all(("finished_only" in each) == finished_only for each in warned)


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
    assert (
        "The reward model has 12 rows, and a step takes 512: an epoch is one step, 2 steps in all, too few to warm up. "
        "Collect more, lower batch or raise epochs in the recipe."
    ) in warnings


def test_a_stage_of_enough_steps_is_not_warned_of(told):
    # 12 rows in batches of 8, eight times over: 16 steps.
    assert check.run(told(REWARD.replace("epochs = 2", "epochs = 8")))["warnings"] == []


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


def test_rows_that_no_memory_here_holds_together_are_a_problem_that_says_what_to_lower(told, monkeypatch):
    run_dir = told(DPO.replace("[dpo]", "[dpo]\nmicro_batch = 4"))
    needed = check.run(run_dir)["memory_bytes"]
    monkeypatch.setattr("training.pipeline.memory.device_bytes", lambda: needed - 1)
    ((form_field, message),) = refused(run_dir)
    assert form_field == "recipe"
    assert message.startswith(f'DPO with method "full" needs about {needed / 1e9:.1f} GB')
    assert "Lower micro_batch or max_length" in message


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
