"""What in a stage's result is worth a look, why, and what can be done about it. Pure: no rows, no files."""

from collections.abc import Iterable, Mapping
from typing import Any

from training.evaluation import gate
from training.models import StageKind
from training.watching import evaluation_results, figures
from training.watching.trusted import is_number
from training.watching.warnings import LENGTH_RATIO, LENGTH_TOKENS, Level, Warning, far_off, worst_first

Result = Mapping[str, Any]

# The share of pairs ordered rightly, and of comparisons won, that a coin gets.
CHANCE = 0.5
# By how much a win rate shrinks when length is taken out of it.
WON_BY_LENGTH = 0.05
# The selecting reward model's win rate over that of a judge that selected nothing; intervals must be apart too.
SELECTOR_ABOVE = 0.1
# Prompts whose candidates were all alike, of all prompts: they were sampled and scored for nothing.
ALL_ALIKE = 0.5
# Prompts of which nothing was kept, of all prompts: SFT then learns from another mixture than was asked for.
PROMPTS_LOST = 0.2
# Forgetting: perplexity, new to old.
PERPLEXITY_RATIO = 1.1


def of_reward_model(result: Result) -> list[Warning]:
    """Whether a reward model knows anything that a coin or a ruler does not."""
    low, high, accuracy = (result.get(f"accuracy{end}") for end in ("_low", "_high", ""))
    if accuracy is None or low is None or high is None:
        return []
    baseline = (result.get("length_baseline") or {}).get("accuracy")
    if low <= CHANCE:
        return [
            Warning(
                name="reward_at_chance",
                level=Level.WARNING,
                title="The reward model may be guessing",
                words=f"Its accuracy on held-out pairs is {accuracy:.0%}, and the interval ({low:.0%} to {high:.0%}) "
                "holds one half: what it scores may be no better than a coin.",
                remedy="Collect more judgments, leave out the weakest strengths, or train it for longer. Do not trust "
                "what rejection sampling kept by it.",
            )
        ]
    if baseline is not None and low <= baseline:
        return [
            Warning(
                name="reward_is_length",
                level=Level.NOTE,
                title="The reward model is not shown to beat length",
                words=f"Choosing the longer completion is right in {baseline:.0%} of the held-out pairs, and the "
                f"reward model's interval ({low:.0%} to {high:.0%}) reaches down to that.",
                remedy="Look at the length-controlled win rate, and collect pairs in which the shorter answer wins.",
            )
        ]
    return []


def of_rejection_sampling(result: Result, told: Mapping[str, Any] | None = None) -> list[Warning]:
    """Whether there was anything to choose from. ``told``: the stage's section of the recipe."""
    prompts, dropped = result.get("prompts"), result.get("dropped")
    if not prompts or not isinstance(dropped, Mapping):
        return []
    alike, others = dropped.get("all_alike", 0), {why: count for why, count in dropped.items() if count}
    found = []
    if alike / prompts >= ALL_ALIKE:
        others.pop("all_alike")
        found.append(
            Warning(
                name="all_alike",
                level=Level.NOTE,
                title="Most prompts gave nothing to choose from",
                words=f"All candidates were alike for {alike:,} of {prompts:,} prompts, which were left out.",
                remedy="Raise the temperature, or give the sweep higher ones.",
            )
        )
    if sum(others.values()) / prompts > PROMPTS_LOST:
        found.append(_prompts_lost(prompts, others, told))
    return worst_first(found)


def _prompts_lost(prompts: int, lost: Mapping[str, int], told: Mapping[str, Any] | None) -> Warning:
    why = "; ".join(
        f"{count:,}: {figures.why_left_out(StageKind.REJECTION_SAMPLING, each, told)}" for each, count in lost.items()
    )
    return Warning(
        name="prompts_lost",
        level=Level.WARNING,
        title="Many prompts were lost",
        words=f"Of {prompts:,} prompts, {sum(lost.values()):,} have no candidate that could be kept ({why}). What SFT "
        "learns from is what was easy to keep, which need not be what was asked for.",
        remedy="Raise max_tokens of rejection_sampling where candidates do not finish, its candidates or its "
        "temperature where they are alike, and max_model_len where prompts are too long.",
    )


