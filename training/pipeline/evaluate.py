"""Compare the new policy with the old one, the base and the newest published one, on prompts that none was trained on.

    python -m training.pipeline.evaluate --run-dir DIR

Each policy writes n completions of each eval prompt with the same parameters and seed; completion i of the new one
meets completion i of an opponent. Every judge of the recipe gives a verdict, and so does each reward model that there
is, marked where it selected; a tie counts half, and intervals draw whole prompts. What the rounds so far have judged
gives ratings of all versions. Every judged pair is in `judged.jsonl`, those of the first judge against the old policy
first. Left out: people as judges, who are asked in a blind test of their own.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from sampling.engine.child import EngineChild
from sampling.engine.run_dir import RunDirError, main, read_json_lines, write_json_lines
from training.pipeline.completions import Completion, Generate, Prompt, read_prompts
from training.pipeline.divergence import divergence
from training.pipeline.judging import REWARD, SELECTOR, opinions_of
from training.pipeline.kept_completions import sample_once
from training.pipeline.matches import Match, match_of
from training.pipeline.meetings import OPPONENTS, Meeting, Opinion, Opponent, meet
from training.pipeline.ratings import Rating, ratings_of
from training.pipeline.trainers import Stage, is_main_process
from training.recipe import Evaluate

JUDGED = "judged.jsonl"
OPPONENT_NAMES: dict[Opponent, str] = {
    "old": "the old policy",
    "base": "the base",
    "published": "the newest published policy",
}


@dataclass(frozen=True)
class Result:
    """What goes into result.json. Figures without an opponent's name are the first judge's, against the old policy."""

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
    length_controlled_win_rate: float | None
    reward_win_rate: float | None  # by the reward model that selected nothing, else by the selector
    reward_win_rate_low: float | None
    reward_win_rate_high: float | None
    mean_tokens_new: float
    mean_tokens_old: float
    mean_tokens_base: float | None
    mean_words_new: float
    mean_words_old: float
    finished_new: float  # share of completions that max_tokens did not cut off
    finished_old: float
    old_is_base: bool  # then the base has no match of its own
    published_is: Opponent  # the opponent that is the newest published policy of the schedule; "published": none else
    matches: list[Match]  # the first judge's first, and of each judge that against the old policy
    kl_to_old: float | None  # nats a token, on the new policy's own completions
    kl_completions: int  # on so many of them
    kl_temperature: float  # that these were sampled at; unless it and top_p are 1, kl_to_old estimates no KL
    kl_top_p: float
    ratings: list[Rating] | None  # null while fewer than three versions met
    seconds: float


@dataclass(frozen=True)
class Contest:
    """Who takes part: locations and names by role, "new" and its opponents, each under the first of its roles."""

    policies: dict[str, str]
    names: dict[str, str]
    old_is_base: bool
    published_is: Opponent

    @classmethod
    def of(cls, stage: Stage) -> "Contest":
        told = {which: stage.inputs.get(f"policy_{which}") for which in OPPONENTS}
        opponents: dict[str, Opponent] = {}  # by location: each is sampled and met once
        for which, policy in told.items():
            if policy:
                opponents.setdefault(policy, which)
        names = {"new": "the new policy"} | OPPONENT_NAMES
        return cls(
            policies={"new": stage.inputs["policy_new"]} | {which: policy for policy, which in opponents.items()},
            names=names | dict(stage.inputs.get("names") or {}),
            old_is_base=told["base"] == told["old"],
            published_is=opponents[told["published"] or told["old"]],
        )

    @property
    def anchor(self) -> str:
        """The name of what the schedule began with, as far as it is known."""
        return self.names["base" if "base" in self.policies else "old"]


def run(run_dir: Path, *, generate: Generate | None = None) -> Result | None:
    """Sample every policy, judge, and measure."""
    if not is_main_process():
        return None
    started = time.monotonic()
    stage = Stage.start(run_dir, unit="completions")
    recipe = Evaluate.parse(stage.told, source="stage.json")
    contest = Contest.of(stage)
    prompts = read_prompts(stage.inputs["prompts"])
    with EngineChild() as engine:
        sampler = generate or engine
        written = {which: _completions(stage, recipe, contest, prompts, which, sampler) for which in contest.policies}
        meetings = _meetings(stage, prompts, written)
        engine.make_room()  # reward models judge too
        opinions = opinions_of(stage, recipe, meetings, _leaving_room(sampler, engine))
    rows = _judged(opinions, contest)
    write_json_lines(run_dir / JUDGED, rows)
    stage.say("measuring")
    matches = _matches(opinions, contest, recipe, seed=stage.seed)
    moved = divergence(
        prompts, written["new"], new=contest.policies["new"], old=contest.policies["old"], seed=stage.seed
    )
    return Result(
        **_sizes(prompts, opinions[0]),
        **_headline(matches, old_is_base=contest.old_is_base),
        **_lengths(opinions[0]),
        old_is_base=contest.old_is_base,
        published_is=contest.published_is,
        matches=matches,
        kl_to_old=moved and moved.value,
        kl_completions=moved.completions if moved else 0,
        kl_temperature=recipe.temperature,
        kl_top_p=recipe.top_p,
        ratings=_ratings(stage, recipe, contest, rows),
        seconds=time.monotonic() - started,
    )


def _completions(
    stage: Stage, recipe: Evaluate, contest: Contest, prompts: list[Prompt], which: str, generate: Generate
) -> list[Completion]:
    completions = sample_once(
        stage.run_dir / f"sampling_{which}",
        caches=stage.inputs.get("caches"),
        policy=contest.policies[which],
        prompts=prompts,
        recipe=recipe,
        n=recipe.n,
        seed=stage.seed,
        progress=stage.progress,
        phase="the new policy" if which == "new" else OPPONENT_NAMES[which],
        generate=generate,
    )
    write_json_lines(stage.run_dir / f"completions_{which}.jsonl", [asdict(each) for each in completions])
    return completions


def _meetings(stage: Stage, prompts: Sequence[Prompt], written: Mapping[str, list[Completion]]) -> list[Meeting]:
    """Of the new policy with each opponent, the old one first."""
    meetings = [
        meeting
        for opponent in OPPONENTS
        if opponent in written
        for meeting in meet(prompts, opponent, written["new"], written[opponent])
    ]
    if not any(meeting.opponent == "old" for meeting in meetings):
        raise RunDirError(
            f"{stage.inputs['prompts']} has no prompt that both policies answered. "
            "Give the eval split some prompts that fit max_model_len."
        )
    return meetings


def _leaving_room(sampler: Generate, engine: EngineChild) -> Generate:
    """The engine as a judge is given it: another judge loads its model next."""

    def ask(*args: Any, **how: Any) -> Any:
        done = sampler(*args, **how)
        engine.make_room()
        return done

    return ask


def _judged(opinions: Sequence[Opinion], contest: Contest) -> list[dict[str, Any]]:
    """Every verdict of every judge; the first judge's against the old policy come first, for pages to show."""
    rewards = _rewards(opinions)
    return [
        _row(meeting, verdict, scores, opinion, contest)
        for opinion in opinions
        for meeting, verdict, scores in zip(opinion.meetings, opinion.verdicts, opinion.scores or rewards, strict=True)
    ]


