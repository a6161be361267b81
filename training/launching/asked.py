"""What somebody wants to launch, before it is known whether that can be. Looks things up; refuses nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from annotation.models import DatasetSnapshot
from sampling.models import ModelVersion
from training import recipe as recipes
from training.models import DemonstrationSet, TrainingRound

# In place of a recipe's name: there is no file, and the changes say everything.
BLANK = "blank"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A round's inputs without its name and its seed, on which no check depends."""

    base_policy: ModelVersion
    snapshot: DatasetSnapshot
    recipe: str  # the name of one in training/recipes, a TOML file's path, or BLANK
    changes: Mapping[str, Any] = field(default_factory=dict)  # laid over the recipe, by section
    previous: TrainingRound | None = None
    demonstrations: DemonstrationSet | None = None

    @property
    def number(self) -> int:
        """Which round of its schedule it would be, from 1."""
        return self.previous.number + 1 if self.previous else 1

    @property
    def earlier(self) -> list[TrainingRound]:
        return [*self.previous.earlier(), self.previous] if self.previous else []


def schedule_named(name: str, changes: Mapping[str, Any] | None = None) -> recipes.Recipe:
    """The recipe with all that it says of every round; raises RecipeError."""
    if name == BLANK:
        return recipes.parse("", BLANK, source="Your recipe", changes=changes)
    return recipes.load(name, changes)