def of_evaluation(result: Result, *, has_dpo: bool = False) -> list[Warning]:
    """Whether the new policy won by what was meant. ``has_dpo``: whether the round has that stage."""
    return worst_first(
        [
            _people_disagree(result),
            _selector_alone(result),
            *_length(result),
            far_off(result.get("kl_to_old"), of="the old policy", is_dpo=has_dpo),
        ]
    )


def of_harness(result: Result) -> list[Warning]:
    """What was forgotten."""
    tasks = [
        task for task in result.get("tasks") or [] if (task.get("drop_in_errors") or 0) > evaluation_results.TASK_DROP
    ]
    ratio = result.get("perplexity_ratio")
    told = [f"{task['task']}, by {task['drop_in_errors']:.1f} standard errors" for task in tasks]
    if ratio is not None and ratio > PERPLEXITY_RATIO:
        told.append(f"perplexity on held-out text, {ratio:.2f} times the old one's")
    if not told:
        return []
    return [
        Warning(
            name="forgetting",
            level=Level.WARNING,
            title="The new policy has forgotten something",
            words=f"It is worse than the old one at: {'; '.join(told)}.",
            remedy="Lower the learning rate or the epochs, train adapters instead of every weight, or mix "
            "demonstrations of the old skills in.",
        )
    ]


def _people_disagree(result: Result) -> Warning | None:
    """Whether people's interval lies wholly on the other side of one half than what the first judge says."""
    judge = result.get("win_rate")
    people = next(iter(evaluation_results.by_people(result)), None)
    if people is None or not is_number(judge):
        return None
    if not (people["high"] < CHANCE < judge or judge < CHANCE < people["low"]):
        return None
    preferred = "old" if judge > CHANCE else "new"
    return Warning(
        name="people_disagree",
        level=Level.WARNING,
        title=f"People prefer the {preferred} policy, and the first judge does not",
        words=f"Judging blindly, they see {people['win_rate']:.0%} wins of the new policy over the old one "
        f"({people['low']:.0%} to {people['high']:.0%}, {people['prompts']:,} prompts); the first judge, whom the gate "
        f"believes, sees {judge:.0%}.",
        remedy="Believe people before a judge that stands in for them. Choose another first judge, or collect "
        "judgments of this policy's answers, before a round goes on from it.",
    )


def _selector_alone(result: Result) -> Warning | None:
    matches = [
        match
        for match in result.get("matches") or []
        if match.get("opponent") == "old" and all(is_number(match.get(key)) for key in ("win_rate", "low", "high"))
    ]
    selectors = [match for match in matches if gate.independence(match) == "selected"]
    others = [match for match in matches if gate.independence(match) == "independent"]
    if not selectors or not others:
        return None
    selector = max(selectors, key=lambda match: match["win_rate"])
    best = max(others, key=lambda match: match["win_rate"])
    if selector["win_rate"] - best["win_rate"] < SELECTOR_ABOVE or selector["low"] <= best["high"]:
        return None
    return Warning(
        name="selector_alone",
        level=Level.WARNING,
        title="Only the model that selected likes the new policy so much",
        words=f"It sees {selector['win_rate']:.0%} wins over the old policy, and no independent judge sees "
        f"more than {best['win_rate']:.0%}; the intervals do not touch. That is how a hacked reward looks.",
        remedy="Believe the independent judge, open a blind test for people, and train the reward model anew on "
        "judgments of this policy's answers.",
    )


def _length(result: Result) -> Iterable[Warning | None]:
    new, old = result.get("mean_tokens_new"), result.get("mean_tokens_old")
    if is_number(new) and is_number(old) and old > 0 and new > LENGTH_RATIO * old and new - old >= LENGTH_TOKENS:
        yield Warning(
            name="longer_answers",
            level=Level.NOTE,
            title="The new policy's answers are longer",
            words=f"{new:.0f} tokens on average against {old:.0f}: {new / old:.2f} times as long.",
            remedy="Compare the raw win rate with the length-controlled one before you believe it.",
        )
    raw, controlled = result.get("win_rate"), result.get("length_controlled_win_rate")
    if is_number(raw) and is_number(controlled) and raw > CHANCE and raw - controlled > WON_BY_LENGTH:
        yield Warning(
            name="won_by_length",
            level=Level.WARNING if controlled <= CHANCE else Level.NOTE,
            title="Part of the win is length",
            words=f"The win rate is {raw:.0%}, and {controlled:.0%} for answers of equal length.",
            remedy="Put min_length_controlled_win_rate into the gate, and judge by it.",
        )
