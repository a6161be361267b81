"""What in a stage's curves is worth a look, why, and what can be done about it. Pure: no rows, no files.

Each threshold stands here with its reason. A warning asks for a look and stops nothing: that is the gate's part.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Any

from training.pipeline.repeats import repeats_itself
from training.watching.trusted import is_number

Rows = Sequence[Mapping[str, Any]]
Result = Mapping[str, Any]

# Curves are noisy from batch to batch: what is said of one is said of the mean over a fifth of its points.
WINDOW_SHARE = 5
LEAST_POINTS = 5  # fewer say nothing about a trend

# The mean log-probability of the chosen completions, in nats a token below the start of the stage. At 0.05 each token
# is 5 % less likely than before, which is beyond noise; at 0.25 it is 22 % less likely, and a completion of 50 tokens
# 270,000 times. DPO raises the difference between chosen and rejected, and lowers both where that is cheaper
# (arXiv 2404.12358; when it does harm: arXiv 2402.13228 and 2410.08847).
CHOSEN_FALLS, CHOSEN_FALLS_FAR = 0.05, 0.25
# New to old mean length; the published gates' bound. Judges of all kinds prefer the longer answer.
LENGTH_RATIO = 1.3
LENGTH_TOKENS = 8  # and at least so many tokens: short answers double easily
# Of the probe answers: half of them are cut off now and were not before the stage, or one in four repeats itself where
# fewer did.
CUT_OFF_MORE, REPEATS_SHARE = 0.5, 0.25
JUST_BELOW = 1e-9  # a share that is as large as its limit counts as above
# What holds a policy back; only DPO has the first ones.
HOLD_LENGTH_DOWN = {
    True: 'Length-normalised DPO (loss = "sigmoid_norm") and a gate with max_length_ratio hold it down.',
    False: "Shorter rows to learn from, and a gate with max_length_ratio, hold it down.",
}
HOLD_BACK = {True: "Raise beta, lower the learning rate or the epochs", False: "Lower the learning rate or the epochs"}
# The norm of the gradient, newest points to all before. One spike is clipped by max_grad_norm and forgotten.
GRADIENT_GROWS = 10
# The share of pairs ordered rightly that a coin gets, and how near to it counts as the same.
CHANCE, NEAR_CHANCE = 0.5, 0.05
# Nats a token between start and now. At 0.5 the start's own words are on average 40 % less likely now; reward models
# stop telling good from bad as the distance grows (arXiv 2210.10760).
KL_FAR = 0.5


class Level(StrEnum):
    """How bad it is: worth knowing, worth acting on, or already lost."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Warning:
    """One thing worth a look. ``since``: the step from which it is so, where there is one."""

    name: str
    level: Level
    title: str
    words: str
    remedy: str
    since: int | None = None


def of_training(metrics: Rows, *, beta: float | None = None) -> list[Warning]:
    """What the curves of a training stage say. ``beta``: DPO's, which turns rewards back into log-probabilities."""
    found = [
        _not_finite(metrics),
        _gradient(metrics),
        _chosen_falling(metrics, beta),
        _at_chance(metrics),
        _far_from_start(metrics, is_dpo=beta is not None),
    ]
    return worst_first(found)


def _not_finite(metrics: Rows) -> Warning | None:
    for row in metrics:
        # A program writes null for a number that is none.
        if "loss" in row and (row["loss"] is None or not math.isfinite(row["loss"])):
            return Warning(
                name="loss_not_finite",
                level=Level.ERROR,
                title="The loss is not a number any more",
                words="Some step overflowed, and every weight that it touched is spoilt: nothing that this stage "
                "makes can be used.",
                remedy="Cancel the round and clone it with a lower learning rate, a lower max_grad_norm, or "
                'precision "fp32".',
                since=row.get("step"),
            )
    return None


def _gradient(metrics: Rows) -> Warning | None:
    points = _points(metrics, "grad_norm")
    newest = _window(points)
    before = points[: -len(newest)] if newest else []
    if len(before) < LEAST_POINTS:
        return None
    usual, now = median(y for _, y in before), median(y for _, y in newest)
    if usual <= 0 or now <= GRADIENT_GROWS * usual:
        return None
    return Warning(
        name="gradient_exploding",
        level=Level.WARNING,
        title="The gradient has exploded",
        words=f"Its norm is about {now:.3g} now and was about {usual:.3g} before: {now / usual:.0f} times as much.",
        remedy="Clipping hides it for a while. Lower the learning rate, or lengthen the warm-up.",
        since=newest[0][0],
    )


