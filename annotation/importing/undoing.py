"""Take an import of judgments out again: all that it added, or nothing, where something was made of it since.

Inside the caller's transaction. The rows are many, so each kind goes in one statement; foreign keys are checked when
the transaction ends, and where somebody freezes a snapshot of these judgments meanwhile, one of the two fails.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation import actions
from annotation.importing.annotators import remove_unused
from annotation.models import (
    Assignment,
    Comparison,
    DatasetSnapshot,
    Flag,
    Judgment,
    Project,
    ProjectReport,
    Purpose,
    Slot,
)
from annotation.queue import overlap
from sampling.importing import undoing
from sampling.importing.handing_over import give, hand_over
from sampling.importing.stores import CannotUndo
from sampling.models import DataImport

NAMED = 3  # of what stands in the way, as many by name


def take_out_judgments(data_import: DataImport, chosen: Mapping[str, Any], go_on: Callable[[str], object]) -> None:
    """``chosen``: the store's options. Raises CannotUndo, which names what was made of the import."""
    projects = _locked_projects(data_import)
    go_on("looking for what was made of it")
    if reasons := list(_in_the_way(data_import)):
        raise CannotUndo(" ".join(reasons))
    go_on("handing over what other imports need")
    hand_over(Comparison, data_import)
    give(Judgment.objects.filter(data_import=data_import), [_revisions_of_others(data_import)])
    judgments = Judgment.objects.filter(data_import=data_import)
    annotators = list(judgments.order_by().values_list("annotator_id", flat=True).distinct())
    go_on("taking out judgments")
    judgments._raw_delete(judgments.db)
    go_on("taking out comparisons")
    comparisons = Comparison.objects.filter(data_import=data_import)
    of_these = {"comparison__in": comparisons.order_by().values("pk")}
    for rows in (
        Slot.objects.filter(**of_these),
        Comparison.completions.through.objects.filter(**of_these),
        comparisons,
    ):
        rows._raw_delete(rows.db)
    undoing.take_out_completions(data_import, go_on)
    undoing.take_out_prompts(data_import, go_on)
    remove_unused(annotators)
    for project in projects:
        if not (project.pk == chosen.get("made_project") and _is_as_made(project)):
            _forget_figures(project)
        else:
            project.delete()


def _revisions_of_others(data_import: DataImport) -> QuerySet:
    """Of each judgment, the import that revised it. It is refused where undoing that one first is a way out."""
    revisions = Judgment.objects.filter(supersedes=OuterRef("pk"), data_import__isnull=False)
    return revisions.exclude(data_import=data_import).order_by("pk").values("data_import")


def _locked_projects(data_import: DataImport) -> list[Project]:
    """Where it went: one, or several where what it was told has changed. Nobody opens comparisons there meanwhile."""
    brought = (Comparison.objects.filter(data_import=data_import), Judgment.objects.filter(data_import=data_import))
    ids = set(brought[0].order_by().values_list("project_id", flat=True).distinct())
    ids |= set(brought[1].order_by().values_list("comparison__project_id", flat=True).distinct())
    projects = list(Project.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"))
    for project in projects:
        overlap.one_change_at_a_time(project.pk)
    return projects


def _in_the_way(data_import: DataImport) -> Iterator[str]:
    judgments = Judgment.objects.filter(data_import=data_import)
    holding = DatasetSnapshot.judgments.through.objects.filter(
        datasetsnapshot=OuterRef("pk"), judgment__data_import=data_import
    )
    if snapshots := _some(DatasetSnapshot.objects.filter(Exists(holding)).values_list("name", flat=True)):
        yield f"Snapshots hold its judgments ({snapshots}): what is frozen stays as it is."
    # Where each of two has revised the other, neither could go first: what the other's revisions need is handed over.
    revised = judgments.filter(supersedes__data_import__isnull=False).order_by().values("supersedes__data_import")
    later = Judgment.objects.filter(supersedes__in=judgments.order_by()).exclude(data_import=data_import)
    later = later.exclude(data_import__in=revised)
    if imports := _some(later.order_by("data_import__name").values_list("data_import__name", flat=True).distinct()):
        yield f"Later imports hold revisions of its judgments ({imports}). Undo those first."
    comparisons = Comparison.objects.filter(data_import=data_import)
    ours = Judgment.objects.filter(comparison=OuterRef("pk")).exclude(data_import=data_import)
    if decided := _some(comparisons.filter(Exists(ours.filter(is_decision=True))).values_list("pk", flat=True)):
        yield f"Reviewers have decided comparisons of it ({decided})."
    here = ours.filter(is_decision=False, data_import__isnull=True)
    if judged := _some(comparisons.filter(Exists(here)).values_list("pk", flat=True)):
        yield f"Annotators have judged comparisons of it here ({judged})."
    comparisons = comparisons.filter(~Exists(ours))  # those of other imports are handed over to these
    handed_out = Exists(Assignment.objects.filter(comparison=OuterRef("pk")))
    flagged = Exists(Flag.objects.filter(comparison=OuterRef("pk")))
    at_work = comparisons.filter(handed_out | flagged)
    if given := _some(at_work.values_list("pk", flat=True)):
        yield f"Comparisons of it were handed out to annotators, or flagged ({given})."
    if known := _some(comparisons.filter(~Q(purpose=Purpose.WORK)).values_list("pk", flat=True)):
        yield f"Comparisons of it have a known answer ({known}). Turn them back to work first."


def _some(values: QuerySet) -> str:
    """The first few by name; empty where there is none."""
    first = list(values[: NAMED + 1])
    return ", ".join(map(str, first[:NAMED])) + (" and more" if len(first) > NAMED else "")


def _is_as_made(project: Project) -> bool:
    """Whether nothing but this import was ever in the project that it made."""
    others = (
        project.comparisons.exists(), project.snapshots.exists(), project.freezes.exists(),
        project.guidelines_versions.exists(), project.invitations.exists(),
        project.memberships.exclude(user=project.created_by_id).exists(),
    )  # fmt: skip
    return not any(others)


def _forget_figures(project: Project) -> None:
    """New figures are asked for by newer judgments, and there are none: so they are asked for here."""
    if ProjectReport.objects.filter(project=project).exists():
        transaction.on_commit(lambda: actions.request_report(project=project), robust=True)
