"""What a filter is: it takes records and gives each back, changed or as it is, or the reason why it is removed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

from sampling.curation.parameters import Choice, Flag, Parameter
from sampling.intake.records import Record

Numbered = tuple[int, Record]  # (line, record)
Fate = Record | str  # the record that goes on, or why it does not


@dataclass(frozen=True)
class Surroundings:
    seed: int
    directory_of: Callable[[str], str]  # of a model's name; raises LookupError, in words


class Filter:
    """One step. Made anew for each stream; ``told`` holds every parameter, checked."""

    key: ClassVar[str]
    label: ClassVar[str]
    what: ClassVar[str]  # what it does, in a sentence, for the page
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    needs_plan: ClassVar[bool] = False  # it sees what reaches it once before it judges
    remembers: ClassVar[bool] = False  # a row's fate depends on rows before it
    do_not_call_in_templates = True  # pages show the class itself: its label and what it does

    def __init__(self, told: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.told = told
        self.seed = surroundings.seed

    @classmethod
    def check(cls, told: Mapping[str, Any]) -> None:
        """Raise BadValue where parameters, each right, do not go together."""

    def judge(self, line: int, record: Record) -> Fate:
        raise NotImplementedError

    def judge_all(self, rows: Sequence[Numbered]) -> list[Fate]:
        """Of a batch, in order; for filters that are faster on many at once."""
        return [self.judge(line, record) for line, record in rows]

    def plan(self, rows: Sequence[Numbered]) -> None:
        """See a batch of all that will be judged, where the filter needs it."""

    def settle(self) -> None:
        """All was seen: plan no more, and judge from now on."""

    def restart(self) -> None:
        """Forget the rows seen: the stream begins again. What was settled stays."""


def gist_of(which: type[Filter], told: Mapping[str, Any]) -> str:
    """What differs from the filter's own settings, and what is always told, in words."""
    parts = []
    for parameter in which.parameters:
        value = told[parameter.name]
        if parameter.read(value) == parameter.default and not parameter.is_always_told:
            continue
        label = parameter.label[0].lower() + parameter.label[1:]
        match parameter:
            case Flag():
                parts.append(label if value else f"do not {label}")
            case Choice():
                parts.append(f"{label}: {dict(parameter.choices)[value]}")
            case _:
                parts.append(f"{label}: {parameter.show(value)}")
    return ", ".join(parts)


def fingerprint(*parts: Any) -> bytes:
    """16 bytes that are the same for the same JSON values."""
    told = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def draw(seed: int, *parts: Any) -> int:
    """A number from 0 to 2**64 - 1, at random but the same for the same seed and parts, whatever the order of rows."""
    return int.from_bytes(fingerprint(seed, *parts)[:8])


def prompt_text(record: Record) -> str:
    return "\n".join(message["content"] for message in record.messages)


def texts_of(record: Record, part: str) -> str:
    """``part``: prompt, completions, or whole."""
    match part:
        case "prompt":
            return prompt_text(record)
        case "completions":
            return "\n".join(completion.text for completion in record.completions)
        case "whole":
            return "\n".join([prompt_text(record), *(completion.text for completion in record.completions)])
        case _:
            raise ValueError(part)


def metadata_value(record: Record, key: str) -> str | None:
    """As text; None where the record does not have the key, or has nothing there."""
    value = record.metadata.get(key)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
