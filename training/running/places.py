"""Where a round's stages find what they read: files of its own, and those that earlier rounds left."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from sampling.models import ModelVersion
from training.models import Stage, StageKind, StageState, TrainingRound

CHECKPOINT = "checkpoint"
CANDIDATES = "candidates.jsonl"
JUDGED = "judged.jsonl"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Locations of models (a directory, or a hub id) and paths of files."""

    base_policy: str  # what the round starts from
    schedule_base: str  # what the schedule's first round started from
    data: Path
    caches: Path  # of scores and reference log-probabilities, by content: shared by all rounds
    run_dirs: Mapping[StageKind, Path]  # only the stages that this round has
    demonstrations: str = ""
    rewards: tuple[str, ...] = ()  # the reward models of the schedule's earlier rounds, the oldest first
    best_reward: str = ""  # the one that scores candidates, once it is known
    pool: tuple[str, ...] = ()  # the candidates of earlier rounds, with their scores
    judged: tuple[str, ...] = ()  # what earlier evaluations judged
    judge_policy: str = ""
    names: Mapping[str, str] | None = None  # of the policies that meet: "new", "old", "base"

    def checkpoint(self, kind: StageKind) -> str:
        return str(self.run_dirs[kind] / CHECKPOINT)

    def newest_policy(self, *kinds: StageKind) -> str:
        """The checkpoint of the last of ``kinds`` that the round has, else the policy that it starts from."""
        trained = [self.checkpoint(kind) for kind in kinds if kind in self.run_dirs]
        return trained[-1] if trained else self.base_policy

    @property
    def independent_reward(self) -> str:
        """A reward model that did not select this round's completions; empty when there is none."""
        if StageKind.JUDGE_MODEL in self.run_dirs:
            return self.checkpoint(StageKind.JUDGE_MODEL)
        others = [reward for reward in self.rewards if reward != self.best_reward]
        return others[-1] if others else ""


def places_of(round: TrainingRound, data: Path) -> Places:
    """As the round stands now: the best reward model is known once its stage has finished."""
    earlier = round.earlier()
    before = [stage for each in earlier for stage in each.stages.filter(state=StageState.FINISHED)]
    return Places(
        base_policy=round.base_policy.location,
        schedule_base=(earlier[0] if earlier else round).base_policy.location,
        data=data,
        caches=settings.VAR_DIR / "caches",
        run_dirs={StageKind(stage.kind): stage.run_dir for stage in round.stages.all()},
        demonstrations=round.demonstrations.location if round.demonstrations else "",
        rewards=tuple(str(stage.run_dir / CHECKPOINT) for stage in before if stage.kind == StageKind.REWARD_MODEL),
        best_reward=_best_reward([*before, *round.stages.filter(state=StageState.FINISHED)]),
        pool=_left_by(before, StageKind.REJECTION_SAMPLING, CANDIDATES),
        judged=_left_by(before, StageKind.EVALUATE, JUDGED),
        judge_policy=_judge_policy(round),
        names=_names(round, earlier),
    )


def _best_reward(finished: list[Stage]) -> str:
    """What the newest reward model's stage found to be the best so far."""
    trained = [stage for stage in finished if stage.kind == StageKind.REWARD_MODEL]
    if not trained:
        return ""
    newest = trained[-1]
    return (newest.result or {}).get("best") or str(newest.run_dir / CHECKPOINT)


def _left_by(finished: list[Stage], kind: StageKind, name: str) -> tuple[str, ...]:
    paths = [stage.run_dir / name for stage in finished if stage.kind == kind]
    return tuple(str(path) for path in paths if path.is_file())


def _judge_policy(round: TrainingRound) -> str:
    name = round.recipe.get("evaluate", {}).get("judge_policy")
    return ModelVersion.objects.policies().get(name=name).location if name else ""


def _names(round: TrainingRound, earlier: list[TrainingRound]) -> dict[str, str]:
    base = (earlier[0] if earlier else round).base_policy
    return {"new": f"{round.name} (new)", "old": round.base_policy.name, "base": base.name}
