"""Down from a version to each judgment and completion, and back from a judgment, an annotator or a prompt."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, Q, QuerySet

from annotation.datasets.export_rows import pseudonym
from annotation.models import Comparison, DatasetSnapshot, JudgeKind, Judgment
from sampling.engine.run_dir import RunDirError, read_json_lines
from sampling.models import Completion, ModelVersion, Prompt, Split
from training.lineage.graph import Graph, Source
from training.models import Stage, StageKind, StageState

ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Learned:
    """One version that learned from what was asked about; ``through`` is the version that read it, if another."""

    version: ModelVersion
    through: ModelVersion | None
    how: str
    snapshots: tuple[DatasetSnapshot, ...]


def judgments_of(sources: Iterable[Source]) -> QuerySet[Judgment]:
    """The judgments that these sources hold. A corrected one is there as it was when it was frozen."""
    conditions = Q(pk__in=[])
    for source in sources:
        condition = Q(snapshots=source.snapshot_id, comparison__prompt__split=source.split)
        conditions |= condition & Q(kind=JudgeKind.PERSON) if source.judges == "people" else condition
    return Judgment.objects.filter(pk__in=Judgment.objects.filter(conditions).order_by().values("pk")).order_by("pk")


def completions_of(judgments: QuerySet[Judgment]) -> QuerySet[Completion]:
    """What was ranked in these judgments."""
    comparisons = Comparison.objects.filter(judgments__in=judgments.order_by()).values("pk")
    return Completion.objects.filter(comparisons__in=comparisons).distinct()


def as_rows(judgments: QuerySet[Judgment]) -> Iterator[dict[str, Any]]:
    """Each judgment with what it ranked, as JSON holds it; annotators by pseudonym, as in the exports."""
    found = judgments.select_related("comparison").prefetch_related("comparison__completions")
    for judgment in found.iterator(chunk_size=ROWS_AT_ONCE):
        yield {
            "judgment": judgment.pk,
            "annotator": pseudonym(judgment.annotator_id),
            "kind": judgment.kind,
            "revision": judgment.revision,
            "at": judgment.created_at.isoformat(),
            "comparison": judgment.comparison_id,
            "prompt": judgment.comparison.prompt_id,
            "ranking": judgment.ranking,
            "strengths": judgment.strengths,
            "completions": [
                {"completion": each.pk, "model_version": each.model_version_id, "run": each.run_id}
                for each in judgment.comparison.completions.all()
            ],
        }


def learned_from_judgment(judgment: Judgment) -> list[Learned]:
    return _learned_from(Judgment.objects.filter(pk=judgment.pk))


def learned_from_annotator(annotator: AbstractBaseUser) -> list[Learned]:
    return _learned_from(Judgment.objects.filter(annotator=annotator))


def learned_from_prompt(prompt: Prompt) -> list[Learned]:
    """By its judgments, and by what a policy wrote to it and rejection sampling kept."""
    graph = Graph()
    found = _learned_from(Judgment.objects.filter(comparison__prompt=prompt), graph)
    if prompt.split == Split.TRAIN:
        found += _learned_from_kept(prompt, graph, {each.version.pk for each in found})
    return found


def _learned_from(judgments: QuerySet[Judgment], graph: Graph | None = None) -> list[Learned]:
    graph = graph or Graph()
    groups = judgments.filter(snapshots__isnull=False).order_by()
    there = list(
        groups.values_list("snapshots", "comparison__prompt__split", "kind").annotate(Count("pk")).values_list(
            "snapshots", "comparison__prompt__split", "kind"
        )
    )  # fmt: skip
    snapshots = DatasetSnapshot.objects.select_related("project").in_bulk({pk for pk, _, _ in there})
    direct: dict[int, dict[int, None]] = {}
    for pk, made in graph.made.items():
        for source in made.sources:
            if any(_is_in(source, *group) for group in there):
                direct.setdefault(pk, {})[source.snapshot_id] = None
    found = [
        Learned(graph.made[pk].version, None, _how(graph.made[pk].stage), tuple(snapshots[each] for each in ids))
        for pk, ids in direct.items()
    ]
    return found + _further(graph, list(direct))


def _is_in(source: Source, snapshot_id: int, split: str, kind: str) -> bool:
    is_counted = source.judges != "people" or kind == JudgeKind.PERSON
    return is_counted and (source.snapshot_id, source.split) == (snapshot_id, split)


def _further(graph: Graph, direct: list[int]) -> list[Learned]:
    """The versions that came of those, each told once, with the first that it came of."""
    found: dict[int, Learned] = {}
    for pk in direct:
        for child in graph.descendants(pk)[1:]:
            if child not in direct and child not in found:
                version, through = graph.made[child].version, graph.made[pk].version
                found[child] = Learned(version, through, "came of it", ())
    return list(found.values())


def _learned_from_kept(prompt: Prompt, graph: Graph, known: set[int]) -> list[Learned]:
    stages = Stage.objects.filter(kind=StageKind.REJECTION_SAMPLING, state=StageState.FINISHED).select_related("round")
    fitting = stages.filter(round__snapshot__judgments__comparison__prompt__prompt_set=prompt.prompt_set_id).distinct()
    found = []
    for stage in fitting:
        tuned = next((made for made in graph.made.values() if _is_tuned_on(made, stage)), None)
        if tuned and tuned.version.pk not in known and _is_kept(stage, prompt):
            found.append(Learned(tuned.version, None, "fine-tuned on a kept completion", ()))
    return found


def _is_tuned_on(made, stage: Stage) -> bool:
    return made.stage is not None and (made.stage.round_id, made.stage.kind) == (stage.round_id, StageKind.SFT)


def _is_kept(stage: Stage, prompt: Prompt) -> bool:
    """Whether what was written to this prompt was kept; False when the file is gone."""
    try:
        return any(row.get("prompt_id") == str(prompt.pk) for row in read_json_lines(stage.run_dir / "kept.jsonl"))
    except (RunDirError, OSError):
        return False


def _how(stage: Stage | None) -> str:
    return stage.get_kind_display() if stage else ""
