"""A new project for what is imported, that asks what the file shows. Judged elsewhere is judged by another protocol.

What an import brings into a project that is there already is kept as it was given, whatever that project asks of its
own annotators: a tie where it offers none, five completions where it shows two, a level that its scale has not. All
scales share the four levels of ranking.Strength, so that nothing needs to be mapped; a project's scale says what is
offered here, and neither rejects nor bends what was said elsewhere. A project that an import made is fitted to the data
while it comes, and only ever asks for more: a later batch may hold the first tie.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from annotation import actions
from annotation.models import Project
from annotation.rules.protocol import StrengthScale
from annotation.rules.ranking import Strength
from sampling.intake.records import Record

SCALES = (StrengthScale.NONE, StrengthScale.HELPSTEER3, StrengthScale.LLAMA2)  # each has the levels of those before it


@dataclass(frozen=True)
class Shown:
    """What records show of how they were judged."""

    k: int
    ties: bool
    all_bad: bool
    safety: bool
    scale: StrengthScale

    def settings(self) -> dict[str, Any]:
        """As columns of a project."""
        return {
            "completions_per_comparison": self.k,
            "allow_ties": self.ties,
            "allow_all_bad": self.all_bad,
            "ask_safety": self.safety,
            "strength_scale": self.scale.value,
        }


def shown_by(records: Iterable[Record]) -> Shown:
    records = list(records)
    judgments = [judgment for record in records for judgment in record.judgments]
    levels = {Strength(strength) for judgment in judgments for strength in judgment.strengths}
    return Shown(
        k=max((len(record.completions) for record in records), default=2),
        ties=any(len(group) > 1 for judgment in judgments for group in judgment.groups),
        all_bad=any(judgment.all_bad for judgment in judgments),
        safety=any("safety" in mark for judgment in judgments for mark in judgment.marks.values()),
        scale=next(scale for scale in SCALES if levels <= set(scale.levels)),
    )


def make_project(name: str, shown: Shown, by: AbstractBaseUser | None) -> Project:
    return actions.create_project(name=name, created_by=by, **shown.settings())


def widen(project: Project, shown: Shown, by: AbstractBaseUser | None) -> None:
    """Let the project ask for what it did not yet, and these records show."""
    wider = Shown(
        k=max(project.completions_per_comparison, shown.k),
        ties=project.allow_ties or shown.ties,
        all_bad=project.allow_all_bad or shown.all_bad,
        safety=project.ask_safety or shown.safety,
        scale=max(project.scale, shown.scale, key=SCALES.index),
    ).settings()
    if any(getattr(project, name) != value for name, value in wider.items()):
        for name, value in wider.items():
            setattr(project, name, value)
        actions.save_settings(project=project, by=by)
