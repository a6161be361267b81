"""Changes to a recipe: what differs between one and another, and how that is written. Pure."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from training import recipe as recipes
from training.recipe.reading import hint

Resolved = Mapping[str, Any]
WORDS = ("name", "description", "warning")  # what a recipe says of itself

LINE = re.compile(r"\s*([\w-]+)\.([\w-]+)\s*=\s*(.*?)\s*")
WORD = re.compile(r"[A-Za-z_][^\s\"'\[\]{}=]*")  # what is text to a reader, and nothing to TOML


def read(text: str) -> dict[str, Any]:
    """Changes as people write them. Raises RecipeError: of a line that is no TOML, all that is wrong with it."""
    try:
        return recipes.read_changes(text)
    except recipes.RecipeError as error:
        raise recipes.RecipeError(" ".join([str(error), *_wrong_with_line(text, str(error))])) from None


def _wrong_with_line(text: str, error: str) -> list[str]:
    at = re.search(r"at line (\d+)", error)
    lines = text.splitlines() or [""]
    number = min(int(at[1]), len(lines)) if at else len(lines)
    line = LINE.fullmatch(lines[number - 1])
    if line is None:
        return [f"Line {number} is {lines[number - 1].strip()!r}; write SECTION.KEY = VALUE, such as dpo.beta = 0.2."]
    section, key, value = line.groups()
    wrong = [f'Line {number}: text needs quotes, {section}.{key} = "{value}".'] if WORD.fullmatch(value) else []
    if section not in recipes.SECTIONS:
        return [*wrong, f'There is no section "{section}". {hint(section, recipes.SECTIONS)}']
    keys = [each.name for each in dataclasses.fields(recipes.SECTIONS[section])]
    return wrong if key in keys else [*wrong, f'[{section}] has no key "{key}". {hint(key, keys)}']


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


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both changes in one; where both say something of a value, ``above`` is right."""
    together = dict(below)
    for section, values in above.items():
        there = together.get(section)
        both = isinstance(there, Mapping) and isinstance(values, Mapping)
        together[section] = {**there, **values} if both else values
    return together


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
