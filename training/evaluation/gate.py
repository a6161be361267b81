"""The gate: whether a round's policy may be published, judged by the recipe's conditions. Pure figures, no rows.

A condition that cannot be measured has not passed: nothing is published on faith.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Figures = Mapping[str, Any]  # the results of the evaluation and of the harness, together

# As a sentence names them; one that is not here is named by itself.
JUDGES: Mapping[str, str] = {
    "simulated": "the simulated annotators",
    "reward_model": "the reward model",
    "reward_selector": "the reward model that selected the candidates",
    "model": "the policy that judges",
}


@dataclass(frozen=True)
class Condition:
    """One condition as it was judged."""

    name: str
    words: str
    value: float | None  # None: not measured
    relation: str
    threshold: float
    passed: bool


@dataclass(frozen=True)
class _Rule:
    words: Callable[[Figures], str]
    relation: str  # ">" , ">=" or "<="
    measure: Callable[[Figures], float | None]

    def holds(self, value: float | None, threshold: float) -> bool:
        if value is None:
            return False
        return {">": value > threshold, ">=": value >= threshold, "<=": value <= threshold}[self.relation]


def _figure(name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures.get(name)


def _length_ratio(figures: Figures) -> float | None:
    new, old = figures.get("mean_tokens_new"), figures.get("mean_tokens_old")
    return new / old if new is not None and old else None


def _always(words: str) -> Callable[[Figures], str]:
    return lambda figures: words


def _by_first_judge(words: str) -> Callable[[Figures], str]:
    """The words, and whom the new policy met in whose eyes, as far as the evaluation says."""
    return lambda figures: words + _met_and_judged(figures)


def _met_and_judged(figures: Figures) -> str:
    first = next(iter(figures.get("matches") or ()), None) or {}
    opponent = f" over {first['name']}" if first.get("name") else " over the old policy"
    judge = figures.get("judge")
    if judge is None:
        return opponent
    selected = first.get("independent") is False and judge == "reward_model"
    takes_part = first.get("independent") is False and judge == "model"
    note = " that also selected its candidates" if selected else " and takes part itself" if takes_part else ""
    return f"{opponent}, judged by {JUDGES.get(judge, judge)}{note}"


def _task_drop_words(figures: Figures) -> str:
    """With the task that it is about, which is the one that fell most."""
    measured = [task for task in figures.get("tasks") or () if task.get("drop_in_errors") is not None]
    if not measured:
        return "largest drop of a harness task, in standard errors"
    worst = max(measured, key=lambda task: task["drop_in_errors"])
    return f"largest drop of a harness task ({worst['task']}), in standard errors"


RULES: Mapping[str, _Rule] = {
    "min_win_rate_low": _Rule(
        _by_first_judge("lower end of the 95 % interval of the win rate"), ">", _figure("win_rate_low")
    ),
    "min_win_rate": _Rule(_by_first_judge("win rate"), ">=", _figure("win_rate")),
    "min_length_controlled_win_rate": _Rule(
        _by_first_judge("length-controlled win rate"), ">=", _figure("length_controlled_win_rate")
    ),
    "min_length_ratio": _Rule(_always("mean length, new policy to old"), ">=", _length_ratio),
    "max_length_ratio": _Rule(_always("mean length, new policy to old"), "<=", _length_ratio),
    "max_perplexity_ratio": _Rule(
        _always("perplexity on held-out text, new policy to old"), "<=", _figure("perplexity_ratio")
    ),
    "max_task_drop": _Rule(_task_drop_words, "<=", _figure("largest_drop")),
}


def judged(
    *,
    conditions: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any] | None,
    harness: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report: ``{"passed", "reason", "conditions": [...]}``. ``conditions`` is the recipe's gate section.

    Raises KeyError for a condition that has no rule here: a gate that ignored one would be open.
    """
    asked = {name: value for name, value in (conditions or {}).items() if value is not None and name != "rounds"}
    figures = {**(harness or {}), **(evaluation or {})}
    report = [_judge(name, threshold, figures) for name, threshold in asked.items()]
    passed = bool(report) and all(condition.passed for condition in report)
    return {
        "passed": passed,
        "reason": _reason(report, evaluated=evaluation is not None),
        "conditions": [asdict(condition) for condition in report],
    }


def _judge(name: str, threshold: float, figures: Figures) -> Condition:
    rule = RULES[name]
    value = rule.measure(figures)
    return Condition(
        name=name,
        words=rule.words(figures),
        value=value,
        relation=rule.relation,
        threshold=threshold,
        passed=rule.holds(value, threshold),
    )


def _reason(report: list[Condition], *, evaluated: bool) -> str:
    if not report:
        return "Not published: the recipe has no gate. Add a gate section to it."
    if not evaluated:
        return "Not published: the recipe has no evaluate stage, so nothing could be measured. Add one to it."
    failed = [condition for condition in report if not condition.passed]
    if not failed:
        return "Published: every condition holds."
    told = "; ".join(
        f"{condition.words} is {_shown(condition.value)}, and must be {condition.relation} {condition.threshold:g}"
        for condition in failed
    )
    return f"Not published: {told}."


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