def _chosen_falling(metrics: Rows, beta: float | None) -> Warning | None:
    points = _chosen_against_start(metrics, beta)
    newest = _window(points)
    if len(points) < LEAST_POINTS:
        return None
    fall = -fmean(y for _, y in newest)
    if fall < CHOSEN_FALLS:
        return None
    far = fall >= CHOSEN_FALLS_FAR
    less = 1 - math.exp(-fall)
    matters = (
        "That much is more than the price of pushing the rejected ones down: the policy unlearns what people chose."
        if far
        else "Some of it is common in DPO, which only asks that the rejected ones fall further. It matters when it "
        f"goes on, or when the answers below get worse; {CHOSEN_FALLS_FAR} nats a token would be far."
    )
    return Warning(
        name="chosen_falling",
        level=Level.WARNING if far else Level.NOTE,
        title="The chosen completions grow less likely",
        words=f"By {fall:.2f} nats a token against the start of the stage: each of their tokens is {less:.0%} less "
        f"likely than it was. {matters}",
        remedy="Raise beta, lower the learning rate or the epochs, or add Llama 3's term for the chosen ones "
        "(nll_weight = 0.2).",
        since=_since(points, -CHOSEN_FALLS),
    )


def _chosen_against_start(metrics: Rows, beta: float | None) -> list[tuple[int, float]]:
    """(step, change of the chosen completions' mean log-probability since the start, in nats a token).

    DPO's reward is beta times that change for the same completions, so that it does not move with what happens to be
    in a batch, as the log-probability itself does.
    """
    if not beta:
        return []
    return [
        (row["step"], row["rewards/chosen"] / beta / row["chosen_tokens"])
        for row in metrics
        if is_number(row.get("rewards/chosen")) and is_number(row.get("chosen_tokens")) and row["chosen_tokens"] > 0
    ]


def _at_chance(metrics: Rows) -> Warning | None:
    points = _points(metrics, "rewards/accuracies") or _points(metrics, "accuracy")
    newest = _window(points)
    if len(points) < 2 * LEAST_POINTS or abs(fmean(y for _, y in newest) - CHANCE) > NEAR_CHANCE:
        return None
    return Warning(
        name="accuracy_at_chance",
        level=Level.NOTE,
        title="Accuracy is still that of a coin",
        words=f"Over the newest {len(newest)} points {fmean(y for _, y in newest):.0%} of the pairs are ordered "
        "rightly: nothing was learned from them so far.",
        remedy="Wait for the warm-up to end; then raise the learning rate or the epochs, or look at whether annotators "
        "agree with each other.",
    )


def _far_from_start(metrics: Rows, *, is_dpo: bool) -> Warning | None:
    points = _points(metrics, "kl")
    if not points:
        return None
    since = _since_above(points, KL_FAR)
    return far_off(points[-1][1], of="the start of the stage", is_dpo=is_dpo, since=since)


def far_off(value: Any, *, of: str, is_dpo: bool, since: int | None = None) -> Warning | None:
    """``value``: nats a token between the policy and what it is compared with. ``is_dpo``: whether DPO moved it."""
    if not is_number(value) or value < KL_FAR:
        return None
    return Warning(
        name="far_from_start",
        level=Level.WARNING,
        title=f"The policy is far from {of}",
        words=f"{value:.2f} nats a token; {KL_FAR} is where the judges' opinions stop being a guide, because they "
        "learned from answers of another kind.",
        remedy=f"{HOLD_BACK[is_dpo]}, and read some answers before you believe a score.",
        since=since,
    )


