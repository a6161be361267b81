"""What a snapshot holds and yields, in figures that are kept with it, so that its card never changes.

Counted once, when it is frozen: what was asked of the annotators, by which guidelines, what was left out and why.
"""

from collections import Counter
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Q

from annotation.datasets.frozen import JudgedComparison, marks_of, ranking_of
from annotation.models import AssignmentPurpose, DatasetSnapshot, JudgeKind, Judgment, Project, ProjectReport, Purpose
from annotation.rules.consensus import tied_pairs
from sampling.models import Origin

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
    "majority_pairs_train",
    "majority_pairs_eval",
    "majority_ties",
    "majority_conflicts",
    "majority_unsafe",
)


class Tally:
    """Counts what a snapshot holds and yields while its comparisons stream past."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.annotators: set[int] = set()
        self.prompts: set[int] = set()
        self.marked: set[str] = set()  # "safety", "defects"
        self.aspects: set[str] = set()

    def add(self, judged: JudgedComparison) -> None:
        split = judged.prompt.split
        consensus = judged.consensus()
        self.sums += Counter(
            {
                "comparisons": 1,
                "judgments": len(judged.judgments),
                "overruled": len(judged.judgments) - len(judged.counting),
                "decisions": int(judged.is_decided),
                "edits": sum(completion.origin == Origin.PERSON for completion in judged.completions.values()),
                f"majority_pairs_{split}": len(consensus.pairs),
                "majority_ties": consensus.ties,
                "majority_conflicts": consensus.conflicts,
                "majority_unsafe": consensus.unsafe,
            }
        )
        for judgment in judged.counting:
            self._add_counting(judged, judgment)
        self.by_kind.update(judgment.kind for judgment in judged.judgments)
        self.annotators.update(judgment.annotator_id for judgment in judged.judgments)
        self.prompts.add(judged.prompt.pk)

    def _add_counting(self, judged: JudgedComparison, judgment: Judgment) -> None:
        pairs, unsafe = judged.pairs_by(judgment)
        self.sums[f"pairs_{judged.prompt.split}"] += len(pairs)
        self.sums["unsafe"] += unsafe
        self.sums["ties"] += len(tied_pairs(ranking_of(judgment)))
        self.sums["all_bad"] += judgment.all_bad
        for pk, mark in marks_of(judgment).items():
            self.aspects.update(mark.aspects)
            self.marked |= {"safety"} if mark.safety else set()
            self.marked |= {"defects"} if "defects" in judgment.marks[str(pk)] else set()

    def counts(self) -> dict[str, Any]:
        """As stored in ``DatasetSnapshot.counts``.

        ``pairs_*``, ``ties`` and ``unsafe`` count each judgment's own pairs; ``majority_*`` one per pair of
        completions over all annotators, and what their consensus dropped (consensus.py). ``overruled`` judgments
        are on record and yield nothing (frozen.py).
        """
        return {
            **{name: self.sums[name] for name in NAMES},
            "annotators": len(self.annotators),
            "prompts": len(self.prompts),
            "by_kind": {kind: self.by_kind[kind] for kind in JudgeKind.values if kind in self.by_kind},
            "marks": {
                "safety": "safety" in self.marked,
                "aspects": sorted(self.aspects),
                "defects": "defects" in self.marked,
            },
        }


def circumstances(snapshot: DatasetSnapshot) -> dict[str, Any]:
    """What was asked when it was frozen, by which guidelines it was judged, what was left out, how far they agree."""
    return {
        "asked": asked_by(snapshot.project),
        "guidelines": _guidelines_of(snapshot),
        "left_out": left_out(snapshot.project, snapshot.kinds),
        "agreement": _agreement_in_last_report(snapshot.project, snapshot.kinds),
    }


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


def left_out(project: Project, kinds: list[str]) -> dict[str, int]:
    """Current judgments of these kinds that are no data, by the reason: known answers, and what was withdrawn."""
    found = Judgment.objects.current().filter(comparison__project=project, kind__in=kinds).order_by()
    is_withdrawn = ExpressionWrapper(Q(comparison__withdrawn_at__isnull=False), BooleanField())
    groups = found.values_list("comparison__purpose", "assignment__purpose", is_withdrawn)
    counts: Counter[str] = Counter()
    for purpose, given_as, is_out_of_use, count in groups.annotate(Count("pk")):
        if purpose != Purpose.WORK:
            counts[purpose] += count
        elif given_as not in (AssignmentPurpose.WORK, AssignmentPurpose.REVIEW):
            counts[given_as] += count
        elif is_out_of_use:
            counts["withdrawn"] += count
    return dict(sorted(counts.items()))


def _agreement_in_last_report(project: Project, kinds: list[str]) -> list[dict[str, Any]]:
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


def _guidelines_of(snapshot: DatasetSnapshot) -> list[list[int | None]]:
    """[version, judgments] for each version that judgments were given by; None where none was recorded."""
    by_version = snapshot.judgments.order_by().values_list("guidelines_version__number").annotate(Count("pk"))
    return sorted(map(list, by_version), key=lambda row: row[0] or 0)
