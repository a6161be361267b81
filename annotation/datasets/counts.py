"""What a snapshot holds and yields, in figures that are kept with it, so that its card never changes.

Counted once, when it is frozen: what was asked of the annotators, by which guidelines, what was left out and why.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q

from annotation.datasets.choice import Choice
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison, marks_of, ranking_of
from annotation.models import (
    AssignmentPurpose,
    DatasetSnapshot,
    JudgeKind,
    Judgment,
    Project,
    ProjectReport,
    Purpose,
    WithdrawnWork,
)
from annotation.rules.consensus import tied_pairs
from sampling.models import Origin, Split

NAMES = (
    "judgments",
    "comparisons",
    "decisions",
    "overruled",
    "all_bad",
    "edits",
    "pairs_train",
    "pairs_eval",
    "ties",
    "unsafe",
    "disputed",
    "weak",
    "majority_pairs_train",
    "majority_pairs_eval",
    "majority_ties",
    "majority_conflicts",
    "majority_unsafe",
    "majority_disputed",
    "majority_weak",
)
WITHDRAWN_WORK = "withdrawn_work"  # in ``left_out``: of annotators whose work is withdrawn

_PROMPTS = """
    SELECT prompt.split, count(*)
    FROM sampling_prompt AS prompt WHERE id IN (
        SELECT comparison.prompt_id
        FROM annotation_datasetsnapshot_judgments AS member
        JOIN annotation_judgment AS judgment ON judgment.id = member.judgment_id
        JOIN annotation_comparison AS comparison ON comparison.id = judgment.comparison_id
        WHERE member.datasetsnapshot_id = %s
    ) GROUP BY prompt.split
"""


class Tally:
    """Counts what a snapshot holds and yields while its comparisons stream past."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.by_kind: Counter[str] = Counter()
        self.annotators: set[int] = set()
        self.models: set[int] = set()  # the versions that wrote
        self.marked: set[str] = set()  # "safety", "defects"
        self.aspects: set[str] = set()

    def add(self, judged: JudgedComparison) -> None:
        consensus, sums = judged.consensus(), self.sums
        sums["comparisons"] += 1
        sums["judgments"] += len(judged.judgments)
        sums["overruled"] += len(judged.judgments) - len(judged.counting)
        sums["decisions"] += judged.is_decided
        sums[f"majority_pairs_{judged.prompt.split}"] += len(consensus.pairs)
        sums["majority_ties"] += consensus.ties
        sums["majority_conflicts"] += consensus.conflicts
        sums["majority_unsafe"] += consensus.unsafe
        sums["majority_disputed"] += consensus.disputed
        sums["majority_weak"] += consensus.weak
        for completion in judged.completions.values():
            sums["edits"] += completion.origin == Origin.PERSON
            if completion.model_version_id:
                self.models.add(completion.model_version_id)
        for judgment in judged.counting:
            self._add_counting(judged, judgment)
        for judgment in judged.judgments:
            self.by_kind[judgment.kind] += 1
            self.annotators.add(judgment.annotator_id)

    def _add_counting(self, judged: JudgedComparison, judgment: FrozenJudgment) -> None:
        kept = judged.kept_pairs(judgment)
        self.sums[f"pairs_{judged.prompt.split}"] += len(kept.pairs)
        self.sums["unsafe"] += kept.unsafe
        self.sums["disputed"] += kept.disputed
        self.sums["weak"] += kept.weak
        self.sums["ties"] += len(tied_pairs(ranking_of(judgment)))
        self.sums["all_bad"] += judgment.all_bad
        for pk, mark in marks_of(judgment).items():
            self.aspects.update(mark.aspects)
            self.marked |= {"safety"} if mark.safety else set()
            self.marked |= {"defects"} if "defects" in judgment.marks[str(pk)] else set()

    def counts(self) -> dict[str, Any]:
        """As stored in ``DatasetSnapshot.counts``.

        ``pairs_*``, ``ties``, ``unsafe``, ``disputed`` and ``weak`` count each judgment's own pairs; ``majority_*`` one
        per pair of completions over all annotators, by whichever aggregation, and what their consensus dropped
        (consensus.py). ``overruled`` judgments are on record and yield nothing (frozen.py).
        """
        return {
            **self.sums,
            "annotators": len(self.annotators),
            "by_kind": {kind: self.by_kind[kind] for kind in JudgeKind.values if kind in self.by_kind},
            "marks": {
                "safety": "safety" in self.marked,
                "aspects": sorted(self.aspects),
                "defects": "defects" in self.marked,
            },
        }


