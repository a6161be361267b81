"""The gate: whether a round's policy may be published, judged by the recipe's conditions. Pure figures, no rows.

A condition that cannot be measured has not passed: nothing is published on faith. Nor on the word of a judge that is
not independent: a policy is trained to please whoever selects. What is asked of the old policy is asked of the newest
published one too, where that is another: a policy may be continued from one that was withheld, and be better than that
one alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Figures = Mapping[str, Any]  # the results of the evaluation and of the harness, together

PEOPLE = "people"  # the judge of a blind test; a recipe cannot ask for it
MET = "met"  # the match that the figures are of; empty for results from before matches were kept
# A match's figures, by the names that those against the old policy have in the result.
OF_MATCH: Mapping[str, str] = {
    "win_rate": "win_rate",
    "win_rate_low": "low",
    "length_controlled_win_rate": "length_controlled_win_rate",
    "mean_tokens_new": "mean_tokens_new",
    "mean_tokens_old": "mean_tokens_opponent",
}
# As a sentence names them; one that is not here is named by itself.
JUDGES: Mapping[str, str] = {
    "simulated": "the simulated annotators",
    "reward_model": "the reward model",
    "reward_selector": "the reward model that selected the candidates",
    "model": "the policy that judges",
    PEOPLE: "people (blind test)",
}
REMEDY = 'Add [judge_model] to the recipe, or let "simulated" or a policy that takes no part judge first.'


def independence(match: Mapping[str, Any]) -> str:
    """Of a match's judge: "independent", "selected" or "takes_part"; older results do not say which of the two."""
    if match.get("independent") is not False:
        return "independent"
    told = match.get("independence")
    takes_part = told == "takes_part" if told else match.get("judge") == "model"
    return "takes_part" if takes_part else "selected"


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
    is_judged: bool = False  # it rests on the first judge's word
    is_met: bool = True  # it is about a match, and so asked once for each opponent

    def holds(self, figures: Figures, threshold: float) -> bool:
        value = self.measure(figures)
        if value is None or (self.is_judged and not _is_independent(figures)):
            return False
        return {">": value > threshold, ">=": value >= threshold, "<=": value <= threshold}[self.relation]


def _figure(name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures.get(name)


def _length_ratio(figures: Figures) -> float | None:
    new, old = figures.get("mean_tokens_new"), figures.get("mean_tokens_old")
    return new / old if new is not None and old else None


def _length_words(figures: Figures) -> str:
    return f"mean length, new policy to {figures[MET].get('name') or 'old'}"


def _always(words: str) -> Callable[[Figures], str]:
    return lambda figures: words


def _by_first_judge(words: str) -> Callable[[Figures], str]:
    """The words, and whom the new policy met in whose eyes, as far as the evaluation says."""
    return lambda figures: words + _met_and_judged(figures)


def _met_and_judged(figures: Figures) -> str:
    opponent = f" over {figures[MET].get('name') or 'the old policy'}"
    judge = figures.get("judge")
    if judge is None:
        return opponent
    note = {
        "independent": "",
        "selected": ", which selected its candidates and so decides nothing",
        "takes_part": ", which takes part itself and so decides nothing",
    }[independence(figures[MET])]
    return f"{opponent}, judged by {JUDGES.get(judge, judge)}{note}"


def _is_independent(figures: Figures) -> bool:
    return independence(figures[MET]) == "independent"


def _task_drop_words(figures: Figures) -> str:
    """With the task that it is about, which is the one that fell most."""
    measured = [task for task in figures.get("tasks") or () if task.get("drop_in_errors") is not None]
    if not measured:
        return "largest drop of a harness task, in standard errors"
    worst = max(measured, key=lambda task: task["drop_in_errors"])
    return f"largest drop of a harness task ({worst['task']}), in standard errors"


def _win_rate(words: str, relation: str, name: str) -> _Rule:
    return _Rule(_by_first_judge(words), relation, _figure(name), is_judged=True)


RULES: Mapping[str, _Rule] = {
    "min_win_rate_low": _win_rate("lower end of the 95 % interval of the win rate", ">", "win_rate_low"),
    "min_win_rate": _win_rate("win rate", ">=", "win_rate"),
    "min_length_controlled_win_rate": _win_rate("length-controlled win rate", ">=", "length_controlled_win_rate"),
    "min_length_ratio": _Rule(_length_words, ">=", _length_ratio),
    "max_length_ratio": _Rule(_length_words, "<=", _length_ratio),
    "max_perplexity_ratio": _Rule(
        _always("perplexity on held-out text, new policy to old"), "<=", _figure("perplexity_ratio"), is_met=False
    ),
    "max_task_drop": _Rule(_task_drop_words, "<=", _figure("largest_drop"), is_met=False),
}


def judged(
    *,
    conditions: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any] | None,
    harness: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report: ``{"passed", "reason", "conditions": [...]}``. ``conditions`` is the recipe's gate section.

    A condition about a match is there once for each opponent that it must hold against. Raises KeyError for a condition
    that has no rule here: a gate that ignored one would be open.
    """
    asked = _asked(conditions)
    against_each = _against_each({**(harness or {}), **(evaluation or {})})
    report = [
        _judge(name, threshold, figures)
        for name, threshold in asked.items()
        for figures in (against_each if RULES[name].is_met else against_each[:1])
    ]
    passed = bool(report) and all(condition.passed for condition in report)
    return {
        "passed": passed,
        "reason": _reason(report, against_each, evaluated=evaluation is not None),
        "conditions": [asdict(condition) for condition in report],
    }


def not_asked(
    *,
    conditions: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any] | None,
    harness: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """What the recipe could ask and does not: ``{"name", "words", "value"}``, where measured against the old policy."""
    figures = _against_each({**(harness or {}), **(evaluation or {})})[0]
    return [
        {"name": name, "words": rule.words(figures), "value": rule.measure(figures)}
        for name, rule in RULES.items()
        if name not in _asked(conditions)
    ]


def _asked(conditions: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (conditions or {}).items() if value is not None and name != "rounds"}


def _against_each(figures: Figures) -> list[Figures]:
    """The figures against the old policy, and, where it is another, against the newest published one."""
    matches = figures.get("matches") or ()
    found = [{**figures, MET: next(iter(matches), {})}]
    published = figures.get("published_is", "old")
    if published != "old":
        of_judge = [match for match in matches if match.get("judge") == figures.get("judge")]
        met = next((match for match in of_judge if match.get("opponent") == published), {})
        met = {"name": "the newest published policy"} | met
        found.append({**figures, **{name: met.get(of_match) for name, of_match in OF_MATCH.items()}, MET: met})
    return found


def _judge(name: str, threshold: float, figures: Figures) -> Condition:
    rule = RULES[name]
    return Condition(
        name=name,
        words=rule.words(figures),
        value=rule.measure(figures),
        relation=rule.relation,
        threshold=threshold,
        passed=rule.holds(figures, threshold),
    )


def _reason(report: list[Condition], against_each: list[Figures], *, evaluated: bool) -> str:
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
    undecided = any(RULES[condition.name].is_judged for condition in failed) and not all(
        map(_is_independent, against_each)
    )
    return f"Not published: {told}." + (f" {REMEDY}" if undecided else "")


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
