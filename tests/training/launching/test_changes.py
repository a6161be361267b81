"""What differs between recipes, and how that is written."""

import pytest

from training import recipe as recipes
from training.launching import changes
from training.launching.asked import BLANK, schedule_named

HERE = {"name": "demo", "warning": "", "dpo": {"beta": 0.1, "loss": "sigmoid", "judges": ["a"]}, "gate": {"low": None}}


def test_what_is_alike_is_no_change():
    assert changes.between(HERE, HERE | {"name": "other", "description": "words"}) == {}


def test_a_value_and_a_section_that_differ_are_changes():
    wanted = HERE | {"dpo": HERE["dpo"] | {"beta": 0.2}, "sft": {"epochs": 1.0, "text": None}, "gate": {"low": 0.5}}
    assert changes.between(HERE, wanted) == {"dpo": {"beta": 0.2}, "sft": {"epochs": 1.0}, "gate": {"low": 0.5}}


def test_a_section_that_went_and_a_value_that_was_taken_away_cannot_be_laid_over():
    assert changes.between(HERE, {"name": "demo", "dpo": HERE["dpo"]}) is None
    assert changes.between(HERE | {"gate": {"low": 0.5}}, HERE) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2, "a.b = 0.2"),
        (5e-7, "a.b = 5e-07"),
        (2.0, "a.b = 2.0"),
        (3, "a.b = 3"),
        (True, "a.b = true"),
        ('"quoted"\nline \\ é \x7f', 'a.b = "\\"quoted\\"\\nline \\\\ é \\u007f"'),
        (["x", "y"], 'a.b = ["x", "y"]'),
        ([], "a.b = []"),
    ],
)
def test_a_change_is_a_line_of_toml_that_reads_as_itself(value, text):
    assert changes.as_text({"a": {"b": value}}) == text
    assert recipes.read_changes(text) == {"a": {"b": value}}


@pytest.mark.parametrize("name", sorted(path.stem for path in recipes.RECIPES.glob("*.toml")))
def test_every_recipe_can_be_told_without_its_file(name):
    wanted = recipes.load(name).resolved()
    text = changes.as_text(changes.whole(wanted))
    assert schedule_named(BLANK, recipes.read_changes(text)).resolved() == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sft.epochs = 2\ndpo.betta = x", ["line 2", 'Line 2: text needs quotes, dpo.betta = "x".', 'mean "beta"']),
        ("dop.beta = x", ['There is no section "dop". Did you mean "dpo"?']),
        ("dpo.beta 0.2", ["Line 1 is 'dpo.beta 0.2'; write SECTION.KEY = VALUE"]),
        ("dpo.beta =", ["not TOML"]),
    ],
)
def test_a_line_that_is_no_toml_is_told_with_all_that_is_wrong(text, told):
    with pytest.raises(recipes.RecipeError) as refused:
        changes.read(text)
    for words in told:
        assert words in str(refused.value)


def test_a_blank_recipe_without_a_word_says_what_to_do():
    with pytest.raises(recipes.RecipeError, match="has no stage"):
        schedule_named(BLANK)
