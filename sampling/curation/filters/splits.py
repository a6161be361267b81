"""Which side of the split a row is on: train or eval, all rows of one group together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sampling.curation.filters.base import Fate, Filter, draw, metadata_value, prompt_text
from sampling.curation.parameters import BadValue, Choice, Number, Text
from sampling.intake.records import Record


class SplitByGroup(Filter):
    """By a hash of the group and the seed, so a group falls on the same side in every import and prompt set."""

    key = "split"
    label = "Train and eval by group"
    what = "Sets the split of every row, whatever it was, and removes none; rows of one group are on one side."
    parameters = (
        Number("eval_percent", "To eval, percent of groups", 10, low=0, high=100, whole=False, is_always_told=True),
        Choice(
            "by",
            "Rows are one group that share",
            default="prompt",
            choices=(
                ("prompt", "the prompt"),
                ("words", "the prompt's first words"),
                ("metadata", "a value of the metadata"),
            ),
        ),
        Number("words", "How many first words", default=8, low=1, high=100, help="For a group by first words."),
        Text(
            "key",
            "Metadata key",
            suggestions="metadata-keys",
            help="For a group by metadata. A row without it is a group of its own.",
        ),
    )

    @classmethod
    def check(cls, told: Mapping[str, Any]) -> None:
        if told["by"] == "metadata" and not told["key"]:
            raise BadValue("Metadata key: name the key by which rows are one group.", "key")

    def judge(self, line: int, record: Record) -> Fate:
        share = draw(self.seed, "split", *self._group(record)) / 2**64
        split = "eval" if share * 100 < self.told["eval_percent"] else "train"
        return record if record.split == split else replace(record, split=split)

    def _group(self, record: Record) -> tuple[Any, ...]:
        match self.told["by"]:
            case "prompt":
                return ("prompt", record.messages)
            case "words":
                words = prompt_text(record).casefold().split()
                return ("words", words[: self.told["words"]])
            case "metadata":
                value = metadata_value(record, self.told["key"])
                return ("prompt", record.messages) if value is None else ("metadata", value)
            case other:
                raise ValueError(other)
