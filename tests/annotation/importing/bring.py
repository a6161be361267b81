"""Bring records in through the store alone, batch by batch, as an import's worker does."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import transaction

from annotation.importing.judgments import JudgmentStore
from annotation.models import Project
from sampling.importing.options import Options
from sampling.importing.stores import Numbered, Stored
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.models import DataImport, PromptSet

QUESTION = "Which is the largest city of Sweden?"


def an_import(project: Project | None = None, name: str = "judged.jsonl", **store) -> DataImport:
    prompt_set, _ = PromptSet.objects.get_or_create(name="Elsewhere")
    chosen = {"project": project.slug if project else "", "new_project": "", "unnamed_are_one": True} | store
    return DataImport.objects.create(
        what="judgments", prompt_set=prompt_set, name=name, location=name,
        options=Options(format="mapped", store=chosen).as_json(),
    )  # fmt: skip


def record(*judgments: FoundJudgment, texts=("Stockholm.", "Gothenburg."), question: str = QUESTION, **more) -> Record:
    """``texts``: each a text, or a text and its writer."""
    completions = [FoundCompletion(text) if isinstance(text, str) else FoundCompletion(*text) for text in texts]
    messages = ({"role": "user", "content": question},)
    return Record(messages=messages, completions=tuple(completions), judgments=judgments, **more)


def prefers(*groups: Sequence[int] | int, annotator: str = "", day: int = 0, **more) -> FoundJudgment:
    """Best first; ``day`` of June 2024 at which it was given, 0 where that is not said."""
    ranked = tuple((group,) if isinstance(group, int) else tuple(group) for group in groups)
    at = datetime(2024, 6, day, 12, tzinfo=UTC) if day else None
    return FoundJudgment(groups=ranked, annotator=annotator, at=at, **({"by": JudgedBy.PERSON} | more))


def bring(data_import: DataImport, records: Sequence[Record], *, at_once: int = 500) -> Stored:
    """All of what came of it. Each record is a line of its own."""
    store, total = JudgmentStore(data_import), Stored()
    numbered = []
    for line, each in enumerate(records, start=1):
        if problem := store.problem_of(each):
            total.rejected[line] = problem
        else:
            numbered.append(Numbered(line, each))
    for start in range(0, len(numbered), at_once):
        with transaction.atomic():
            stored = store.store(numbered[start : start + at_once])
        for name in ("prompts", "completions", "comparisons", "judgments", "known"):
            setattr(total, name, getattr(total, name) + getattr(stored, name))
        total.rejected |= stored.rejected
    return total


def take_out(data_import: DataImport) -> None:
    with transaction.atomic():
        JudgmentStore(data_import).undo(lambda phase: None)
