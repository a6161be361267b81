"""What a program said, as pages may rely on it: whatever is of another kind than it should be is left out.

A file may be torn, of an older version or written by hand, and a page shows the rest of it all the same. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any

Shape = Callable[[Any], Any]  # gives the value, or None where it is of another kind

# Beyond it no figure of ours can be, and sums and squares of it would be infinite.
LARGEST = 1e100


def is_number(value: Any) -> bool:
    """Neither a truth nor NaN, which JSON of other makers may hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def number(value: Any) -> int | float | None:
    return value if is_number(value) else None


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def listed(shape: Shape) -> Shape:
    """A list, without the entries that are of another kind."""

    def read(value: Any) -> list[Any] | None:
        if not isinstance(value, list):
            return None
        return [each for entry in value if (each := shape(entry)) is not None]

    return read


def by_name(shape: Shape) -> Shape:
    """An object whose keys are names that nobody knows before."""

    def read(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            return None
        return {name: each for name, entry in value.items() if (each := shape(entry)) is not None}

    return read


def record(*needed: str, **shapes: Shape) -> Shape:
    """An object with these keys, of which those ``needed`` must be there; every other key holds a number."""

    def read(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            return None
        known = {key: each for key, entry in value.items() if (each := shapes.get(key, number)(entry)) is not None}
        return known if all(key in known for key in needed) else None

    return read


def _bar(value: Any) -> list[Any] | None:
    """An entry of a histogram: [up to so many tokens, rows]."""
    return value if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) else None


def _counts(value: Any) -> Any:
    """Rows by reason, or one number for all reasons, as in some older results."""
    return by_name(number)(value) if isinstance(value, Mapping) else number(value)


def _identity(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


_turn = record("role", "content", role=text, content=text)
_prompt = listed(_turn)

# The results of all stages: a key means the same in each.
RESULT = record(
    problems=listed(record("message", message=text, field=text)),
    warnings=listed(text),
    tokenizer=record(chat_template=truth, assistant_mask=truth, end_token=text, ends_with_end_token=truth),
    lengths=by_name(record("rows", "median", "p95", "max", histogram=listed(_bar))),
    stages=by_name(record(dropped=by_name(number), at_most=truth)),
    dropped=_counts,
    dropped_eval=_counts,
    by_strength=listed(record("strength", strength=text)),
    length_baseline=record(),
    best=text,
    best_is_new=truth,
    rivals=listed(record("location", location=text)),
    sweep=listed(record("temperature")),
    reference_cached=truth,
    judge=text,
    matches=listed(record(opponent=text, name=text, judge=text, independent=truth, independence=text)),
    ratings=listed(record("name", name=text)),
    text=text,
    tasks=listed(record("task", task=text, metric=text)),
)
PROGRESS = record(unit=text, phase=text)
PROBE = record("step", "index", "prompt", prompt=_prompt, text=text)
JUDGED = record("prompt", prompt=_prompt, prompt_id=_identity, old=text, new=text, opponent=text, judge=text)
COMPLETION = record("prompt_id", "index", prompt_id=_identity, text=text, finish_reason=text)
CANDIDATE = record("prompt_id", "score", prompt_id=_identity, messages=_prompt, text=text, finish_reason=text)
KEPT = record("prompt_id", "messages", prompt_id=_identity, messages=_prompt, source=text)
LEFT_OUT = record(stage=text, reason=text, prompt_id=_identity, excerpt=text)


def metrics_row(value: Any) -> dict[str, Any] | None:
    """A logged step. A figure that is no number any more is null in it, as programs write it, for that is news."""
    row = record("step")(value)
    if row is None:
        return None
    lost = [key for key, each in value.items() if each is None or (isinstance(each, float) and not is_number(each))]
    return row | dict.fromkeys(lost)
