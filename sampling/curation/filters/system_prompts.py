"""What becomes of system messages: many chat templates have none, and many datasets repeat one in every row."""

from dataclasses import replace

from sampling.curation.filters.base import Fate, Filter
from sampling.curation.parameters import Choice
from sampling.intake.records import Record


class SystemPrompts(Filter):
    key = "system"
    label = "System prompt"
    what = "Moves a system message into the first turn of the user, takes it away, or keeps rows by it."
    parameters = (
        Choice(
            "do",
            "What to do",
            default="merge",
            is_always_told=True,
            choices=(
                ("merge", "put it before the user's first turn"),
                ("strip", "take it away, keep the row"),
                ("without", "keep rows without one only"),
                ("with", "keep rows with one only"),
            ),
        ),
    )

    def judge(self, line: int, record: Record) -> Fate:
        has_one = record.messages[0]["role"] == "system"
        match self.told["do"]:
            case "without":
                return "It has a system prompt." if has_one else record
            case "with":
                return record if has_one else "It has no system prompt."
            case "strip" | "merge" if not has_one:
                return record
            case "strip":
                return replace(record, messages=record.messages[1:])
            case "merge":
                return replace(record, messages=_merged(record))
            case other:
                raise ValueError(other)


def _merged(record: Record) -> tuple[dict[str, str], ...]:
    """The system's words, an empty line, and the user's: the first turn that is the user's, wherever it stands."""
    system, *others = record.messages
    first = next(place for place, message in enumerate(others) if message["role"] == "user")
    both = f"{system['content']}\n\n{others[first]['content']}"
    return (*others[:first], {"role": "user", "content": both}, *others[first + 1 :])
