"""Down from a version to each judgment and completion, and back from a judgment, an annotator or a prompt."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import BigIntegerField, Func, Q, QuerySet

from annotation.datasets.export_rows import pseudonym
from annotation.models import DatasetSnapshot, Judgment
from sampling.engine.run_dir import RunDirError, read_json_lines
from sampling.models import Completion, ModelVersion, Prompt
from training.lineage.graph import Graph, Source
from training.models import Stage
from training.running.round_data import KINDS

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
        conditions |= condition & Q(kind__in=KINDS[source.judges])
    return Judgment.objects.filter(pk__in=Judgment.objects.filter(conditions).order_by().values("pk")).order_by("pk")


def completions_of(judgments: QuerySet[Judgment]) -> QuerySet[Completion]:
    """What was ranked in these judgments, people's edits among it."""
    ranked = judgments.order_by().annotate(completion=_Ranked("ranking")).values("completion")
    return Completion.objects.filter(pk__in=ranked)


def as_rows(judgments: QuerySet[Judgment]) -> Iterator[dict[str, Any]]:
    """Each judgment with what it ranked, as JSON holds it; annotators by pseudonym, as in the exports."""
    found = judgments.select_related("comparison").iterator(chunk_size=ROWS_AT_ONCE)
    while batch := list(islice(found, ROWS_AT_ONCE)):
        completions = Completion.objects.defer("text").in_bulk({pk for each in batch for pk in _ids(each)})
        yield from (_row(judgment, completions) for judgment in batch)


def _row(judgment: Judgment, completions: Mapping[int, Completion]) -> dict[str, Any]:
    return {
        "judgment": judgment.pk,
        "annotator": pseudonym(judgment.annotator_id),
        "kind": judgment.kind,
        "is_decision": judgment.is_decision,
        "revision": judgment.revision,
        "at": judgment.created_at.isoformat(),
        "comparison": judgment.comparison_id,
        "prompt": judgment.comparison.prompt_id,
        "ranking": judgment.ranking,
        "strengths": judgment.strengths,
        "completions": [
            {
                "completion": pk,
                "origin": completions[pk].origin,
                "model_version": completions[pk].model_version_id,
                "run": completions[pk].run_id,
                "edit_of": completions[pk].edit_of_id,
            }
            for pk in sorted(_ids(judgment))
        ],
    }


def _ids(judgment: Judgment) -> list[int]:
    return [pk for group in judgment.ranking for pk in group]


class _Ranked(Func):
    """Each completion's id in a ranking, which is a list of groups of them: a row for each."""

    template = "(jsonb_path_query(%(expressions)s, '$[*][*]'))::bigint"
    output_field = BigIntegerField()
    set_returning = True


def learned_from(judgments: QuerySet[Judgment]) -> list[Learned]:
    """By any of these."""
    graph = Graph()
    return _with_descendants(graph, _given(graph, judgments))


def learned_from_judgment(judgment: Judgment) -> list[Learned]:
    return learned_from(Judgment.objects.filter(pk=judgment.pk))


def learned_from_annotator(annotator: AbstractBaseUser) -> list[Learned]:
    return learned_from(Judgment.objects.filter(annotator=annotator))


def learned_from_prompt(prompt: Prompt) -> list[Learned]:
    """By its judgments, and by what a policy wrote to it and rejection sampling kept."""
    graph = Graph()
    direct = _given(graph, Judgment.objects.filter(comparison__prompt=prompt))
    return _with_descendants(graph, direct + _kept(graph, prompt))


def _given(graph: Graph, judgments: QuerySet[Judgment]) -> list[Learned]:
    """The versions whose own stage was given some of these judgments."""
    groups = judgments.filter(snapshots__isnull=False).order_by()
    there = set(groups.values_list("snapshots", "comparison__prompt__split", "kind").distinct())
    snapshots = DatasetSnapshot.objects.select_related("project").in_bulk({pk for pk, _, _ in there})
    found = []
    for made in graph.made.values():
        held = [source.snapshot_id for source in made.sources if any(_is_in(source, *group) for group in there)]
        if held:
            found.append(Learned(made.version, None, _how(made.stage), tuple(snapshots[pk] for pk in held)))
    return found


def _is_in(source: Source, snapshot_id: int, split: str, kind: str) -> bool:
    return kind in KINDS[source.judges] and (source.snapshot_id, source.split) == (snapshot_id, split)


def _kept(graph: Graph, prompt: Prompt) -> list[Learned]:
    """The versions that were fine-tuned on a completion of this prompt, of whichever round's."""
    tuned = [made for made in graph.made.values() if made.sampling is not None]
    return [
        Learned(made.version, None, "fine-tuned on a kept completion", ())
        for made in tuned
        if made.sampling and _is_kept(made.sampling, prompt)
    ]


def _is_kept(stage: Stage, prompt: Prompt) -> bool:
    """Whether what was written to this prompt was kept; False when the file is gone."""
    try:
        return any(row.get("prompt_id") == str(prompt.pk) for row in read_json_lines(stage.run_dir / "kept.jsonl"))
    except (RunDirError, OSError):
        return False


def _with_descendants(graph: Graph, direct: list[Learned]) -> list[Learned]:
    """These and the versions that came of them, each told once, with the first that it came of."""
    known = {learned.version.pk for learned in direct}
    further: dict[int, Learned] = {}
    for learned in direct:
        for child in graph.descendants(learned.version.pk)[1:]:
            if child not in known and child not in further:
                further[child] = Learned(graph.made[child].version, learned.version, "came of it", ())
    return direct + list(further.values())


def _how(stage: Stage | None) -> str:
    return stage.get_kind_display() if stage else ""
