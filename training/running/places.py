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
# In the data directory.
DEMONSTRATIONS = "demonstrations.jsonl"
HELD_OUT_DEMONSTRATIONS = "held_out_demonstrations.jsonl"
HELD_OUT_PROMPTS = "held_out_prompts.jsonl"
POOL = "pool"
HELD_OUT_POOL = "held_out_pool.jsonl"
# In the folder of the pairs by whose judgments count, beside train.jsonl and eval.jsonl.
HELD_OUT_PAIRS = "held_out.jsonl"
UNDECIDED_PAIRS = "undecided.jsonl"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Locations of models (a directory, or a hub id) and paths of files."""

    base_policy: str  # what the round starts from
    schedule_base: str  # what the schedule's first round started from
    data: Path
    caches: Path  # of scores and reference log-probabilities, by content: shared by all rounds
    run_dirs: Mapping[StageKind, Path]  # only the stages that this round has
    demonstrations: str = ""  # the set's own file; the stage reads what the data directory has of it
    rewards: tuple[str, ...] = ()  # the reward models of the schedule's earlier rounds, the oldest first
    published_policy: str = ""  # the newest published one of the schedule, else what it started from
    best_reward: str = ""  # the one that scores candidates, once it is known
    pool: tuple[str, ...] = ()  # the candidates of earlier rounds, the oldest first, without what is held out now
    judged: tuple[str, ...] = ()  # what earlier evaluations judged
    judge_policy: str = ""
    names: Mapping[str, str] | None = None  # of the policies that meet: "new", "old", "base", "published"

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
        if not self.selecting_reward:
            return self.best_reward
        own = [self.checkpoint(StageKind.REWARD_MODEL)] if StageKind.REWARD_MODEL in self.run_dirs else []
        others = [reward for reward in [*self.rewards, *own] if reward != self.best_reward]
        return others[-1] if others else ""

    @property
    def selecting_reward(self) -> str:
        """The reward model that selects this round's completions; empty where none are."""
        return self.best_reward if StageKind.REJECTION_SAMPLING in self.run_dirs else ""


def places_of(round: TrainingRound, data: Path) -> Places:
    """As the round stands now: the best reward model is known once its stage has finished."""
    earlier = round.earlier()
    before = [stage for each in earlier for stage in each.stages.filter(state=StageState.FINISHED)]
    return Places(
        base_policy=round.base_policy.location,
        schedule_base=(earlier[0] if earlier else round).base_policy.location,
        published_policy=_published(round, earlier).location,
        data=data,
        caches=settings.VAR_DIR / "caches",
        run_dirs={StageKind(stage.kind): stage.run_dir for stage in round.stages.all()},
        demonstrations=round.demonstrations.location if round.demonstrations else "",
        rewards=tuple(str(stage.run_dir / CHECKPOINT) for stage in before if stage.kind == StageKind.REWARD_MODEL),
        best_reward=_best_reward([*before, *round.stages.filter(state=StageState.FINISHED)]),
        pool=tuple(sorted(map(str, (data / POOL).glob("*.jsonl")))),
        judged=_left_by(before, StageKind.EVALUATE, JUDGED),
        judge_policy=_judge_policy(round),
        names=_names(round, earlier),
    )


def _published(round: TrainingRound, earlier: list[TrainingRound]) -> ModelVersion:
    """The newest published policy that the schedule's earlier rounds made; none of them, then its base."""
    made = [each.policy for each in reversed(earlier) if each.policy and each.policy.published_at]
    return made[0] if made else (earlier[0] if earlier else round).base_policy


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
    """As they are registered, so that what was new in one round is the same version where it is old in another."""
    from training.running.round_plan import model_name  # it imports this module, so not at the top

    kinds = {stage.kind for stage in round.stages.all()}
    trained = [kind for kind in (StageKind.DEMONSTRATIONS, StageKind.SFT, StageKind.DPO) if kind in kinds]
    new = model_name(round.name, trained[-1]) if trained else None
    base = (earlier[0] if earlier else round).base_policy
    published = _published(round, earlier)
    return {"new": new or round.name, "old": round.base_policy.name, "base": base.name, "published": published.name}
