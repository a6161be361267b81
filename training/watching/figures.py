"""Figures in words: what a stage's result says, how large things are. Pure."""

from collections.abc import Mapping
from typing import Any, assert_never

from training.models import StageKind
from training.pipeline.left_out import words_of
from training.watching.trusted import is_number

Facts = list[tuple[str, str]]
NOT_MEASURED = "not measured"
LAST_LOSS = "loss, mean of the last fifth of the steps"  # a single batch's says little
# What rejection sampling leaves out are prompts; why, lies in all their candidates.
OF_PROMPTS = {
    "none_finished": "no candidate finished within {limit}",
    "all_alike": "all candidates said the same",
    "all_empty": "all candidates were empty",
    "not_sampled": "too long to be answered",
}


def label_of(kind: str) -> str:
    """A stage's name for people; a name that is no stage's stays as it is."""
    return StageKind(kind).label if kind in StageKind.values else kind


def facts_of(kind: StageKind, result: Mapping[str, Any] | None, told: Mapping[str, Any] | None = None) -> Facts:
    """What a finished stage's ``result.json`` says, as (label, words). ``told``: its section of the recipe."""
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
            facts = [("rows", count(result, "rows")), (LAST_LOSS, number(result, "final_loss"))]
        case StageKind.DPO:
            facts = [
                ("pairs", count(result, "pairs")),
                ("loss at the first step", number(result, "first_loss")),
                (LAST_LOSS, number(result, "final_loss")),
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
    return facts + _given("went on from step", result.get("resumed_at")) + _dropped(kind, result, told)


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
        ("prompts", count(result, "prompts")),
        ("kept", f"{count(result, 'kept')} of {count(result, 'candidates')} candidates"),
        *mean_scores(result),
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
        *cut_off(result),
        *_given("KL to the old policy", None if kl is None else f"{kl:.3f} nats a token{_drawn_otherwise(result)}"),
    ]


def _drawn_otherwise(result: Mapping[str, Any]) -> str:
    """What is to be known of a divergence on completions that are no plain draw from the policy."""
    temperature, top_p = (result.get(name, 1) for name in ("kl_temperature", "kl_top_p"))
    if (temperature, top_p) == (1, 1):
        return ""
    return f", on completions at temperature {temperature:g} and top-p {top_p:g}: a log-ratio, not quite the KL"


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
    if not is_number(result.get(value)):
        return NOT_MEASURED
    text = f"{100 * result[value]:.1f} %"
    if not is_number(result.get(low)) or not is_number(result.get(high)):
        return text
    return f"{text} ({100 * result[low]:.1f} to {100 * result[high]:.1f})"


def lengths(result: Mapping[str, Any]) -> str:
    """ "55.2 to 48.0 tokens", from an evaluation."""
    if result.get("mean_tokens_old") is None or result.get("mean_tokens_new") is None:
        return NOT_MEASURED
    return f"{result['mean_tokens_old']:.1f} to {result['mean_tokens_new']:.1f} tokens"


def cut_off(result: Mapping[str, Any]) -> Facts:
    """Of an evaluation, which counts the completions that ended by themselves: how much longer the others would be
    is not known, so that a mean length says little where they are many."""
    old, new = result.get("finished_old"), result.get("finished_new")
    if old is None or new is None:
        return []
    return [("cut off at the limit, old to new", f"{1 - old:.0%} to {1 - new:.0%} of the completions")]


def mean_scores(result: Mapping[str, Any]) -> Facts:
    return [("mean score", f"{number(result, 'mean_score_kept')} kept, {number(result, 'mean_score_all')} all")]


def why_left_out(kind: str, reason: str, told: Mapping[str, Any] | None = None) -> str:
    """The reason in words. ``told``: the section of the recipe that the stage was told, which has the limits."""
    if kind != StageKind.REJECTION_SAMPLING or reason not in OF_PROMPTS:
        return words_of(reason)
    limit = (told or {}).get("max_tokens")
    return OF_PROMPTS[reason].format(limit=f"{limit:,} tokens" if is_number(limit) else "its limit of tokens")


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


def _dropped(kind: StageKind, result: Mapping[str, Any], told: Mapping[str, Any] | None) -> Facts:
    """Rows that a stage left out, by reason; some stages count them all in one."""
    dropped = result.get("dropped")
    if not isinstance(dropped, Mapping):
        return [("left out", f"{dropped:,}")] if dropped else []
    if kind == StageKind.REJECTION_SAMPLING:
        each = [
            f"{number:,} prompt{'' if number == 1 else 's'}: {why_left_out(kind, reason, told)}"
            for reason, number in dropped.items()
            if number
        ]
        return [("left out", "; ".join(each))] if each else []
    words = ", ".join(f"{number:,} {words_of(reason)}" for reason, number in dropped.items() if number)
    return [("left out", words)] if words else []
