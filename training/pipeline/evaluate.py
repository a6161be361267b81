"""Compare the new policy with the old one on prompts that neither was trained on.

    python -m training.pipeline.evaluate --run-dir DIR

Both write n completions of each eval prompt with the same parameters and seed; completion i of the one
meets completion i of the other. The judge is the majority of the simulated annotators' rules, or the reward
model; a tie counts half. The interval draws whole prompts. Every judged pair is in `judged.jsonl`. Left
out: people as judges, who meet the new policy's completions in the next comparisons.
"""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from annotation.simulated import annotators as simulated
from sampling.engine.generate import generate_in_child
from sampling.engine.run_dir import RunDirError, main
from training.pipeline.completions import COMPLETIONS, Completion, Generate, Prompt, read_prompts, sample
from training.pipeline.intervals import Interval, clustered_mean
from training.pipeline.preferences import Messages, answered
from training.pipeline.rejection_sampling import write_json_lines
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import Stage, is_main_process
from training.recipe import Evaluate

Verdict = Callable[["Meeting"], float]


@dataclass(frozen=True)
class Meeting:
    """Two completions of one prompt, by the new and the old policy, with rewards if a model gave any."""

    prompt: Prompt
    new: Completion
    old: Completion
    reward_new: float | None = None
    reward_old: float | None = None


@dataclass(frozen=True)
class Result:
    """What goes into result.json. The reward model's figures are null where the round trained none."""

    prompts: int
    completions: int  # by each policy
    skipped: int  # prompts that were too long for the model
    judge: str
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    wins: int
    ties: int
    losses: int
    reward_win_rate: float | None
    reward_win_rate_low: float | None
    reward_win_rate_high: float | None
    mean_tokens_new: float
    mean_tokens_old: float
    mean_words_new: float
    mean_words_old: float
    finished_new: float  # share of completions that max_tokens did not cut off
    finished_old: float
    seconds: float


def run(run_dir: Path, *, generate: Generate = generate_in_child) -> Result | None:
    """Sample both policies, judge, and measure."""
    if not is_main_process():
        return None
    started = time.monotonic()
    stage = Stage.start(run_dir, unit="completions")
    recipe = Evaluate.parse(stage.told, source="stage.json")
    prompts = read_prompts(stage.inputs["prompts"])
    new, old = (_completions(stage, recipe, prompts, which, generate) for which in ("new", "old"))
    meetings = meet(prompts, new, old)
    if not meetings:
        raise RunDirError(
            f"{stage.inputs['prompts']} has no prompt that both policies answered. "
            "Give the eval split some prompts that fit max_model_len."
        )
    if reward := stage.inputs.get("reward"):
        stage.say("scoring")
        meetings = with_rewards(meetings, Scorer(reward))
    stage.say("judging")
    verdict = judge_of(recipe, seed=stage.seed)
    verdicts = [verdict(meeting) for meeting in meetings]
    write_json_lines(run_dir / "judged.jsonl", [_row(*each) for each in zip(meetings, verdicts, strict=True)])
    return _result(recipe, stage.seed, prompts, meetings, verdicts, started)


def _completions(
    stage: Stage, recipe: Evaluate, prompts: list[Prompt], which: str, generate: Generate
) -> list[Completion]:
    directory = stage.run_dir / f"sampling_{which}"
    completions = sample(
        directory,
        policy=stage.inputs[f"policy_{which}"],
        prompts=prompts,
        recipe=recipe,
        n=recipe.n,
        seed=stage.seed,
        progress=stage.progress,
        phase=f"the {which} policy",
        generate=generate,
    )
    shutil.copyfile(directory / COMPLETIONS, stage.run_dir / f"completions_{which}.jsonl")
    return completions


def meet(prompts: Sequence[Prompt], new: Sequence[Completion], old: Sequence[Completion]) -> list[Meeting]:
    """Pair the completions by prompt and index; one that has no counterpart meets nobody."""
    by_id = {prompt.id: prompt for prompt in prompts}
    others = {(each.prompt_id, each.index): each for each in old}
    return [
        Meeting(by_id[each.prompt_id], each, others[each.prompt_id, each.index])
        for each in new
        if (each.prompt_id, each.index) in others
    ]


