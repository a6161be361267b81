"""What in a stage's result is worth a look, why, and what can be done about it. Pure: no rows, no files."""

from collections.abc import Iterable, Mapping
from typing import Any

from training.watching.warnings import LENGTH_RATIO, LENGTH_TOKENS, Level, Warning, far_off, is_number, worst_first

Result = Mapping[str, Any]

# The share of pairs ordered rightly, and of comparisons won, that a coin gets.
CHANCE = 0.5
# By how much a win rate shrinks when length is taken out of it.
WON_BY_LENGTH = 0.05
# The selecting reward model's win rate over that of a judge that selected nothing; intervals must be apart too.
SELECTOR_ABOVE = 0.1
# Prompts whose candidates were all alike, of all prompts: they were sampled and scored for nothing.
ALL_ALIKE = 0.5
# Forgetting: standard errors of the difference that a harness task may drop, and perplexity, new to old.
TASK_DROP, PERPLEXITY_RATIO = 2.0, 1.1


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


def of_rejection_sampling(result: Result) -> list[Warning]:
    """Whether there was anything to choose from."""
    prompts, dropped = result.get("prompts"), result.get("dropped")
    alike = dropped.get("all_alike", 0) if isinstance(dropped, Mapping) else 0
    if not prompts or alike / prompts < ALL_ALIKE:
        return []
    return [
        Warning(
            name="all_alike",
            level=Level.NOTE,
            title="Most prompts gave nothing to choose from",
            words=f"All candidates were alike for {alike:,} of {prompts:,} prompts, which were left out.",
            remedy="Raise the temperature, or give the sweep higher ones.",
        )
    ]


def of_evaluation(result: Result) -> list[Warning]:
    """Whether the new policy won by what was meant."""
    return worst_first(
        [_selector_alone(result), *_length(result), far_off(result.get("kl_to_old"), of="the old policy")]
    )


def of_harness(result: Result) -> list[Warning]:
    """What was forgotten."""
    tasks = [task for task in result.get("tasks") or [] if (task.get("drop_in_errors") or 0) > TASK_DROP]
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


def _selector_alone(result: Result) -> Warning | None:
    matches = [
        match
        for match in result.get("matches") or []
        if match.get("opponent") == "old" and all(is_number(match.get(key)) for key in ("win_rate", "low", "high"))
    ]
    selectors = [match for match in matches if not match.get("independent")]
    others = [match for match in matches if match.get("independent")]
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
        words=f"It sees {selector['win_rate']:.0%} wins over the old policy, and no judge that selected nothing sees "
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