def _rewards(opinions: Sequence[Opinion]) -> Sequence[tuple[float | None, float | None]]:
    """The scores that are shown beside verdicts that have none of their own."""
    scored = [opinion.scores for opinion in opinions if opinion.scores is not None]
    return scored[0] if scored else [(None, None)] * len(opinions[0].meetings)


def _row(
    meeting: Meeting,
    verdict: float,
    scores: tuple[float | None, float | None],
    opinion: Opinion,
    contest: Contest,
) -> dict[str, Any]:
    """`old` is the opponent's completion, also where the opponent is another than the old policy."""
    return {
        "prompt_id": meeting.prompt.id,
        "index": meeting.new.index,
        "prompt": meeting.prompt.messages,
        "new": meeting.new.text,
        "old": meeting.other.text,
        "verdict": verdict,
        "reward_new": scores[0],
        "reward_old": scores[1],
        "opponent": meeting.opponent,
        "judge": opinion.judge,
        "independent": opinion.is_independent,
        "name_new": contest.names["new"],
        "name_opponent": contest.names[meeting.opponent],
    }


def _matches(opinions: Sequence[Opinion], contest: Contest, recipe: Evaluate, *, seed: int) -> list[Match]:
    found = [
        match_of(opinion, opponent, name=contest.names[opponent], resamples=recipe.resamples, seed=seed)
        for opinion in opinions
        for opponent in OPPONENTS
    ]
    return [match for match in found if match is not None]


def _headline(matches: Sequence[Match], *, old_is_base: bool) -> dict[str, Any]:
    """The first judge's figures against the old policy, and the reward model's."""
    first = matches[0]
    against_old = {match.judge: match for match in matches if match.opponent == "old"}
    reward = against_old.get(REWARD) or against_old.get(SELECTOR)
    base = next((match for match in matches if match.opponent == ("old" if old_is_base else "base")), None)
    return {
        "judge": first.judge,
        "win_rate": first.win_rate,
        "win_rate_low": first.low,
        "win_rate_high": first.high,
        "wins": first.wins,
        "ties": first.ties,
        "losses": first.losses,
        "length_controlled_win_rate": first.length_controlled_win_rate,
        "reward_win_rate": reward and reward.win_rate,
        "reward_win_rate_low": reward and reward.low,
        "reward_win_rate_high": reward and reward.high,
        "mean_tokens_base": base and base.mean_tokens_opponent,
    }


def _sizes(prompts: Sequence[Prompt], opinion: Opinion) -> dict[str, int]:
    against_old = opinion.against("old")
    met = len(against_old.by_prompt())
    return {"prompts": met, "completions": len(against_old.meetings), "skipped": len(prompts) - met}


def _lengths(opinion: Opinion) -> dict[str, float]:
    meetings = opinion.against("old").meetings
    sides = {"new": [each.new for each in meetings], "old": [each.other for each in meetings]}
    figures = {}
    for which, completions in sides.items():
        figures[f"mean_tokens_{which}"] = fmean(each.tokens for each in completions)
        figures[f"mean_words_{which}"] = fmean(len(each.text.split()) for each in completions)
        figures[f"finished_{which}"] = fmean(each.finish_reason != "length" for each in completions)
    return figures


def _ratings(stage: Stage, recipe: Evaluate, contest: Contest, rows: Sequence[dict[str, Any]]) -> list[Rating] | None:
    """Of all versions that met in this round and the earlier ones, by the first judge.

    The reward models of two rounds are two models, and count as one judge: where ratings are to be compared over many
    rounds, the rules or a policy judge more evenly.
    """
    earlier = chain.from_iterable(read_json_lines(Path(path)) for path in stage.inputs.get("earlier") or ())
    return ratings_of(
        chain(earlier, rows),
        judge=recipe.judges[0],
        anchor=contest.anchor,
        resamples=recipe.resamples,
        seed=stage.seed,
    )


if __name__ == "__main__":
    main(run)
