"""How long: tokens of a text, turns of a chat, and how far the lengths of completions are apart."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sampling.curation.filters.base import Fate, Filter, Numbered, Surroundings, texts_of
from sampling.curation.parameters import BadValue, Choice, Number, Tokenizer
from sampling.intake.records import Record

Count = Callable[[Sequence[str]], list[int]]


def _no_limit_is_missing(told: Mapping[str, Any]) -> None:
    least, most = told["least"], told["most"]
    if least is None and most is None:
        raise BadValue("give the fewest, the most, or both.", "least")
    if least is not None and most is not None and least > most:
        raise BadValue(f"the fewest ({least:,}) are more than the most ({most:,}).", "least")


def _out_of_range(count: int, unit: str, told: Mapping[str, Any]) -> str | None:
    unit = unit if count == 1 else f"{unit}s"
    if told["least"] is not None and count < told["least"]:
        return f"{count:,} {unit}, fewer than {told['least']:,}."
    if told["most"] is not None and count > told["most"]:
        return f"{count:,} {unit}, more than {told['most']:,}."
    return None


class Tokens(Filter):
    """Of a chosen model's tokenizer, without the tokens that a chat template adds; or words."""

    key = "tokens"
    label = "Length in tokens"
    what = "Removes a row whose text is too short or too long."
    parameters = (
        Choice(
            "of",
            "Which text",
            default="prompt",
            choices=(
                ("prompt", "the prompt"),
                ("completions", "each completion"),
                ("whole", "the prompt with each completion"),
            ),
            help="Of several completions each must be in range. Rows without any are not asked about theirs.",
        ),
        Number("least", "Fewest", help="Empty: no limit."),
        Number("most", "Most", help="Empty: no limit."),
        Tokenizer(
            "tokenizer",
            "Tokenizer",
            help="Of a registered model. Without one, words between white space are counted; of languages that "
            "are written without spaces, that says little.",
        ),
    )
    check = staticmethod(_no_limit_is_missing)

    def __init__(self, told: Mapping[str, Any], surroundings: Surroundings) -> None:
        super().__init__(told, surroundings)
        self._unit = "token" if told["tokenizer"] else "word"
        self._count = _tokenizer(told["tokenizer"], surroundings) if told["tokenizer"] else _words

    def judge_all(self, rows: Sequence[Numbered]) -> list[Fate]:
        texts, owners = [], []
        for place, (_, record) in enumerate(rows):
            for text in self._texts(record):
                texts.append(text)
                owners.append(place)
        fates: list[Fate] = [record for _, record in rows]
        for place, count in zip(owners, self._count(texts), strict=True):
            if isinstance(fates[place], Record) and (reason := _out_of_range(count, self._unit, self.told)):
                fates[place] = reason
        return fates

    def _texts(self, record: Record) -> list[str]:
        completions = [completion.text for completion in record.completions]
        if self.told["of"] == "completions":
            return completions
        prompt = texts_of(record, "prompt")
        return [prompt] if self.told["of"] == "prompt" or not completions else [f"{prompt}\n{c}" for c in completions]


def _words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def _tokenizer(name: str, surroundings: Surroundings) -> Count:
    try:
        file = Path(surroundings.directory_of(name)) / "tokenizer.json"
    except LookupError as error:
        raise BadValue(error.args[0], "tokenizer") from None
    if not file.is_file():
        raise BadValue(
            f'the model "{name}" has no tokenizer.json at {file.parent}. Choose a model whose '
            "directory has one, or none, to count words.",
            "tokenizer",
        )
    return _counter(str(file), file.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _counter(file: str, changed_ns: int) -> Count:
    from tokenizers import Tokenizer as Read  # machine code: workers and commands only

    try:
        read = Read.from_file(file)
    except Exception as error:  # the library raises nothing narrower
        raise BadValue(f"{file} cannot be read as a tokenizer: {error}.", "tokenizer") from None
    read.no_truncation()
    read.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in read.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count


class Turns(Filter):
    key = "turns"
    label = "Number of turns"
    what = "Removes a row whose prompt has too few or too many messages; a system message does not count."
    parameters = (
        Number("least", "Fewest", high=10_000, help="Empty: no limit."),
        Number("most", "Most", high=10_000, help="Empty: no limit. 1 keeps single questions."),
    )
    check = staticmethod(_no_limit_is_missing)

    def judge(self, line: int, record: Record) -> Fate:
        turns = sum(message["role"] != "system" for message in record.messages)
        return _out_of_range(turns, "turn", self.told) or record


class LengthRatio(Filter):
    """Where one completion is many times as long as the other, length is what would be learned."""

    key = "length_ratio"
    label = "Completions' lengths apart"
    what = "Removes a row whose longest completion is too many times as long as its shortest, in characters."
    parameters = (Number("most", "At most, times", default=4, low=1, high=1000, whole=False, is_always_told=True),)

    def judge(self, line: int, record: Record) -> Fate:
        lengths = [len(completion.text) for completion in record.completions]
        if len(lengths) < 2:
            return record
        ratio = max(lengths) / max(1, min(lengths))
        if ratio <= self.told["most"]:
            return record
        return f"The longest completion is {ratio:.1f} times as long as the shortest, more than {self.told['most']:g}."
