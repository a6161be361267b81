"""What every model version came of: the versions before it, and the judgments and demonstrations it learned from.

Read from the rows of rounds and stages alone, so that it holds although run directories were deleted. A round says
which snapshots its stages read, whose judgments in them count, and of which split.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sampling.models import ModelVersion, Split
from training.models import Stage, StageKind, StageState, TrainingRound


@dataclass(frozen=True)
class Source:
    """Judgments that a stage was given: those of a snapshot on prompts of one split, by people or by others too."""

    snapshot_id: int
    split: str
    judges: str  # as the recipe says: a key of round_data.KINDS


@dataclass(frozen=True)
class Origin:
    """One version that another came of, and how."""

    version_id: int
    how: str


@dataclass
class Made:
    """How one version was made. An imported one has neither stage nor origins."""

    version: ModelVersion
    stage: Stage | None = None
    sampling: Stage | None = None  # what kept the completions that it was fine-tuned on
    origins: list[Origin] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    @property
    def stages(self) -> list[Stage]:
        """Whose values, seeds and circumstances decided the weights."""
        return [stage for stage in (self.stage, self.sampling) if stage is not None]

    @property
    def round(self) -> TrainingRound | None:
        return self.stage.round if self.stage else None

    @property
    def demonstrations(self):
        is_it = self.stage is not None and self.stage.kind == StageKind.DEMONSTRATIONS
        return self.stage.round.demonstrations if is_it else None


class Graph:
    """All versions. They are hundreds, so that they are read at once: four queries."""

    def __init__(self) -> None:
        stages = (
            Stage.objects.filter(state=StageState.FINISHED)
            .select_related("round__snapshot__project", "round__demonstrations", "round__base_policy")
            .order_by("round_id", "position")
        )
        self._stages: dict[tuple[int, str], Stage] = {(stage.round_id, stage.kind): stage for stage in stages}
        self._rounds = {round.pk: round for round in TrainingRound.objects.select_related("snapshot")}
        self.made = {version.pk: Made(version) for version in ModelVersion.objects.order_by("created_at", "pk")}
        self._by_location = {made.version.location: pk for pk, made in reversed(self.made.items())}
        for stage in self._stages.values():
            if stage.model_version_id:
                self._describe(self.made[stage.model_version_id], stage)

    @cached_property
    def _children(self) -> Mapping[int, list[Origin]]:
        children: dict[int, list[Origin]] = {pk: [] for pk in self.made}
        for pk, made in self.made.items():
            for origin in made.origins:
                children[origin.version_id].append(Origin(pk, origin.how))
        return children

    def ancestors(self, version_id: int) -> list[int]:
        """This version and all that it came of: itself first, the nearest next."""
        return self._closure(version_id, lambda pk: self.made[pk].origins)

    def descendants(self, version_id: int) -> list[int]:
        """This version and all that came of it."""
        return self._closure(version_id, lambda pk: self._children[pk])

    def sources_of(self, version_id: int) -> list[Source]:
        """Every source that the version or one of its ancestors learned from."""
        found = (source for pk in self.ancestors(version_id) for source in self.made[pk].sources)
        return list(dict.fromkeys(found))

    @staticmethod
    def _closure(start: int, neighbours) -> list[int]:
        found, waiting = {start: None}, [start]
        while waiting:
            for origin in neighbours(waiting.pop(0)):
                if origin.version_id not in found:
                    found[origin.version_id] = None
                    waiting.append(origin.version_id)
        return list(found)

    # --- how one version was made -------------------------------------------------------------------------------

    def _describe(self, made: Made, stage: Stage) -> None:
        made.stage = stage
        if stage.kind == StageKind.SFT:
            made.sampling = self._stages.get((stage.round_id, StageKind.REJECTION_SAMPLING))
        made.origins = list(dict.fromkeys(self._origins(made, stage)))
        made.sources = list(dict.fromkeys(self._sources(stage)))

    def _origins(self, made: Made, stage: Stage) -> Iterator[Origin]:
        if made.version.parent_id:
            yield Origin(made.version.parent_id, "started from")
        if made.sampling is None:
            return
        yield from self._wrote(made.sampling)
        if chose := self._version_of(made.sampling, "reward", self._own_reward(stage)):
            yield Origin(chose, "chosen by")
        if stage.round.recipe.get(StageKind.REJECTION_SAMPLING, {}).get("pool") == "all_rounds":
            for earlier in self._earlier(stage.round):
                if pooled := self._stages.get((earlier.pk, StageKind.REJECTION_SAMPLING)):
                    yield from self._wrote(pooled)

    def _wrote(self, sampling: Stage) -> Iterator[Origin]:
        if wrote := self._version_of(sampling, "policy", sampling.round.base_policy_id):
            yield Origin(wrote, "candidates by")

    def _version_of(self, stage: Stage, role: str, otherwise: int | None) -> int | None:
        """The version that a stage was given as ``role``; of stages from before that was kept, what it then was."""
        inputs = stage.told.get("inputs")
        return otherwise if inputs is None else self._by_location.get(inputs.get(role))

    def _own_reward(self, stage: Stage) -> int | None:
        own = self._stages.get((stage.round_id, StageKind.REWARD_MODEL))
        return own.model_version_id if own else None

    def _sources(self, stage: Stage) -> Iterator[Source]:
        section = stage.round.recipe.get(stage.kind, {})
        if stage.kind not in (StageKind.REWARD_MODEL, StageKind.JUDGE_MODEL, StageKind.DPO):
            return
        # The judge model learns from the held-out prompts, everything else from the others (round_plan.inputs_of).
        split = Split.EVAL if stage.kind == StageKind.JUDGE_MODEL else Split.TRAIN
        rounds = [stage.round]
        if section.get("snapshots") == "all":
            rounds += self._earlier(stage.round)
        for round in rounds:
            yield Source(round.snapshot_id, split, section.get("judges", "all"))

    def _earlier(self, round: TrainingRound) -> list[TrainingRound]:
        found = []
        while round.previous_id is not None:
            round = self._rounds[round.previous_id]
            found.append(round)
        return found
