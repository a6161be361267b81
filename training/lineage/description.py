"""The lineage of one version, told once: the page, the JSON and the model card all show this."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Count

from annotation.models import DatasetSnapshot
from sampling.models import ModelVersion
from training.evaluation import people
from training.lineage import judgments, repeats
from training.lineage.graph import Graph, Made, Source
from training.models import Stage

FORMAT = 1  # of the JSON; raised when a key changes its meaning


@dataclass(frozen=True)
class Given:
    """What one step learned from, with the number of judgments."""

    source: Source
    snapshot: DatasetSnapshot
    judgments: int

    @property
    def words(self) -> str:
        """ "606 judgments, train prompts" """
        whose = {"people": " by people", "people_and_imported": " by people and imported"}.get(self.source.judges, "")
        return f"{self.judgments:,} judgment{'' if self.judgments == 1 else 's'}{whose}, {self.source.split} prompts"


@dataclass(frozen=True)
class Step:
    """One version on the way, with how it was made."""

    made: Made
    origins: list[tuple[str, ModelVersion]]
    given: list[Given]

    @property
    def version(self) -> ModelVersion:
        return self.made.version

    @property
    def stage(self) -> Stage | None:
        return self.made.stage

    @property
    def not_deterministic(self) -> list[str]:
        return repeats.not_deterministic(self.made.stages)


@dataclass(frozen=True)
class Lineage:
    """A version with all that it came of, the nearest first."""

    graph: Graph
    version: ModelVersion
    steps: list[Step]

    @cached_property
    def sources(self) -> list[Source]:
        return self.graph.sources_of(self.version.pk)

    @cached_property
    def judgments(self):
        return judgments.judgments_of(self.sources)

    @cached_property
    def counts(self) -> dict[str, Any]:
        """What all of it rests on."""
        found = self.judgments.order_by()
        totals = found.aggregate(
            judgments=Count("pk"),
            annotators=Count("annotator", distinct=True),
            comparisons=Count("comparison", distinct=True),
            prompts=Count("comparison__prompt", distinct=True),
        )
        by_kind = dict(found.values_list("kind").annotate(Count("pk")).order_by("kind"))
        return totals | {"by_kind": by_kind, "completions": judgments.completions_of(found).count()}

    @cached_property
    def withdrawn(self) -> dict[str, int]:
        """How much of it is by annotators who have withdrawn their work since; empty where nothing is."""
        found = self.judgments.order_by().filter(annotator__withdrawn_work__isnull=False)
        counts = found.aggregate(judgments=Count("pk"), annotators=Count("annotator", distinct=True))
        return counts if counts["judgments"] else {}

    @cached_property
    def repeats(self) -> list[repeats.Repeat]:
        return repeats.repeats_of(self.graph, self.steps[0].made)

    @property
    def descendants(self) -> list[ModelVersion]:
        return [self.graph.made[pk].version for pk in self.graph.descendants(self.version.pk)[1:]]


def lineage_of(version: ModelVersion) -> Lineage:
    graph = Graph()
    found = [graph.made[pk] for pk in graph.ancestors(version.pk)]
    ids = {source.snapshot_id for made in found for source in made.sources}
    snapshots = DatasetSnapshot.objects.select_related("project").in_bulk(ids)
    sizes: dict[Source, int] = {}

    def given(source: Source) -> Given:
        if source not in sizes:
            sizes[source] = judgments.judgments_of([source]).count()
        return Given(source, snapshots[source.snapshot_id], sizes[source])

    steps = [
        Step(
            made=made,
            origins=[(origin.how, graph.made[origin.version_id].version) for origin in made.origins],
            given=[given(source) for source in made.sources],
        )
        for made in found
    ]
    return Lineage(graph, graph.made[version.pk].version, steps)


def as_json(lineage: Lineage) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": _version(lineage.version),
        "steps": [_step(step) for step in lineage.steps],
        "judgments": lineage.counts,
        "has_withdrawn": bool(lineage.withdrawn),
        "withdrawn": lineage.withdrawn or None,
        "people": _people(lineage),
        "repeats": [
            {"version": each.version.name, "same_weights": each.is_same, "differs": list(each.differs)}
            for each in lineage.repeats
        ],
        "came_of_it": [version.name for version in lineage.descendants],
    }


def _people(lineage: Lineage) -> list[dict[str, Any]]:
    """What people said of a round's policy in blind tests; nobody was asked of any other version."""
    round = lineage.steps[0].made.round
    return people.as_json(round) if round and round.policy_id == lineage.version.pk else []


def _version(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "role": version.role,
        "content_hash": version.content_hash,
        "location": version.location,
        "created_at": version.created_at.isoformat(),
        "published_at": version.published_at.isoformat() if version.published_at else None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "version": _version(step.version),
        "origins": [{"how": how, "version": origin.name} for how, origin in step.origins],
        "made_by": _made_by(step.stage) if step.stage else None,
        "candidates_by": _made_by(step.made.sampling) if step.made.sampling else None,
        "not_deterministic": step.not_deterministic,
        "judgments": [
            {
                "snapshot": each.snapshot.name,
                "project": each.snapshot.project.name,
                "content_hash": each.snapshot.content_hash,
                "split": each.source.split,
                "judges": each.source.judges,
                "judgments": each.judgments,
            }
            for each in step.given
        ],
        "demonstrations": _demonstrations(step.made.demonstrations),
    }


def _made_by(stage: Stage) -> dict[str, Any]:
    round = stage.round
    return {
        "round": round.name,
        "number": round.number,
        "stage": stage.kind,
        "recipe": round.recipe_name,
        "values": round.recipe.get(stage.kind, {}),
        "changes": round.changes,
        "seed": round.seed,
        "started_at": stage.started_at.isoformat() if stage.started_at else None,
        "finished_at": stage.finished_at.isoformat() if stage.finished_at else None,
        "attempts": stage.attempts,
        "provenance": stage.provenance,
        "overruled": {"reason": round.overrule_reason, "at": round.overruled_at.isoformat()}
        if round.overruled_at and round.policy_id == stage.model_version_id
        else None,
    }


def _demonstrations(found) -> dict[str, Any] | None:
    return {"name": found.name, "content_hash": found.content_hash, "rows": found.rows} if found else None
