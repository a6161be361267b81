"""Single values of somebody else's rows: numbers, times, names, and what is kept as it is.

Everything that comes out of here can be stored in PostgreSQL as text or JSON.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sampling.intake.records import JudgedBy
from sampling.json_lines import Unusable, check_storable, kind, shorten

MOST_KEPT_CHARACTERS = 2_000  # of one field that is kept beside what the format reads; longer ones are left out
MAX_DEPTH = 20
LARGEST = 10**300  # of whole numbers: PostgreSQL holds more, but nothing that is read here has any use for them

# Names of the same split in other people's files.
_SPLITS = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(
    ("eval", "evaluation", "val", "valid", "validation", "dev", "test"), "eval"
)
_KINDS = {
    "person": JudgedBy.PERSON,
    "human": JudgedBy.PERSON,
    "simulated": JudgedBy.MODEL,
    "model": JudgedBy.MODEL,
    "votes": JudgedBy.VOTES,
    "majority": JudgedBy.VOTES,
}
# What is of the prompt rather than of the one judgment or completion that the row is about.
PROMPT_FIELDS = ("category", "language", "lang", "domain", "topic", "source", "dataset", "subset", "prompt_id", "tags")
# Seconds, milliseconds, microseconds, nanoseconds since 1970: each is out of reach of the one before (year 5138).
_EPOCHS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (math.inf, 1e9))
# Outside of these a number is no time but something else: a year, 20240501, 0 for "not known".
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?", re.ASCII)


def first_of(row: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that holds something, or None."""
    for name in names:
        if (value := row.get(name)) is not None:
            return value
    return None


def number(value: Any, name: str) -> float:
    """A finite number, also one that is written as text. Raises Unusable."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f'"{name}" is {_shown(value)}; it must be a number.')
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Unusable(f'"{name}" is no finite number. Correct it, or leave the row out.')
    return found


def whole(value: Any, name: str, among: Iterable[int]) -> int:
    """One of a few whole numbers. Raises Unusable."""
    found = number(value, name)
    if found not in (among := tuple(among)):
        raise Unusable(f'"{name}" is {shorten(str(value))}; it must be one of {", ".join(map(str, among))}.')
    return int(found)


def scalar_as_text(value: Any) -> Any:
    """A number or a truth value as JSON writes it: tables, and models that were asked yes or no, have these as answers.

    All else stays as it is, also numbers that are none or are beyond use.
    """
    match value:
        case bool():
            return json.dumps(value)
        case int() if abs(value) <= LARGEST:
            return json.dumps(value)
        case float() if math.isfinite(value):
            return json.dumps(value)
        case _:
            return value


def optional_number(value: Any, name: str) -> float | None:
    return None if absent(value) else number(value, name)


def time(value: Any, name: str) -> datetime | None:
    """ISO 8601, an e-mail's date, or seconds (ms, µs, ns) since 1970; without a zone it is taken as UTC."""
    if absent(value):
        return None
    try:
        at = value if isinstance(value, datetime) else _time(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        at = None
    if at is None or not _EARLIEST <= at < _LATEST:
        raise Unusable(
            f'"{name}" is no time ({shorten(str(value))}). Write it as 2024-05-01T12:00:00Z, or as seconds since 1970.'
        )
    return at


def _time(value: Any) -> datetime:
    if isinstance(value, str):
        written = value.strip()
        if not _NUMBER.fullmatch(written):
            return _written_time(written.removesuffix("UTC").rstrip())
        value = written
    if isinstance(value, bool):
        raise TypeError
    count = float(value)
    if not math.isfinite(count):
        raise ValueError
    per_second = next(scale for limit, scale in _EPOCHS if abs(count) < limit)
    return _EPOCH + timedelta(seconds=count / per_second)


def _written_time(written: str) -> datetime:
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return parsedate_to_datetime(written)


def who(value: Any) -> str:
    """The annotator's name in the source: text, a number, or the object that a tool writes for a user."""
    if isinstance(value, dict):
        value = first_of(value, "id", "email", "username", "name")
    if isinstance(value, list):
        value = " ".join(str(part) for part in value[:5] if isinstance(part, str | int))
    if absent(value) or isinstance(value, bool | dict):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with a hole in it is read as floats
    if isinstance(value, int) and abs(value) > LARGEST:
        raise Unusable("The annotator is a number of hundreds of digits. Give a name.")
    name = str(value).strip()
    check_storable(name, "annotator")
    return name


def name_of(value: Any, name: str) -> str:
    """A model's or a reader's name, whole: two that differ only late are two. Empty where there is none."""
    if absent(value):
        return ""
    if not isinstance(value, str):
        raise Unusable(f'"{name}" is {kind(value)}; it must be a name.')
    check_storable(value, name)
    return value.strip()


def free_text(value: Any, name: str) -> str:
    """A reason in words; empty where there is none."""
    if absent(value):
        return ""
    if not isinstance(value, str):
        raise Unusable(f'"{name}" is {kind(value)}; it must be text.')
    check_storable(value, name)
    return value.strip()


def judged_by(value: Any) -> JudgedBy:
    return _KINDS.get(value, JudgedBy.UNKNOWN) if isinstance(value, str) else JudgedBy.UNKNOWN


def split(value: Any) -> str:
    """ "train", "eval", or nothing for a name that says neither."""
    return _SPLITS.get(value.strip().lower(), "") if isinstance(value, str) else ""


def absent(value: Any) -> bool:
    """Null, nothing, or not a number: how tables write that a field is empty."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def kept(row: Mapping[str, Any], *used: str, only: Iterable[str] | None = None) -> dict[str, Any]:
    """The fields of a row that the format has no meaning for, as far as they are small and say something."""
    names = row if only is None else [name for name in only if name in row]
    found = {}
    for name in names:
        if name in used or absent(row[name]) or row[name] in ([], {}):
            continue
        value = storable(row[name], name)
        if _size(value) <= MOST_KEPT_CHARACTERS:
            found["language" if name == "lang" else storable(name, "a field's name")] = value
    return found


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value, ensure_ascii=False))


def storable(value: Any, name: str, depth: int = 1) -> Any:
    """The value as PostgreSQL can hold it in JSON. Raises Unusable."""
    if depth > MAX_DEPTH:
        raise Unusable(f'"{shorten(name)}" is nested more than {MAX_DEPTH} levels deep. Make it flatter.')
    match value:
        case str():
            check_storable(value, shorten(name))
            return value
        case bool() | None:
            return value
        case int():
            if abs(value) > LARGEST:
                raise Unusable(f'"{shorten(name)}" is a number of hundreds of digits. Write it as text.')
            return value
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [storable(item, name, depth + 1) for item in value]
        case dict():
            return {storable(str(key), name): storable(item, name, depth + 1) for key, item in value.items()}
        case datetime():
            return value.isoformat()
        case _:
            return storable(str(value), name)


def _shown(value: Any) -> str:
    return shorten(repr(value)) if isinstance(value, str) else kind(value)
