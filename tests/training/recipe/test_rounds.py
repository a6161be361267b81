"""Recipes that span the rounds of a schedule."""

import json

import pytest

from tests.training.recipe.test_recipe import DPO, EVALUATE, GATE, REJECTION_SAMPLING, REWARD_MODEL, SFT, refused
from training import recipe as recipes
from training.recipe import parse


def only(text: str, rounds: str) -> str:
    """The section for these rounds alone."""
    return text + f'rounds = "{rounds}"\n'


def stages(text: str, *numbers: int) -> list[list[str]]:
    recipe = parse(text, "mine")
    return [recipe.of_round(number).stages for number in numbers]


def test_a_section_holds_in_its_rounds_alone():
    text = only(DPO, "2-3") + only(REWARD_MODEL, "1") + EVALUATE + 'rounds = "2-3"\n'
    assert stages(text, 1, 2, 3, 4) == [["reward_model"], ["dpo", "evaluate"], ["dpo", "evaluate"], []]
    assert parse(text, "mine").turning_points == [1, 2, 4]


def test_a_section_may_hold_from_some_round_on():
    assert stages(REWARD_MODEL + only(DPO, "5-"), 1, 4, 5, 60) == [
        ["reward_model"], ["reward_model"], ["reward_model", "dpo"], ["reward_model", "dpo"],
    ]  # fmt: skip


def test_a_recipe_without_rounds_does_the_same_in_every_one():
    assert parse(DPO + EVALUATE, "mine").turning_points == [1]
    assert stages(DPO + EVALUATE, 1, 7) == [["dpo", "evaluate"]] * 2


def test_a_reward_model_of_an_earlier_round_is_enough_for_rejection_sampling():
    text = only(REWARD_MODEL, "1") + REJECTION_SAMPLING + SFT
    assert stages(text, 2) == [["rejection_sampling", "sft"]]


def test_a_reward_model_of_a_later_round_is_not():
    message = refused(only(REWARD_MODEL, "2-") + REJECTION_SAMPLING + SFT)
    assert message.startswith("mine.toml, round 1, [rejection_sampling] needs [reward_model]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REWARD_MODEL + REJECTION_SAMPLING + only(SFT, "1-4"), "mine.toml, round 5, [rejection_sampling] needs [sft]"),
        (only(DPO, "5-") + EVALUATE, "mine.toml, round 1, [evaluate] needs"),
        (DPO + EVALUATE + 'rounds = "1"\n' + GATE, "mine.toml, round 2, [gate] needs [evaluate]"),
        (
            DPO + EVALUATE + '[harness]\nrounds = "1-2"\n[gate]\nmax_perplexity_ratio = 1.1\n',
            'mine.toml, round 3, [gate]: "max_perplexity_ratio" is asked, and only [harness] measures it',
        ),
    ],
)
def test_what_is_impossible_in_some_round_is_refused_with_that_round(text, words):
    assert refused(text).startswith(words)


def test_what_a_round_keeps_of_a_schedule_reads_back_the_same():
    later = parse(only(REWARD_MODEL, "1") + REJECTION_SAMPLING + SFT, "mine").of_round(2)
    stored = json.loads(json.dumps(later.resolved()))
    assert recipes.from_dict(stored, source="a round", is_of_round=True) == later


def test_changes_are_laid_over_a_section_key_by_key():
    recipe = parse(DPO, "mine", changes=recipes.read_changes("dpo.beta = 0.3\nevaluate.max_tokens = 8\n"
                                                             'evaluate.judges = ["simulated"]\n'))  # fmt: skip
    assert (recipe.dpo.beta, recipe.dpo.epochs) == (0.3, 2)
    assert recipe.stages == ["dpo", "evaluate"]


def test_a_change_that_cannot_be_says_that_it_is_one():
    with pytest.raises(recipes.RecipeError, match=r"mine.toml with your changes, \[dpo\]: unknown key"):
        parse(DPO, "mine", changes={"dpo": {"betta": 1}})