def prompts_by_split(snapshot: DatasetSnapshot) -> dict[str, int]:
    """``held_out_elsewhere``: those that are train prompts by their set and were frozen as eval ones (freezing.py)."""
    with connection.cursor() as cursor:
        cursor.execute(_PROMPTS, [snapshot.pk])
        found = dict.fromkeys(Split.values, 0) | dict(cursor.fetchall())
    elsewhere = len(snapshot.settings["held_out"])
    return {
        "prompts": sum(found.values()),
        "prompts_train": found[Split.TRAIN] - elsewhere,
        "prompts_eval": found[Split.EVAL] + elsewhere,
        "held_out_elsewhere": elsewhere,
    }


def circumstances(snapshot: DatasetSnapshot, choice: Choice) -> dict[str, Any]:
    """What was asked when it was frozen, by which guidelines it was judged, what was left out, how far they agree."""
    projects = list(Project.objects.filter(pk__in=choice.project_ids).order_by("name"))
    is_of_several = len(projects) > 1
    found = {
        "project": snapshot.project.name,
        "asked": asked_by(snapshot.project if snapshot.project in projects else projects[0]),
        "guidelines": _guidelines_of(snapshot, is_of_several),
        "left_out": left_out(choice.project_ids, choice.kinds),
        "agreement": [
            each | ({"project": project.name} if is_of_several else {})
            for project in projects
            for each in _agreement_in_last_report(project, choice.kinds)
        ],
    }
    if is_of_several:
        found["projects"] = {project.name: asked_by(project) for project in projects}
    return found


def asked_by(project: Project) -> dict[str, Any]:
    """The protocol in force."""
    return {
        "preset": project.preset,
        "completions": project.completions_per_comparison,
        "ties": project.allow_ties,
        "scale": project.strength_scale,
        "safety": project.ask_safety,
        "aspects": project.aspects,
        "defects": project.defects,
        "all_bad": project.allow_all_bad,
        "edits": project.allow_edits,
        "rationale": project.rationale,
        "overlap": project.overlap,
        "overlap_percent": project.overlap_percent,
    }


def left_out(project_ids: Iterable[int], kinds: Iterable[str]) -> dict[str, int]:
    """Current judgments of these kinds that are no data, by the reason: known answers, and what was withdrawn."""
    found = (
        Judgment.objects.current().filter(comparison__project__in=list(project_ids), kind__in=list(kinds)).order_by()
    )
    is_withdrawn = ExpressionWrapper(Q(comparison__withdrawn_at__isnull=False), BooleanField())
    is_taken_back = Exists(WithdrawnWork.objects.filter(annotator=OuterRef("annotator")))
    groups = found.values_list("comparison__purpose", "assignment__purpose", is_withdrawn, is_taken_back)
    counts: Counter[str] = Counter()
    for purpose, given_as, is_out_of_use, is_their_work_withdrawn, count in groups.annotate(Count("pk")):
        if purpose != Purpose.WORK:
            counts[purpose] += count
        elif given_as not in (None, AssignmentPurpose.WORK, AssignmentPurpose.REVIEW):  # None: imported
            counts[given_as] += count
        elif is_out_of_use:
            counts["withdrawn"] += count
        elif is_their_work_withdrawn:
            counts[WITHDRAWN_WORK] += count
    return dict(sorted(counts.items()))


def _agreement_in_last_report(project: Project, kinds: Iterable[str]) -> list[dict[str, Any]]:
    """What was last computed of these kinds: it takes a worker, so it is not computed anew for a snapshot."""
    report = ProjectReport.objects.filter(project=project, computed_at__isnull=False).first()
    if report is None:
        return []
    by_kind = report.content.get("kinds", {})
    return [
        {
            "kind": kind,
            "on": report.computed_at.date().isoformat(),
            "judgments": by_kind[kind]["judgments"],
            "figures": [figure for figure in by_kind[kind]["agreement"] if figure["value"] is not None],
        }
        for kind in kinds
        if kind in by_kind
    ]


def _guidelines_of(snapshot: DatasetSnapshot, is_of_several: bool) -> list[list[Any]]:
    """[version, judgments] for each version that judgments were given by; None where none was recorded.

    Of a snapshot of several projects with the project's name behind.
    """
    names = ["guidelines_version__number", *(["comparison__project__name"] if is_of_several else [])]
    by_version = snapshot.judgments.order_by().values_list(*names).annotate(count=Count("pk"))
    rows = [[row[0], row[-1], *row[1:-1]] for row in by_version]
    return sorted(rows, key=lambda row: (*row[2:], row[0] or 0))
