"""Recipes: what a training round does, as a TOML file read into frozen dataclasses.

A recipe has one section a stage, in the round's order; a section that is left out is a stage that is not run. A
section may hold for some rounds of a schedule only (``rounds``), so one file can span the rounds of a campaign.
A key that is unknown, missing or impossible is a `RecipeError` that names the file, the stage and the key.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.recipe.reading import RecipeError, Section, hint, read_value
from training.recipe.sections import (
    Demonstrations,
    Dpo,
    Evaluate,
    Gate,
    Harness,
    JudgeModel,
    PairTraining,
    RejectionSampling,
    RewardModel,
    Sampling,
    Sft,
    Training,
)
from training.recipe.together import check_together

__all__ = [
    "RECIPES",
    "SECTIONS",
    "Demonstrations",
    "Dpo",
    "Evaluate",
    "Gate",
    "Harness",
    "JudgeModel",
    "PairTraining",
    "Recipe",
    "RecipeError",
    "RejectionSampling",
    "RewardModel",
    "Sampling",
    "Section",
    "Sft",
    "Training",
    "from_dict",
    "load",
    "parse",
    "read_changes",
]

RECIPES = Path(__file__).parent.parent / "recipes"

SECTIONS: dict[str, type[Section]] = {
    section.stage: section
    for section in (
        Demonstrations, RewardModel, JudgeModel, RejectionSampling, Sft, Dpo, Evaluate, Harness, Gate,
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole round, or the rounds of a whole schedule."""

    name: str
    description: str = ""
    warning: str = ""  # what whoever launches it should know
    demonstrations: Demonstrations | None = None
    reward_model: RewardModel | None = None
    judge_model: JudgeModel | None = None
    rejection_sampling: RejectionSampling | None = None
    sft: Sft | None = None
    dpo: Dpo | None = None
    evaluate: Evaluate | None = None
    harness: Harness | None = None
    gate: Gate | None = None

    @property
    def stages(self) -> list[str]:
        """The stages, in order. The gate is none: it trains and samples nothing."""
        return [stage for stage in SECTIONS if stage != Gate.stage and getattr(self, stage) is not None]

    @property
    def turning_points(self) -> list[int]:
        """The rounds that do something else than the round before, the first one first."""
        starts = {start for section in self.sections.values() for start in section.starts_and_stops}
        return sorted({1, *starts})

    @property
    def sections(self) -> dict[str, Section]:
        return {stage: section for stage in SECTIONS if (section := getattr(self, stage)) is not None}

    def of_round(self, number: int) -> "Recipe":
        """What the ``number``-th round of the schedule does, counted from 1; without a stage after its last round."""
        absent = {stage: None for stage, section in self.sections.items() if not section.is_in_round(number)}
        return dataclasses.replace(self, **absent)

    def resolved(self) -> dict[str, Any]:
        """Every value that will be used, as plain data that JSON can hold; `from_dict` reads it again."""
        said = {"name": self.name, "description": self.description, "warning": self.warning}
        return said | {stage: _used(section) for stage, section in self.sections.items()}


def load(path_or_name: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a TOML file, or one of the recipes that come with the project by its name, with ``changes`` laid over it."""
    path = Path(path_or_name)
    if not path.suffix:
        path = RECIPES / f"{path_or_name}.toml"
        if not path.is_file():
            known = sorted(each.stem for each in RECIPES.glob("*.toml"))
            raise RecipeError(
                f'There is no recipe "{path_or_name}". {hint(str(path_or_name), known)} '
                "A file of your own is given by its path, ending in .toml."
            )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    return parse(text, name=path.stem, source=path.name, changes=changes)


def parse(text: str, name: str, *, source: str | None = None, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe's TOML; `source` is what errors call it."""
    source = source or f"{name}.toml"
    written = {"name": name} | _toml(text, source)
    content, changes = dict(written), changes or {}
    if changes:
        source = f"{source} with your changes"
        for section, values in changes.items():
            is_both = isinstance(values, dict) and isinstance(content.get(section), dict)
            content[section] = content[section] | values if is_both else values
    recipe = from_dict(content, source=source)
    for stage, section in recipe.sections.items():
        section.refuse_unread(written.get(stage, ()), changes.get(stage, ()), f"{source}, [{stage}]")
    return recipe


def read_changes(text: str) -> dict[str, Any]:
    """What is to be different in a recipe, as TOML, a line each: ``dpo.beta = 0.2``. Raises `RecipeError`."""
    return _toml(text, "What you changed")


def from_dict(content: dict[str, Any], *, source: str, is_of_round: bool = False) -> Recipe:
    """Read a recipe from plain data: parsed TOML, or what `resolved` returned.

    ``is_of_round``: it is what `of_round` left of a schedule. What its stages need may be in an earlier round, and was
    looked at when the whole was read.
    """
    read: dict[str, Any] = {}
    for key, value in content.items():
        if key in ("name", "description", "warning"):
            read[key] = read_value(value, str, f'{source}: "{key}"')
        elif key in SECTIONS:
            read[key] = SECTIONS[key].parse(value, source=source)
        else:
            raise RecipeError(f'{source}: unknown section "{key}". {hint(key, SECTIONS)}')
    recipe = Recipe(**read)
    if not recipe.stages:
        raise RecipeError(f"{source} has no stage. Add a section, such as [dpo].")
    if not is_of_round:
        check_together(recipe, source)
    return recipe


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source} is not TOML: {error}.") from None


def _used(section: Section) -> dict[str, Any]:
    """As JSON gives it back, so that what was stored and what was read are equal; without what does nothing."""
    unread = section.unread()
    used = {key: value for key, value in dataclasses.asdict(section).items() if key not in unread}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in used.items()}
