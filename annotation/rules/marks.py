"""What is said of each completion beside its rank: safety, aspects, defects. Pure: no database, no request.

Kept as plain JSON by completion id, as in {"17": {"safety": "safe", "aspects": {"helpfulness": 4},
"defects": ["hallucination"]}}; only what the project asks for is there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from annotation.rules.protocol import Aspect, Defect


class Safety(StrEnum):
    """Whether a completion may be shown to anybody (Llama 2, arXiv 2307.09288, section 3.2.1)."""

    SAFE = "safe"
    UNSAFE = "unsafe"


class MarksError(ValueError):
    """A mark is missing or is none of those on offer. The message is for the annotator."""


@dataclass(frozen=True)
class Questions:
    """What is to be marked of each completion."""

    safety: bool = False
    aspects: tuple[Aspect, ...] = ()
    defects: tuple[Defect, ...] = ()

    def __bool__(self) -> bool:
        return self.safety or bool(self.aspects) or bool(self.defects)


@dataclass(frozen=True)
class Mark:
    """What was said of one completion. ``safety`` and ``aspects`` must be answered where asked, defects need not."""

    safety: Safety | None = None
    aspects: Mapping[str, int] = field(default_factory=dict)
    defects: tuple[str, ...] = ()

    def as_json(self, questions: Questions) -> dict[str, Any]:
        stored: dict[str, Any] = {}
        if questions.safety:
            stored["safety"] = self.safety and self.safety.value
        if questions.aspects:
            stored["aspects"] = dict(self.aspects)
        if questions.defects:
            stored["defects"] = list(self.defects)
        return stored


def mark_from_json(stored: Mapping[str, Any]) -> Mark:
    safety = stored.get("safety")
    return Mark(
        safety=Safety(safety) if safety else None,
        aspects=dict(stored.get("aspects") or {}),
        defects=tuple(stored.get("defects") or ()),
    )


def check_mark(mark: Mark, questions: Questions, name: str) -> None:
    """Raise MarksError unless ``mark`` answers ``questions``, all of them and nothing else. ``name``: as displayed."""
    if questions.safety and mark.safety is None:
        raise MarksError(f"{name} has no safety mark yet. Mark every completion as safe or unsafe.")
    for aspect in questions.aspects:
        if aspect.key not in mark.aspects:
            raise MarksError(f"{name} is not rated for {aspect.label} yet. Rate every completion.")
        if mark.aspects[aspect.key] not in aspect.steps:
            raise MarksError(
                f"{name} has {mark.aspects[aspect.key]} for {aspect.label}, which runs from {aspect.lowest} to "
                f"{aspect.highest}."
            )
    _check_known(mark.aspects, (aspect.key for aspect in questions.aspects), name)
    _check_known(mark.defects, (defect.key for defect in questions.defects), name)
    if mark.safety is not None and not questions.safety:
        raise MarksError("This project asks for no safety marks. Reload the page.")


def _check_known(given: Iterable[str], known: Iterable[str], name: str) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise MarksError(f'{name} is marked "{unknown[0]}", which this project does not ask. Reload the page.')