def with_rewards(meetings: Sequence[Meeting], scorer: Scorer) -> list[Meeting]:
    """The same meetings, each side with its score."""
    sides: list[Messages] = []
    for each in meetings:
        sides += [answered(each.prompt.messages, side.text) for side in (each.new, each.old)]
    scores = scorer.score(sides)
    return [replace(each, reward_new=scores[2 * i], reward_old=scores[2 * i + 1]) for i, each in enumerate(meetings)]


def judge_of(recipe: Evaluate, *, seed: int) -> Verdict:
    """The judge that the recipe names: 1.0 where the new policy wins, 0.0 where it loses, 0.5 for a tie."""
    match recipe.judges[0]:
        case "simulated":
            return lambda meeting: simulated.verdict(
                meeting.prompt.messages, meeting.new.text, meeting.old.text, seed=seed
            )
        case "reward_model":
            return reward_verdict


def reward_verdict(meeting: Meeting) -> float:
    """Which side the reward model scores higher."""
    if meeting.reward_new is None or meeting.reward_old is None:
        raise RunDirError(
            'The judge is "reward_model", but the stage was given no "reward" among its inputs. '
            'Train one or choose "simulated".'
        )
    if meeting.reward_new == meeting.reward_old:
        return 0.5
    return float(meeting.reward_new > meeting.reward_old)


def win_rate(meetings: Sequence[Meeting], verdicts: Sequence[float], *, resamples: int, seed: int) -> Interval:
    """The mean verdict, each prompt counting once however many completions it has."""
    by_prompt: dict[str, list[float]] = defaultdict(list)
    for meeting, verdict in zip(meetings, verdicts, strict=True):
        by_prompt[meeting.prompt.id].append(verdict)
    interval = clustered_mean(list(by_prompt.values()), resamples=resamples, seed=seed)
    assert interval is not None  # noqa: S101 - there is at least one meeting
    return interval


def _result(
    recipe: Evaluate,
    seed: int,
    prompts: Sequence[Prompt],
    meetings: Sequence[Meeting],
    verdicts: Sequence[float],
    started: float,
) -> Result:
    judged = win_rate(meetings, verdicts, resamples=recipe.resamples, seed=seed)
    rewarded = None
    if meetings[0].reward_new is not None:
        by_reward = [reward_verdict(meeting) for meeting in meetings]
        rewarded = win_rate(meetings, by_reward, resamples=recipe.resamples, seed=seed)
    new, old = [each.new for each in meetings], [each.old for each in meetings]
    met = len({meeting.prompt.id for meeting in meetings})
    return Result(
        prompts=met,
        completions=len(meetings),
        skipped=len(prompts) - met,
        judge=recipe.judges[0],
        win_rate=judged.value,
        win_rate_low=judged.low,
        win_rate_high=judged.high,
        wins=verdicts.count(1.0),
        ties=verdicts.count(0.5),
        losses=verdicts.count(0.0),
        reward_win_rate=rewarded and rewarded.value,
        reward_win_rate_low=rewarded and rewarded.low,
        reward_win_rate_high=rewarded and rewarded.high,
        mean_tokens_new=fmean(each.tokens for each in new),
        mean_tokens_old=fmean(each.tokens for each in old),
        mean_words_new=fmean(len(each.text.split()) for each in new),
        mean_words_old=fmean(len(each.text.split()) for each in old),
        finished_new=fmean(each.finish_reason != "length" for each in new),
        finished_old=fmean(each.finish_reason != "length" for each in old),
        seconds=time.monotonic() - started,
    )


def _row(meeting: Meeting, verdict: float) -> dict[str, Any]:
    return {
        "prompt_id": meeting.prompt.id,
        "index": meeting.new.index,
        "prompt": meeting.prompt.messages,
        "new": meeting.new.text,
        "old": meeting.old.text,
        "verdict": verdict,
        "reward_new": meeting.reward_new,
        "reward_old": meeting.reward_old,
    }


if __name__ == "__main__":
    main(run)
