"""Recipes: what is read, and what is refused in which words."""

import json

import pytest

from training import recipe as recipes
from training.recipe import Dpo, Evaluate, RecipeError, load, parse

DPO = """
[dpo]
method = "full"
learning_rate = 5e-7
epochs = 2
batch = 64
max_length = 512
"""
REWARD_MODEL = DPO.replace("[dpo]", "[reward_model]")
SFT = DPO.replace("[dpo]", "[sft]")
JUDGE_MODEL = DPO.replace("[dpo]", "[judge_model]")
REJECTION_SAMPLING = "\n[rejection_sampling]\ncandidates = 8\nmax_tokens = 64\n"
EVALUATE = '\n[evaluate]\nmax_tokens = 64\njudges = ["simulated"]\n'
GATE = "\n[gate]\nmin_win_rate_low = 0.5\n"


def test_a_section_that_is_left_out_is_a_stage_that_is_not_run():
    recipe = parse(DPO, "mine")
    assert recipe.stages == ["dpo"]
    assert recipe.reward_model is None
    assert recipe.name == "mine"


def test_the_order_of_the_sections_in_the_file_is_not_the_order_of_the_round():
    assert parse(EVALUATE + DPO, "mine").stages == ["dpo", "evaluate"]


def test_values_that_are_left_out_have_defaults_and_whole_numbers_are_numbers():
    dpo = parse(DPO, "mine").dpo
    assert dpo.beta == 0.1
    assert dpo.epochs == 2.0
    assert isinstance(dpo.epochs, float)


def test_the_resolved_recipe_survives_json_and_reads_back_the_same():
    recipe = load("demo")
    again = recipes.from_dict(json.loads(json.dumps(recipe.resolved())), source="a round")
    assert again == recipe


def test_a_resolved_recipe_leaves_out_the_stages_that_are_not_run():
    assert set(parse(DPO, "mine").resolved()) == {"name", "description", "warning", "dpo"}


def test_a_section_can_be_read_from_what_a_stage_is_told():
    told = parse(DPO, "mine").resolved()["dpo"]
    assert Dpo.parse(told, source="stage.json").learning_rate == 5e-7


def refused(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse(text, "mine")
    return str(caught.value)


def test_an_unknown_key_is_refused_with_the_close_match():
    message = refused(DPO + "learning_rat = 1e-5\n")
    assert message == 'mine.toml, [dpo]: unknown key "learning_rat". Did you mean "learning_rate"?'


def test_an_unknown_key_that_is_like_no_other_is_refused_with_the_list():
    assert "There are: " in refused(DPO + "zzz = 1\n")


def test_an_unknown_section_is_refused_with_the_close_match():
    assert refused("[dop]\nbeta = 0.1\n") == 'mine.toml: unknown section "dop". Did you mean "dpo"?'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('learning_rate = "5e-7"', "must be a number"),
        ("epochs = true", "must be a number"),
        ("batch = 1.5", "must be a whole number"),
        ("method = 3", "must be one of 'full', 'lora', 'qlora'"),
        ("learning_rate = 0.0", "must be above 0"),
        ("learning_rate = -1e-5", "must be above 0"),
        ("learning_rate = nan", "must be a finite number"),
        ("epochs = inf", "must be a finite number"),
        ("batch = 0", "must be at least 1"),
        ("max_length = 4", "must be at least 16"),
        ('method = "adapters"', "must be one of 'full', 'lora', 'qlora'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_file_stage_and_key(line, words):
    key = line.split()[0]
    text = "\n".join(line if row.startswith(f"{key} ") else row for row in DPO.splitlines())
    message = refused(text)
    assert message.startswith(f'mine.toml, [dpo]: "{key}" is ')
    assert words in message


def test_a_missing_value_is_refused_by_its_key():
    message = refused(DPO.replace("learning_rate = 5e-7\n", ""))
    assert message.startswith('mine.toml, [dpo]: "learning_rate" is missing')


def test_a_micro_batch_larger_than_the_batch_is_refused():
    assert '"micro_batch" is 128, more than "batch" (64)' in refused(DPO + "micro_batch = 128\n")


def test_completions_that_leave_no_room_for_a_prompt_are_refused():
    text = DPO + EVALUATE.replace("max_tokens = 64", "max_tokens = 1024")
    assert "leaves no room for a prompt" in refused(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("micro_batch = 24", '"batch" is 64, which is no multiple of "micro_batch" (24)'),
        ('method = "qlora"\nprecision = "fp32"', '"qlora", which computes in bf16'),
        ('loss = "robust"', '"robust" needs one above 0'),
        ("label_smoothing = 0.1", '"robust" needs one above 0'),
        ('rounds = "3-1"', 'write "1", "1-4" or "5-"'),
        ('rounds = "first"', 'write "1", "1-4" or "5-"'),
        ('rounds = "0-4"', 'write "1", "1-4" or "5-"'),
    ],
)
def test_values_that_are_impossible_together_are_refused_by_file_and_stage(line, words):
    text = DPO.replace('method = "full"\n', "") if line.startswith("method") else DPO
    message = refused(text + line)
    assert message.startswith("mine.toml, [dpo]: ")
    assert words in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("judges = []", "must name at least one"),
        ('judges = ["simulated", "simulated"]', "each once"),
        ('judges = "simulated"', "must be a list"),
        ('judges = ["nobody"]', "must be one of 'simulated', 'reward_model', 'model'"),
        ('judges = ["model"]', "name a registered policy"),
        ('judges = ["simulated"]\njudge_policy = "base"', "name a registered policy"),
    ],
)
def test_judges_that_cannot_be_are_refused(line, words):
    assert words in refused(DPO + EVALUATE.replace('judges = ["simulated"]', line))


