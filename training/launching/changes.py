"""Changes to a recipe: what differs between one and another, and how that is written. Pure."""

import json
import math
from collections.abc import Mapping
from typing import Any

Resolved = Mapping[str, Any]
WORDS = ("name", "description", "warning")  # what a recipe says of itself


def between(file: Resolved, wanted: Resolved) -> dict[str, Any] | None:
    """What to lay over ``file`` so that it becomes ``wanted``; both resolved.

    None when nothing can: a change can set a value, and neither leave out a section nor take a value away.
    """
    changes: dict[str, Any] = {}
    if any(section not in wanted for section in file if section not in WORDS):
        return None
    for section, values in wanted.items():
        if section in WORDS:
            continue
        there = file.get(section, {})
        differing = {key: value for key, value in values.items() if key not in there or there[key] != value}
        if any(value is None and there.get(key) is not None for key, value in differing.items()):
            return None
        differing = {key: value for key, value in differing.items() if value is not None}
        if differing or section not in file:
            changes[section] = differing
    return changes


def whole(wanted: Resolved) -> dict[str, Any]:
    """Everything that ``wanted`` says, to be laid over nothing."""
    return {
        key: {name: each for name, each in value.items() if each is not None} if isinstance(value, Mapping) else value
        for key, value in wanted.items()
        if value != ""
    }


def as_text(changes: Mapping[str, Any]) -> str:
    """As TOML, a line for each value: ``dpo.beta = 0.2``."""
    lines = []
    for section, values in changes.items():
        if isinstance(values, Mapping):
            lines += [f"{section}.{key} = {_value(value)}" for key, value in values.items()]
        else:
            lines.append(f"{section} = {_value(values)}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case int():
            return str(value)
        case str():
            # A string of JSON is one of TOML, but for this one character, which TOML wants escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            raise TypeError(f"{value!r} has no form in TOML.")
