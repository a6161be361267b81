"""The same stage run again: whether it made the same weights, and if not, what of it does not repeat itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from annotation.models import DatasetSnapshot
from sampling.models import ModelVersion
from training.lineage.graph import Graph, Made
from training.models import Stage, StageKind


@dataclass(frozen=True)
class Repeat:
    """Another version that was made from the same judgments, recipe and seed, of the same starting weights."""

    version: ModelVersion
    is_same: bool
    differs: tuple[str, ...]  # what of the circumstances was not the same: "torch 2.13.0, here 2.14.0"


def repeats_of(graph: Graph, made: Made) -> list[Repeat]:
    if made.stage is None or not made.version.content_hash:
        return []
    alike = [
        other
        for other in graph.made.values()
        if other.stage and other is not made and other.stage.kind == made.stage.kind
    ]
    hashes = _hashes_of_snapshots([made, *alike])
    asked = _asked(graph, made, hashes)
    if asked is None:
        return []
    return [
        Repeat(
            version=other.version,
            is_same=other.version.content_hash == made.version.content_hash,
            differs=tuple(_differences(made.stages, other.stages)),
        )
        for other in alike
        if _asked(graph, other, hashes) == asked
    ]


def not_deterministic(stages: Iterable[Stage]) -> list[str]:
    """What of these stages need not come out the same a second time, in sentences; empty when all of it does."""
    said = (words for stage in stages for words in (stage.provenance or {}).get("not_deterministic", []))
    return list(dict.fromkeys(said))


def _hashes_of_snapshots(versions: Iterable[Made]) -> dict[int, str]:
    ids = {source.snapshot_id for made in versions for source in made.sources}
    return dict(DatasetSnapshot.objects.filter(pk__in=ids).values_list("pk", "content_hash"))


def _asked(graph: Graph, made: Made, hashes: Mapping[int, str]) -> list[Any] | None:
    """All that should decide the weights, by content; None where some of it has no hash, as a hub's model has none."""
    origins = [(origin.how, graph.made[origin.version_id].version.content_hash) for origin in made.origins]
    if made.stage is None or not all(content for _, content in origins):
        return None
    round = made.stage.round
    shown = round.demonstrations if made.stage.kind == StageKind.DEMONSTRATIONS else None
    return [
        round.seed,
        [round.recipe.get(stage.kind) for stage in made.stages],
        origins,
        [(hashes.get(source.snapshot_id), source.split, source.judges) for source in made.sources],
        # What rejection sampling wrote to are the prompts of the round's snapshot.
        round.snapshot.content_hash if made.sampling else "",
        shown.content_hash if shown else "",
    ]


def _differences(here: list[Stage], there: list[Stage]) -> Iterator[str]:
    for mine, theirs in zip(here, there, strict=True):
        yield from _differing(mine.provenance or {}, theirs.provenance or {})


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    libraries, theirs = here.get("libraries", {}), there.get("libraries", {})
    told = [
        f"{name} {theirs.get(name, 'absent')}, here {libraries.get(name, 'absent')}"
        for name in sorted(libraries.keys() | theirs.keys())
        if libraries.get(name) != theirs.get(name)
    ]
    circumstances = {"hardware": "other hardware", "threads": "another number of threads", "code": "other code"}
    return told + [words for key, words in circumstances.items() if here.get(key) != there.get(key)]
