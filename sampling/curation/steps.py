"""Filters over a stream of records, one after another; what each removes is counted, with its reason.

Pure: no database, no files but a tokenizer's. A set of filters is a list of steps, each a JSON object that names its
filter and gives the parameters that differ from the filter's own: ``{"filter": "turns", "most": 4}``. Which filters
there are, with their parameters, bounds and labels: `filters.FILTERS`.

How a stream is filtered, in batches (500 to 5,000 records; what comes out does not depend on their size)::

    filters = pipeline(steps, seed=17)             # raises BadStep, with words for the person who chose them
    for _ in range(filters.plan_passes):           # 0, unless a step draws from the whole stream: 1 for each that does
        for batch in batches(from_the_first_row):  # a batch is a sequence of (line, record)
            filters.plan(batch)
        filters.end_pass()
    for batch in batches(from_the_first_row):
        for outcome in filters.feed(batch):        # one for each record, in their order
            outcome.line, outcome.record           # maybe changed; None where a step removed it,
            outcome.reason, outcome.step           # and then why, and the position of that step
    filters.removed                                # by step: label, gist, seen, removed, changed, examples (JSON)

`Pipeline.sift(open_rows)` does all that where the rows may be read again by calling ``open_rows()``.

The same rows, steps and seed give the same outcomes. So an import that goes on after an interruption makes a new
pipeline, plans again, feeds the rows before ``next_row`` once more and throws their outcomes away; what has been
counted then is right for the whole. Steps that remember rows (duplicates) need this; a pipeline whose `remembers` is
False, and whose `plan_passes` are 0, can start in the middle, but then counts from there.

Lines are what reasons name ("the same as row 7"): give them in increasing order. Several records may have one line.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sampling.curation.filters import FILTERS
from sampling.curation.filters.base import Filter, Numbered, Surroundings, gist_of
from sampling.curation.parameters import BadValue
from sampling.curation.tokenizers import registered_directory
from sampling.intake.records import Record
from sampling.json_lines import kind, shorten

MOST_STEPS = 20
BATCH = 1000
EXAMPLES_KEPT = 20
EXAMPLE_CHARACTERS = 500


class BadStep(Exception):
    """A step that cannot be run, in words. ``step`` is its position, from 0; ``parameter`` may be empty."""

    def __init__(self, message: str, *, step: int, parameter: str = "") -> None:
        super().__init__(message)
        self.step, self.parameter = step, parameter


@dataclass(frozen=True, slots=True)
class Outcome:
    line: int
    record: Record | None  # None: removed
    reason: str = ""
    step: int = -1  # the position of the step that removed it


@dataclass
class Removed:
    """What one step did to the records that came to it."""

    label: str
    gist: str  # its settings in words
    seen: int = 0
    removed: int = 0
    changed: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)  # {"line", "reason", "content"} of the first removed


class Pipeline:
    """Made by `pipeline`; how it is used stands above."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters
        self._planned = [at for at, each in enumerate(filters) if each.needs_plan]
        self._passes_done = 0
        self._counts = [Removed(each.label, gist_of(type(each), each.told)) for each in filters]

    @property
    def plan_passes(self) -> int:
        return len(self._planned)

    @property
    def remembers(self) -> bool:
        """Whether a row's fate may depend on rows before it."""
        return any(each.remembers for each in self._filters)

    @property
    def removed(self) -> list[dict[str, Any]]:
        """One object for each step, in their order."""
        return [vars(each) | {"examples": list(each.examples)} for each in self._counts]

    def plan(self, batch: Sequence[Numbered]) -> None:
        """Show the step that plans in this pass what the steps before it leave."""
        planning = self._planned[self._passes_done]
        rows = list(batch)
        for each in self._filters[:planning]:
            judged = each.judge_all(rows)
            rows = [(line, fate) for (line, _), fate in zip(rows, judged, strict=True) if isinstance(fate, Record)]
        self._filters[planning].plan(rows)

    def end_pass(self) -> None:
        self._filters[self._planned[self._passes_done]].settle()
        self._passes_done += 1
        for each in self._filters:
            each.restart()

    def feed(self, batch: Sequence[Numbered]) -> list[Outcome]:
        """The fate of each record of the batch, in order. Call it after all passes."""
        if self._passes_done < self.plan_passes:
            raise RuntimeError(f"{self.plan_passes - self._passes_done} planning passes are missing: see the module.")
        outcomes: list[Outcome] = [Outcome(line, record) for line, record in batch]
        left = list(range(len(outcomes)))
        for at, each in enumerate(self._filters):
            left = self._step(at, each, outcomes, left)
        return outcomes

    def _step(self, at: int, each: Filter, outcomes: list[Outcome], left: list[int]) -> list[int]:
        counts = self._counts[at]
        rows = [(outcomes[place].line, outcomes[place].record) for place in left]
        still_left = []
        for place, (line, record), fate in zip(left, rows, each.judge_all(rows), strict=True):
            if isinstance(fate, str):
                outcomes[place] = Outcome(line, None, fate, at)
                _count_removed(counts, line, record, fate)
                continue
            still_left.append(place)
            if fate is not record:
                counts.changed += 1
                outcomes[place] = Outcome(line, fate)
        counts.seen += len(left)
        return still_left

    def sift(
        self, open_rows: Callable[[], Iterable[Numbered]], *, on_rows: Callable[[int], object] = lambda rows: None
    ) -> Iterator[Outcome]:
        """All passes over rows that may be opened again. ``on_rows`` is told of each batch, while planning too."""
        for _ in range(self.plan_passes - self._passes_done):
            for batch in in_batches(open_rows()):
                self.plan(batch)
                on_rows(len(batch))
            self.end_pass()
        for batch in in_batches(open_rows()):
            yield from self.feed(batch)
            on_rows(len(batch))