def test_candidates_that_would_all_be_alike_are_refused():
    text = REWARD_MODEL + REJECTION_SAMPLING + "temperatures = [0.0, 1.0]\n" + SFT
    assert "at a temperature of 0 all candidates of a prompt are alike" in refused(text)
    assert "must be at most 2" in refused(text.replace("0.0", "2.5"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REJECTION_SAMPLING + SFT, "[rejection_sampling] needs [reward_model]"),
        (REWARD_MODEL + REJECTION_SAMPLING, "[rejection_sampling] needs [sft]"),
        (SFT, "[sft] needs [rejection_sampling]"),
        (REWARD_MODEL + EVALUATE, "[evaluate] needs [demonstrations] or [sft] or [dpo]"),
        (REWARD_MODEL + "[harness]\n", "[harness] needs [demonstrations] or [sft] or [dpo]"),
        (DPO + JUDGE_MODEL, "[judge_model] needs [evaluate]"),
        (DPO + "[gate]\nmin_win_rate = 0.5\n", "[gate] needs [evaluate]"),
        (DPO + EVALUATE.replace("simulated", "reward_model"), "no [reward_model] is trained"),
        (DPO + EVALUATE + "[gate]\n", "no condition"),
        (DPO + EVALUATE + "[gate]\nmax_perplexity_ratio = 1.1\n", "only [harness] measures it"),
        (DPO + EVALUATE + "[harness]\n[gate]\nmax_task_drop = 1.0\n", '"tasks" of [harness] is empty'),
        ("", "has no stage"),
        ("[gate]\nmin_win_rate = 0.5\n", "has no stage"),
    ],
)
def test_sections_that_are_impossible_together_are_refused(text, words):
    message = refused(text)
    assert words in message
    assert message.startswith("mine.toml")


def test_the_same_sections_are_accepted_once_they_have_what_they_need():
    assert len(parse(REWARD_MODEL + REJECTION_SAMPLING + SFT + DPO + EVALUATE + GATE, "mine").stages) == 5


def test_what_is_not_toml_is_refused_with_the_line():
    assert "is not TOML" in refused("[dpo\n")


def test_a_section_given_as_a_value_is_refused():
    assert "must be a section" in refused("dpo = 3\n")


def test_an_unknown_recipe_is_refused_with_the_close_match():
    with pytest.raises(RecipeError, match='Did you mean "demo"'):
        load("dmeo")


def test_a_file_that_is_not_there_is_refused_by_its_path(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_a_file_of_ones_own_is_read_by_its_path_and_named_after_it(tmp_path):
    (tmp_path / "ours.toml").write_text(DPO + EVALUATE)
    recipe = load(tmp_path / "ours.toml")
    assert recipe.name == "ours"
    assert isinstance(recipe.evaluate, Evaluate)
