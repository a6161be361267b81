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
SELECTED_BY_ONE = REWARD_MODEL + REJECTION_SAMPLING + SFT
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


@pytest.mark.parametrize("line", ["warmup_share = 1", "adam_beta1 = 1.0", "adam_beta2 = 1.0"])
def test_a_share_or_a_moment_of_one_is_refused_because_nothing_would_be_learned(line):
    assert refused(DPO + line) == f'mine.toml, [dpo]: "{line.split()[0]}" is 1.0; it must be below 1.'


UNREAD = [
    ("end_share = 0.1", 'lr_schedule = "linear"'),
    ("end_share = 0.0", 'lr_schedule = "constant"'),
    ("adam_beta1 = 0.9", 'optimizer = "rmsprop"'),
    ("adam_beta2 = 0.95", 'optimizer = "rmsprop"'),
    ("adam_epsilon = 1e-8", 'optimizer = "rmsprop"'),
    ("lora_rank = 8", 'method = "full"'),
    ("lora_alpha = 8", 'method = "full"'),
    ("lora_dropout = 0.1", 'method = "full"'),
    ("train_embeddings = false", 'method = "lora"'),
    ("label_smoothing = 0.0", 'loss = "sigmoid"'),
]


@pytest.mark.parametrize(("line", "decides"), UNREAD)
def test_a_key_that_would_do_nothing_is_refused_by_file_stage_and_key(line, decides):
    (key, _, _), (deciding, _, choice) = line.partition(" = "), decides.partition(" = ")
    message = refused(DPO.replace('method = "full"\n', "" if deciding == "method" else 'method = "full"\n')
                      + f"{decides}\n{line}\n")  # fmt: skip
    choice = choice.replace('"', "'")
    assert message == (
        f'mine.toml, [dpo]: "{key}" is given, and does nothing while "{deciding}" is {choice}. '
        "Leave it out, or change the latter."
    )


@pytest.mark.parametrize("line", ["temperatures = [1.0, 1.2]\ntemperature = 0.9", "sweep_prompts = 8"])
def test_a_temperature_beside_a_sweep_and_the_prompts_of_none_are_refused(line):
    assert 'does nothing while "temperatures" is' in refused(REWARD_MODEL + REJECTION_SAMPLING + line + SFT)


def test_a_change_that_takes_a_keys_meaning_does_not_make_the_file_wrong():
    text = DPO + "end_share = 0.3\n"
    recipe = parse(text, "mine", changes={"dpo": {"lr_schedule": "linear"}})
    assert "end_share" not in recipe.resolved()["dpo"]
    with pytest.raises(RecipeError, match=r'mine.toml with your changes, \[dpo\]: "end_share" is given'):
        parse(text, "mine", changes={"dpo": {"lr_schedule": "linear", "end_share": 0.2}})


def test_what_was_stored_with_values_that_do_nothing_is_read():
    """Rounds of before they were refused are stored with every value."""
    stored = parse(DPO, "mine").resolved()
    stored["dpo"] |= {"lora_rank": 8, "label_smoothing": 0.0}
    assert recipes.from_dict(stored, source="a round").resolved()["dpo"] == parse(DPO, "mine").resolved()["dpo"]


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
        (SELECTED_BY_ONE + EVALUATE.replace("simulated", "reward_model") + GATE, '[evaluate]: "judges" begins with'),
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


@pytest.mark.parametrize(
    "text",
    [
        SELECTED_BY_ONE + JUDGE_MODEL + EVALUATE.replace("simulated", "reward_model") + GATE,
        SELECTED_BY_ONE + EVALUATE.replace('"simulated"', '"simulated", "reward_model"') + GATE,
        SELECTED_BY_ONE + EVALUATE.replace("simulated", "reward_model") + "[gate]\nmax_length_ratio = 1.3\n",
        REWARD_MODEL + DPO + EVALUATE.replace("simulated", "reward_model") + GATE,  # nothing was selected
    ],
)
def test_a_gate_that_does_not_rest_on_the_selector_alone_is_accepted(text):
    assert parse(text, "mine").gate


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
