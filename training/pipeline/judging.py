"""The judges of an evaluation: rules, reward models, and a policy that is asked.

Each sees the same meetings. A judge is independent when it neither selected what the new policy learned from, which a
round without rejection sampling has nobody to do, nor takes part itself: a policy is trained to please its selector, so
that one's opinion is told beside the others, and marked.
"""

from collections.abc import Sequence
from typing import assert_never

from annotation.simulated import annotators as simulated
from sampling.engine.run_dir import RunDirError
from training.pipeline import model_judge
from training.pipeline.completions import Generate
from training.pipeline.meetings import OPPONENTS, Meeting, Opinion
from training.pipeline.preferences import answered
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import Stage
from training.recipe import Evaluate

REWARD = "reward_model"  # one that selected nothing, where there is one
SELECTOR = "reward_selector"  # the one that chose among this round's candidates


def opinions_of(stage: Stage, recipe: Evaluate, meetings: Sequence[Meeting], generate: Generate) -> list[Opinion]:
    """The opinions of the recipe's judges in its order, then those of the reward models that it does not name."""
    opinions = [_opinion(judge, stage, recipe, meetings, generate) for judge in recipe.judges]
    reward, selector = stage.inputs.get("reward"), stage.inputs.get("reward_selector")
    if reward and REWARD not in recipe.judges:
        opinions.append(by_reward(stage, meetings, reward, judge=REWARD))
    has_spoken = not reward and REWARD in recipe.judges
    if selector and selector != reward and not has_spoken:
        opinions.append(by_reward(stage, meetings, selector, judge=SELECTOR))
    return opinions


def _opinion(judge: str, stage: Stage, recipe: Evaluate, meetings: Sequence[Meeting], generate: Generate) -> Opinion:
    match judge:
        case "simulated":
            stage.say("judging by rules")
            return by_rules(meetings, seed=stage.seed)
        case "reward_model":
            reward, selector = stage.inputs.get("reward"), stage.inputs.get("reward_selector")
            if not reward and not selector:
                raise RunDirError(
                    'The judge is "reward_model", but the stage was given no "reward" among its inputs. '
                    'Train one or choose "simulated".'
                )
            return by_reward(stage, meetings, reward or selector, judge=REWARD)
        case "model":
            return by_model(stage, recipe, meetings, generate)
        case _:
            assert_never(judge)


def by_rules(meetings: Sequence[Meeting], *, seed: int) -> Opinion:
    """The majority of the simulated annotators' rules."""
    verdicts = [simulated.verdict(each.prompt.messages, each.new.text, each.other.text, seed=seed) for each in meetings]
    return Opinion("simulated", "independent", meetings, verdicts)


def by_reward(stage: Stage, meetings: Sequence[Meeting], reward: str, *, judge: str) -> Opinion:
    """Which side a reward model scores higher."""
    stage.say("scoring")
    sides = [answered(each.prompt.messages, side.text) for each in meetings for side in (each.new, each.other)]
    scorer = Scorer(reward, caches=stage.inputs.get("caches") or None)
    scores = scorer.score(sides)
    scorer.release()  # the next judge may be an engine that wants the memory
    pairs = list(zip(scores[::2], scores[1::2], strict=True))
    has_selected = reward == stage.inputs.get("reward_selector")
    verdicts = [higher(*pair) for pair in pairs]
    return Opinion(judge, "selected" if has_selected else "independent", meetings, verdicts, scores=pairs)


def by_model(stage: Stage, recipe: Evaluate, meetings: Sequence[Meeting], generate: Generate) -> Opinion:
    """A policy that reads both completions in both orders."""
    policy = stage.inputs.get("judge_policy")
    if not policy:
        raise RunDirError(
            'The judge is "model", but the stage was given no "judge_policy" among its inputs. '
            'Name a registered policy as "judge_policy" in the recipe.'
        )
    verdicts = model_judge.verdicts(stage, recipe, meetings, policy=policy, generate=generate)
    contestants = {stage.inputs.get(f"policy_{which}") for which in ("new", *OPPONENTS)}
    return Opinion(
        "model",
        # A policy is known to prefer what it wrote itself (arXiv 2404.13076).
        "takes_part" if policy in contestants else "independent",
        meetings,
        [0.5 if each is None else each for each in verdicts],
        unread=[each is None for each in verdicts],
    )


def higher(new: float, other: float) -> float:
    """The verdict of two scores."""
    return 0.5 if new == other else float(new > other)
