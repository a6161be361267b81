"""Which sections of a recipe are impossible together, in any round of the schedule that it spans."""

from typing import TYPE_CHECKING, Any

from training.recipe.reading import RecipeError

if TYPE_CHECKING:
    from training.recipe import Recipe

POLICIES = ("demonstrations", "sft", "dpo")  # the stages that make a new policy

# Each line: a stage, what it needs one of in the same round, and why.
NEEDS = (
    ("rejection_sampling", ("sft",), "it trains on what is kept"),
    ("sft", ("rejection_sampling",), "it writes the rows to train on"),
    ("evaluate", POLICIES, "there is no new policy to compare without one"),
    ("harness", POLICIES, "there is no new policy to measure without one"),
    ("judge_model", ("evaluate",), "it judges there and does nothing else"),
    ("gate", ("evaluate",), "it measures what the gate asks for"),
)
# The same, where one of an earlier round will do.
NEEDS_ONCE = (("rejection_sampling", ("reward_model",), "it scores the candidates"),)
# A condition of the gate, and the section that measures it.
MEASURED_BY = {"max_perplexity_ratio": "harness", "max_task_drop": "harness"}
# What rests on the first judge's word.
WIN_RATES = ("min_win_rate_low", "min_win_rate", "min_length_controlled_win_rate")


def check_together(recipe: "Recipe", source: str) -> None:
    """Refuse what is impossible in some round of the schedule. Raises `RecipeError`.

    Between two turning points every round has the same stages, so these are all that there is to look at.
    """
    known: set[str] = set()  # the sections that an earlier round or this one has
    for number in recipe.turning_points:
        of_round = recipe.of_round(number)
        known |= of_round.sections.keys()
        if of_round.stages:  # else the schedule has ended
            where = source if recipe.turning_points == [1] else f"{source}, round {number}"
            _check_round(of_round.sections, known, where)


def _check_round(sections: dict[str, Any], known: set[str], where: str) -> None:
    for needs, there in ((NEEDS, set(sections)), (NEEDS_ONCE, known)):
        for stage, needed, why in needs:
            if stage in sections and not there.intersection(needed):
                others = " or ".join(f"[{other}]" for other in needed)
                raise RecipeError(f"{where}, [{stage}] needs {others}: {why}. Add the section or leave this one out.")
    gate, evaluate = sections.get("gate"), sections.get("evaluate")
    for condition, section in MEASURED_BY.items():
        if gate and getattr(gate, condition) is not None and section not in sections:
            raise RecipeError(
                f'{where}, [gate]: "{condition}" is asked, and only [{section}] measures it. '
                "Add the section or leave the condition out."
            )
    if gate and gate.max_task_drop is not None and not sections["harness"].tasks:
        raise RecipeError(
            f'{where}, [gate]: "max_task_drop" is asked, and "tasks" of [harness] is empty. Name some, such as '
            '"everyday", or leave the condition out.'
        )
    if evaluate and "reward_model" in evaluate.judges and not known & {"reward_model", "judge_model"}:
        raise RecipeError(
            f'{where}, [evaluate]: "judges" has "reward_model", but no [reward_model] is trained. '
            'Add the section or choose "simulated".'
        )
    if gate and evaluate and _only_the_selector_speaks(sections):
        raise RecipeError(
            f'{where}, [evaluate]: "judges" begins with "reward_model", which also selects what the policy learns '
            "from, and [gate] asks for win rates, which that one cannot decide. Add [judge_model], or put another "
            'judge first, such as "simulated".'
        )


def _only_the_selector_speaks(sections: dict[str, Any]) -> bool:
    """Whether the gate asks a first judge for win rates which is the model that selected, for there is no other."""
    is_selected = "rejection_sampling" in sections and "judge_model" not in sections
    asks = any(getattr(sections["gate"], condition) is not None for condition in WIN_RATES)
    return asks and is_selected and sections["evaluate"].judges[0] == "reward_model"
