"""What the check asks of the machine for the last stages of a round: better now than after hours of training.

The libraries are imported only for a recipe that needs them: they take longer than all the rest of the check.
"""

from collections.abc import Iterator

from sampling.engine.run_dir import RunDirError
from training.pipeline.checked_stages import Found
from training.recipe import Recipe, Training


def look_for(recipe: Recipe, found: Found) -> None:
    """Say in ``found`` which harness task, text or library is not there."""
    for problem in _problems(recipe):
        found.problem("recipe", problem)


def _problems(recipe: Recipe) -> Iterator[str]:
    if recipe.harness:
        from training.pipeline import harness

        try:
            harness.check(recipe.harness)
        except RunDirError as error:
            yield str(error)
    if any(isinstance(each, Training) and each.method == "qlora" for each in recipe.sections.values()):
        from training.pipeline import quantised

        try:
            quantised.check_bitsandbytes()
        except RunDirError as error:
            yield str(error)
