"""The gate: whether a round's policy may be published, judged by the recipe's conditions. Pure figures, no rows.

A condition that cannot be measured has not passed: nothing is published on faith.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


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
    words: str
    relation: str  # ">" , ">=" or "<="
    measure: Callable[[Mapping[str, Any]], float | None]

    def holds(self, value: float | None, threshold: float) -> bool:
        if value is None:
            return False
        return {">": value > threshold, ">=": value >= threshold, "<=": value <= threshold}[self.relation]


def _figure(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda evaluation: evaluation.get(name)


def _length_ratio(evaluation: Mapping[str, Any]) -> float | None:
    new, old = evaluation.get("mean_tokens_new"), evaluation.get("mean_tokens_old")
    return new / old if new is not None and old else None


RULES: Mapping[str, _Rule] = {
    "min_win_rate_low": _Rule("lower end of the win rate's 95 % interval", ">", _figure("win_rate_low")),
    "min_win_rate": _Rule("win rate over the old policy", ">=", _figure("win_rate")),
    "min_length_ratio": _Rule("mean length, new policy to old", ">=", _length_ratio),
    "max_length_ratio": _Rule("mean length, new policy to old", "<=", _length_ratio),
    "min_length_controlled_win_rate": _Rule("length-controlled win rate", ">=", _figure("length_controlled_win_rate")),
    "max_perplexity_ratio": _Rule("perplexity on held-out text, new policy to old", "<=", _figure("perplexity_ratio")),
    "max_task_drop": _Rule("largest drop of a harness task, in standard errors", "<=", _figure("largest_drop")),
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
    figures = {**(evaluation or {}), **(harness or {})}
    report = [_judge(name, threshold, figures) for name, threshold in asked.items()]
    passed = bool(report) and all(condition.passed for condition in report)
    return {
        "passed": passed,
        "reason": _reason(report, evaluated=evaluation is not None),
        "conditions": [asdict(condition) for condition in report],
    }


def _judge(name: str, threshold: float, evaluation: Mapping[str, Any]) -> Condition:
    rule = RULES[name]
    value = rule.measure(evaluation)
    return Condition(
        name=name,
        words=rule.words,
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
