"""The figures of a whole project, as plain JSON: read its judgments, compute agreement and annotators' figures.

Rows are streamed into arrays of numbers, some 200 bytes a judgment, and no model object is made: a million judgments
fit into a worker. Kinds of judge are never mixed: each has figures of its own. What is kept where is in
``actions.reports``.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.db.models import Count, Exists, Max, OuterRef
from django.db.models.functions import Length

from annotation.figures.agreement import figures_of
from annotation.figures.annotator_figures import AnnotatorFigures, Answers, KnownAnswers, figures_by_annotator
from annotation.figures.panels import Judgments, places_of
from annotation.figures.resampling import Resampling
from annotation.figures.win_rates import UNKNOWN, win_rates
from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    Comparison,
    JudgeKind,
    Judgment,
    Project,
    Purpose,
)
from annotation.quality.annotator_warnings import warnings_of
from annotation.rules.known import known_ranking, pairs_right
from annotation.rules.protocol import MAX_COMPLETIONS
from annotation.rules.ranking import Ranking

FORMAT = 2
CHUNK = 5000  # rows fetched in one go
NOTHING = [0] * MAX_COMPLETIONS

# One current judgment of work, as it is streamed.
COLUMNS = (
    "kind", "comparison__prompt_id", "comparison_id", "annotator_id", "ranking", "assignment__display_order",
    "seconds_spent", "created_at",
)  # fmt: skip


class Rows:
    """Judgments of one kind of judge, in growing arrays."""

    def __init__(self) -> None:
        self.ids = {name: array("q") for name in ("prompts", "comparisons", "annotators", "days")}
        self.seconds = array("d")
        # Each row filled up to nine: places by id and by display (nothing where that is not known), and the ids
        # themselves, ascending.
        self.places, self.displayed, self.shown = array("b"), array("b"), array("q")

    def add(self, prompt: int, comparison: int, annotator: int, ranking, order, seconds, created_at) -> None:
        """``order``: as displayed; None where that is not known, as of what was judged elsewhere."""
        items = order if order is not None else [item for group in ranking for item in group]
        places = places_of(ranking, items)
        if places is None:
            return  # a ranking that leaves out what was shown: none is written today, and it can be placed nowhere
        empty = NOTHING[len(items) :]
        by_id = sorted(zip(items, places, strict=True))
        self.shown.extend([item for item, _ in by_id] + empty)
        self.places.extend([place for _, place in by_id] + empty)
        self.displayed.extend(NOTHING if order is None else places + empty)
        self.seconds.append(float("nan") if seconds is None else seconds)
        for name, value in zip(self.ids, (prompt, comparison, annotator, created_at.toordinal()), strict=True):
            self.ids[name].append(value)

    def answers(self, texts: "Texts") -> Answers:
        return Answers(
            judgments=self.judgments(),
            displayed=_numbers(self.displayed, np.int8).reshape(-1, MAX_COMPLETIONS),
            lengths=self._of_each(texts, "characters", 0),
            seconds=_numbers(self.seconds, np.float64),
            days=_numbers(self.ids["days"], np.int64),
        )

    def judgments(self) -> Judgments:
        columns = (_numbers(self.ids[name], np.int64) for name in ("prompts", "comparisons", "annotators"))
        return Judgments(*columns, _numbers(self.places, np.int8).reshape(-1, MAX_COMPLETIONS))

    def writers(self, texts: "Texts") -> np.ndarray:
        """(judgments, 9) of codes into the names of those who wrote."""
        return self._of_each(texts, "writer", UNKNOWN)

    def _of_each(self, texts: "Texts", column: str, nothing: int) -> np.ndarray:
        """Something of every completion that was ranked, as the places are."""
        shown = _numbers(self.shown, np.int64).reshape(-1, MAX_COMPLETIONS)
        at = np.minimum(np.searchsorted(texts.rows["id"], shown), len(texts.rows) - 1)
        return np.where(shown > 0, texts.rows[column][at], nothing)


@dataclass(frozen=True)
class Texts:
    """What is known of every completion that was judged, by ascending id: characters, and who wrote it."""

    rows: np.ndarray
    names: Sequence[str]  # ``writer`` is a place in them


def compute(project: Project) -> dict[str, Any]:
    """All figures of a project. Takes seconds for a hundred thousand judgments; call it in a worker."""
    newest = newest_judgment(project)  # before the others: what comes meanwhile makes the report an old one
    by_kind = _judgments(project)
    texts = _texts(project)
    gold = _gold(project)
    handed_out = _handed_out(project)
    kinds = {}
    for kind in JudgeKind.values:
        if kind in by_kind:
            rows = by_kind.pop(kind)
            kinds[kind] = _figures(project, kind, rows, texts, gold.get(kind, []), handed_out.get(kind, {}))
    return {"format": FORMAT, "newest": newest, "kinds": kinds}


def newest_judgment(project: Project) -> int | None:
    return Judgment.objects.filter(comparison__project=project).aggregate(newest=Max("pk"))["newest"]


def _judgments(project: Project) -> dict[str, Rows]:
    by_kind: dict[str, Rows] = defaultdict(Rows)
    given = Judgment.objects.current().of_work().by_annotators().filter(comparison__project=project)
    for kind, *row in given.order_by().values_list(*COLUMNS).iterator(chunk_size=CHUNK):
        by_kind[kind].add(*row)
    return by_kind


def _texts(project: Project) -> Texts:
    """One row at least. A model of ours and an imported writer of one name are the same writer."""
    judged = Exists(Judgment.objects.filter(comparison=OuterRef("comparison_id")))
    shown = Comparison.completions.through.objects.filter(judged, comparison__project=project)
    rows = shown.order_by("completion_id").values_list(
        "completion_id", Length("completion__text"), "completion__model_version__name", "completion__written_by_model"
    )
    codes: dict[str, int] = {}

    def code(name: str) -> int:
        return codes.setdefault(name, len(codes)) if name else UNKNOWN

    kept = np.fromiter(
        (
            (pk, characters, code(version or writer))
            for pk, characters, version, writer in rows.iterator(chunk_size=CHUNK)
        ),
        dtype=[("id", np.int64), ("characters", np.int32), ("writer", np.int32)],
    )
    return Texts(kept if len(kept) else np.zeros(1, dtype=kept.dtype), list(codes))


def _gold(project: Project) -> dict[str, list[tuple[int, int, int, int]]]:
    """By kind: annotator, comparison, pairs right, pairs."""
    found = defaultdict(list)
    given = Judgment.objects.current().by_annotators().filter(
        comparison__project=project, comparison__purpose=Purpose.GOLD, comparison__withdrawn_at__isnull=True,
        # Not what was judged as work before: the known answer may have been made from just that.
        assignment__purpose=AssignmentPurpose.GOLD,
    )  # fmt: skip
    columns = ("kind", "annotator_id", "comparison_id", "ranking", "comparison__known_ranking")
    for kind, annotator, comparison, ranking, known in given.order_by().values_list(*columns).iterator(CHUNK):
        right, pairs = pairs_right(known_ranking(known), Ranking(tuple(map(tuple, ranking))))
        found[kind].append((annotator, comparison, right, pairs))
    return found


def _handed_out(project: Project) -> dict[str, dict[str, Counter]]:
    """By kind and state (submitted, skipped): how much work each annotator had."""
    kind_of = dict(project.memberships.values_list("user_id", "kind"))
    counts: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    ended = Assignment.objects.filter(
        comparison__project=project,
        purpose=AssignmentPurpose.WORK,
        state__in=[AssignmentState.SUBMITTED, AssignmentState.SKIPPED],
    )
    for annotator, state, count in ended.values_list("annotator_id", "state").annotate(Count("pk")).order_by():
        counts[kind_of.get(annotator, JudgeKind.PERSON)][state][annotator] += count
    return counts


def _figures(
    project: Project, kind: str, rows: Rows, texts: Texts, gold, handed_out: Mapping[str, Counter]
) -> dict[str, Any]:
    answers = rows.answers(texts)
    judgments = answers.judgments
    resampling = Resampling(judgments.prompts)
    _, judges = np.unique(judgments.comparisons, return_counts=True)
    known = KnownAnswers(*np.array(gold, dtype=np.int64).reshape(-1, 4).T)
    by_annotator = figures_by_annotator(
        answers,
        resampling,
        gold=known,
        submitted=handed_out.get(AssignmentState.SUBMITTED, {}),
        skipped=handed_out.get(AssignmentState.SKIPPED, {}),
    )
    return {
        "judgments": len(judgments),
        "comparisons": len(judges),
        "judged_twice": int((judges > 1).sum()),
        "prompts": len(resampling.ids),
        "annotators": len(np.unique(judgments.annotators)),
        "agreement": [asdict(figure) for figure in figures_of(judgments, resampling)],
        "win_rates": asdict(win_rates(judgments, rows.writers(texts), texts.names, resampling)),
        "by_annotator": [_as_json(project, kind, figures) for figures in by_annotator],
    }


def _as_json(project: Project, kind: str, figures: AnnotatorFigures) -> dict[str, Any]:
    threshold = project.qualification_percent / 100
    concerns = warnings_of(figures, gold_threshold=threshold, is_person=kind == JudgeKind.PERSON)
    return asdict(figures) | {"warnings": [asdict(concern) for concern in concerns]}


def _numbers(values: array, dtype: type) -> np.ndarray:
    return np.frombuffer(values, dtype=dtype) if len(values) else np.empty(0, dtype=dtype)