def of_answers(probes: Rows, *, limit: int | None = None, is_dpo: bool = False) -> list[Warning]:
    """What the answers along a training stage say; step 0 is before it. ``limit``: tokens at which they are cut."""
    by_step: dict[int, list[Mapping[str, Any]]] = {}
    for row in probes:
        by_step.setdefault(row["step"], []).append(row)
    answers = [by_step[step] for step in sorted(by_step)]
    if len(answers) < 2:
        return []
    lengths = _cut_off(answers, limit, is_dpo=is_dpo) or _growing(answers, is_dpo=is_dpo)
    return worst_first([lengths, _repeating(answers, is_dpo=is_dpo)])


def _growing(answers: Sequence[Rows], *, is_dpo: bool) -> Warning | None:
    points = _means(answers, lambda row: row.get("tokens"))
    if len(points) < 2:
        return None
    (_, before), (_, now) = points[0], points[-1]
    if now <= LENGTH_RATIO * before or now - before < LENGTH_TOKENS:
        return None
    return Warning(
        name="lengths_growing",
        level=Level.NOTE,
        title="Answers grow longer",
        words=f"The probe answers have {now:.0f} tokens on average; they had {before:.0f} before the stage.",
        remedy=f"Look at the length-controlled win rate when the round is over. {HOLD_LENGTH_DOWN[is_dpo]}",
        since=_since_above(points, LENGTH_RATIO * before),
    )


def _cut_off(answers: Sequence[Rows], limit: int | None, *, is_dpo: bool) -> Warning | None:
    """The mean length cannot grow beyond the limit; the share that is cut off there can."""
    if not limit:
        return None
    points = _means(answers, lambda row: row["tokens"] >= limit if is_number(row.get("tokens")) else None)
    if len(points) < 2:
        return None
    (_, before), (_, now) = points[0], points[-1]
    if now - before < CUT_OFF_MORE:
        return None
    return Warning(
        name="answers_cut_off",
        level=Level.NOTE,
        title="Answers do not end any more",
        words=f"{now:.0%} of the probe answers reach the {limit} tokens at which they are cut off; before the stage "
        f"{before:.0%} did. How long they would be is not known.",
        remedy=f"Raise probe_tokens to see their ends. {HOLD_LENGTH_DOWN[is_dpo]}",
        since=_since_above(points, before + CUT_OFF_MORE - JUST_BELOW),
    )


def _repeating(answers: Sequence[Rows], *, is_dpo: bool) -> Warning | None:
    points = _means(answers, lambda row: repeats_itself(row.get("text", "")))
    (_, before), (_, now) = points[0], points[-1]
    if now < REPEATS_SHARE or now <= before:
        return None
    return Warning(
        name="repeats",
        level=Level.WARNING,
        title="Answers repeat themselves",
        words=f"{now:.0%} of the probe answers say the same words over and over; before the stage {before:.0%} did. "
        "Rewards are often hacked this way: the score rises and the answer is worse.",
        remedy="Read the answers below. If it is so, clone the round with "
        f"{'a higher beta' if is_dpo else 'a lower learning rate'} or fewer epochs, and let people "
        "judge the repeating answers for the next reward model.",
        since=_since_above(points, max(before, REPEATS_SHARE - JUST_BELOW)),
    )


def _means(answers: Sequence[Rows], measured: Callable[[Mapping[str, Any]], float | None]) -> list[tuple[int, float]]:
    """(step, mean of what is measured of its answers); a step of which nothing can be measured is left out."""
    values = [(rows[0]["step"], [value for row in rows if (value := measured(row)) is not None]) for rows in answers]
    return [(step, fmean(each)) for step, each in values if each]


def _points(metrics: Rows, name: str) -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in metrics if is_number(row.get(name)) and "step" in row]


def _window(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """The newest fifth."""
    return points[-max(1, len(points) // WINDOW_SHARE) :]


def _since(points: Sequence[tuple[int, float]], below: float) -> int:
    """The first step of the newest unbroken stretch in which the curve lies below."""
    first = points[-1][0]
    for step, value in reversed(points):
        if value > below:
            break
        first = step
    return first


def _since_above(points: Sequence[tuple[int, float]], limit: float) -> int:
    return _since([(step, -value) for step, value in points], -limit)


def worst_first(found: Iterable[Warning | None]) -> list[Warning]:
    order = [Level.ERROR, Level.WARNING, Level.NOTE]
    return sorted((each for each in found if each), key=lambda each: order.index(each.level))
