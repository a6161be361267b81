"""Figures in words: what a stage's result says, how large things are. Pure."""

from collections.abc import Mapping
from typing import Any, assert_never

from training.models import StageKind

Facts = list[tuple[str, str]]
NOT_MEASURED = "not measured"


def facts_of(kind: StageKind, result: Mapping[str, Any] | None) -> Facts:
    """What a finished stage's ``result.json`` says, as (label, words)."""
    if not result:
        return []
    match kind:
        case StageKind.CHECK:
            facts = [("rows read", count(result, "rows")), *_given("warnings", len(result.get("warnings") or []))]
        case StageKind.REWARD_MODEL | StageKind.JUDGE_MODEL:
            facts = _of_reward_model(result)
        case StageKind.REJECTION_SAMPLING:
            facts = _of_rejection_sampling(result)
        case StageKind.SFT | StageKind.DEMONSTRATIONS:
            facts = [("rows", count(result, "rows")), ("final loss", number(result, "final_loss"))]
        case StageKind.DPO:
            facts = [
                ("pairs", count(result, "pairs")),
                ("loss", f"{number(result, 'first_loss')} to {number(result, 'final_loss')}"),
                *_given(
                    "reference", "log-probabilities taken from the cache" if result.get("reference_cached") else ""
                ),
            ]
        case StageKind.EVALUATE:
            facts = _of_evaluation(result)
        case StageKind.HARNESS:
            facts = _of_harness(result)
        case _:
            assert_never(kind)
    return facts + _given("went on from step", result.get("resumed_at")) + _dropped(result.get("dropped"))


def _of_reward_model(result: Mapping[str, Any]) -> Facts:
    baseline = result.get("length_baseline") or {}
    scores = {True: "this one", False: "one of an earlier round"}.get(result.get("best_is_new"))
    return [
        ("accuracy on held-out pairs", proportion(result, "accuracy", "accuracy_low", "accuracy_high")),
        *_given("by length alone", proportion(baseline, "accuracy", "low", "high") if baseline else ""),
        ("pairs", f"{count(result, 'pairs_train')} to train, {count(result, 'pairs_eval')} held out"),
        *_given("the best, which scores", scores),
    ]


def _of_rejection_sampling(result: Mapping[str, Any]) -> Facts:
    temperature = result.get("temperature")
    return [
        ("kept", f"{count(result, 'kept')} of {count(result, 'candidates')} candidates"),
        ("mean score", f"{number(result, 'mean_score_kept')} kept, {number(result, 'mean_score_all')} all"),
        *_given("temperature", None if temperature is None else f"{temperature:g}"),
        *_given("of those, from earlier rounds", result.get("from_earlier_rounds")),
        *_given("scores taken from the cache", result.get("scores_cached")),
    ]


def _of_evaluation(result: Mapping[str, Any]) -> Facts:
    matches = result.get("matches") or []
    controlled = [f"length_controlled_{name}" for name in ("win_rate", "low", "high")]
    kl = result.get("kl_to_old")
    return [
        ("win rate, new over old", proportion(result, "win_rate", "win_rate_low", "win_rate_high")),
        *_given("for equal lengths", proportion(matches[0], *controlled) if matches else ""),
        *_reward_win_rate(result),
        ("eval prompts", count(result, "prompts")),
        ("mean length, old to new", lengths(result)),
        *_given("KL to the old policy", None if kl is None else f"{kl:.3f} nats a token"),
    ]


def _of_harness(result: Mapping[str, Any]) -> Facts:
    drop = result.get("largest_drop")
    return [
        ("perplexity, new to old", number(result, "perplexity_ratio")),
        *_given("largest drop of a task", None if drop is None else f"{drop:.1f} standard errors"),
    ]


def _given(label: str, words: Any) -> Facts:
    """A line for what is there: older results and other settings have fewer figures."""
    return [(label, f"{words:,}" if isinstance(words, int) else str(words))] if words not in (None, "", 0) else []


def proportion(result: Mapping[str, Any], value: str, low: str, high: str) -> str:
    """0.712, 0.64, 0.78 -> "71.2 % (64.0 to 78.0)", the interval being the 95 % one everywhere."""
    if result.get(value) is None:
        return NOT_MEASURED
    text = f"{100 * result[value]:.1f} %"
    if result.get(low) is None or result.get(high) is None:
        return text
    return f"{text} ({100 * result[low]:.1f} to {100 * result[high]:.1f})"


def lengths(result: Mapping[str, Any]) -> str:
    """ "55.2 to 48.0 tokens", from an evaluation."""
    if result.get("mean_tokens_old") is None or result.get("mean_tokens_new") is None:
        return NOT_MEASURED
    return f"{result['mean_tokens_old']:.1f} to {result['mean_tokens_new']:.1f} tokens"


def size(size_bytes: float) -> str:
    """1.5e9 -> "1.5 GB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit in ("B", "KB") else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def count(result: Mapping[str, Any], name: str) -> str:
    value = result.get(name)
    return NOT_MEASURED if value is None else f"{value:,}"


def number(result: Mapping[str, Any], name: str) -> str:
    value = result.get(name)
    return NOT_MEASURED if value is None else f"{value:.3f}"


def _reward_win_rate(result: Mapping[str, Any]) -> Facts:
    """The reward model's own opinion, where the round trained one."""
    names = ("reward_win_rate", "reward_win_rate_low", "reward_win_rate_high")
    return [("win rate by the reward model", proportion(result, *names))] if result.get(names[0]) is not None else []


def _dropped(dropped: Any) -> Facts:
    """Rows that a stage left out, by reason; some stages count them all in one."""
    if isinstance(dropped, Mapping):
        told = ", ".join(f"{number:,} {reason.replace('_', ' ')}" for reason, number in dropped.items() if number)
        return [("left out", told)] if told else []
    return [("left out", f"{dropped:,}")] if dropped else []