def _count_removed(counts: Removed, line: int, record: Record, reason: str) -> None:
    counts.removed += 1
    if len(counts.examples) < EXAMPLES_KEPT:
        counts.examples.append({"line": line, "reason": reason, "content": content_of(record)})


def pipeline(
    steps: Sequence[dict[str, Any]],
    *,
    seed: int = 17,
    directory_of: Callable[[str], str] = registered_directory,
) -> Pipeline:
    """Filters ready to be fed; raises BadStep. ``directory_of``: where a model that is named has its tokenizer."""
    checked = check(steps)
    surroundings = Surroundings(seed=seed, directory_of=directory_of)
    filters = []
    for at, step in enumerate(checked):
        kind_of_filter = FILTERS[step["filter"]]
        told = {name: value for name, value in step.items() if name != "filter"}
        try:
            filters.append(kind_of_filter(told, surroundings))
        except BadValue as bad:
            raise _bad(at, kind_of_filter, str(bad), bad.parameter) from None
    return Pipeline(filters)


def check(steps: Any) -> list[dict[str, Any]]:
    """The steps with every parameter of each, typed and in its bounds; raises BadStep."""
    if not isinstance(steps, list):
        raise BadStep(f"Filters are {kind(steps)}; they must be a list of steps.", step=0)
    if len(steps) > MOST_STEPS:
        raise BadStep(f"There are {len(steps)} filters; at most {MOST_STEPS} run one after another.", step=MOST_STEPS)
    return [_checked(at, step) for at, step in enumerate(steps)]


def _checked(at: int, step: Any) -> dict[str, Any]:
    if not isinstance(step, dict) or not isinstance(step.get("filter"), str):
        raise BadStep(f'Filter {at + 1} is {kind(step)}; it must be an object like {{"filter": "turns"}}.', step=at)
    which = FILTERS.get(step["filter"])
    if which is None:
        names = ", ".join(FILTERS)
        raise BadStep(f'Filter {at + 1}, "{shorten(step["filter"])}", is unknown. There are: {names}.', step=at)
    known = {parameter.name for parameter in which.parameters}
    if unknown := set(step) - known - {"filter"}:
        name = min(unknown)
        raise _bad(at, which, f'"{shorten(name)}" is unknown; there are {", ".join(sorted(known)) or "none"}.', name)
    told = {"filter": which.key}
    for parameter in which.parameters:
        try:
            told[parameter.name] = parameter.read(step.get(parameter.name, parameter.default))
        except BadValue as bad:
            raise _bad(at, which, f"{parameter.label}: {bad}", parameter.name) from None
    try:
        which.check(told)
    except BadValue as bad:
        raise _bad(at, which, str(bad), bad.parameter) from None
    return told


def _bad(at: int, which: type[Filter], words: str, parameter: str) -> BadStep:
    return BadStep(f"Filter {at + 1} ({which.label}): {words}", step=at, parameter=parameter)


def describe(steps: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """(label, settings in words) of each step; raises BadStep."""
    return [(FILTERS[step["filter"]].label, gist_of(FILTERS[step["filter"]], step)) for step in check(list(steps))]


def content_of(record: Record) -> str:
    """How a record is shown where it was removed: its turns, cut."""
    parts = [f"{message['role']}: {message['content']}" for message in record.messages]
    if len(parts) == 1:
        parts = [record.messages[0]["content"]]
    parts += [f"completion: {completion.text}" for completion in record.completions]
    room = max(80, EXAMPLE_CHARACTERS // max(1, len(parts)))
    return shorten("\n".join(shorten(part, room) for part in parts), EXAMPLE_CHARACTERS)


def in_batches(rows: Iterable[Numbered], size: int = BATCH) -> Iterator[list[Numbered]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch
