"""Completions, imported: the shared half of whatever brings texts to compare, and the store that keeps no more.

For other stores (annotation's judgments)::

    kept = keep_prompts_and_completions(data_import, batch)     # inside the transaction of Store.store
    for numbered, here in zip(batch, kept, strict=True):
        here.prompt_id, here.completion_ids                     # parallel to numbered.record.completions

It takes a handful of statements for a batch of any size. Imports into one prompt set take turns, batch by batch: the
set's row stays locked until the caller's transaction ends, so two of them never wait for each other.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django import forms

from sampling.importing import sql, undoing
from sampling.importing.prompts import keep_prompts
from sampling.importing.stores import Numbered, Stored
from sampling.intake.records import FoundCompletion, Record
from sampling.models import DataImport

WRITER_CHARACTERS = 200  # Completion.written_by_model
FINISH_REASONS = ("stop", "length")
MOST_COMPLETIONS = 1000  # of one record; nobody means to have more, and each one's place must fit into a small integer

Key = tuple[int, str]  # (prompt id, import key)


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """Where one record's texts are now. What was there already is found, and not added again."""

    prompt_id: int
    completion_ids: tuple[int, ...]  # in the record's order; never twice the same
    is_new_prompt: bool
    new_completions: int


def keep_prompts_and_completions(data_import: DataImport, batch: Sequence[Numbered]) -> list[KeptRecord]:
    """Keep the prompts of a batch and their completions; what was kept of each record, in the batch's order."""
    prompts = keep_prompts(data_import, batch)
    found: dict[Key, tuple[int, FoundCompletion]] = {}  # with the place that it has in its record
    keys: list[list[Key]] = []
    for numbered, prompt in zip(batch, prompts, strict=True):
        keys.append([(prompt.id, key) for key in import_keys(numbered.record.completions)])
        for place, (key, completion) in enumerate(zip(keys[-1], numbered.record.completions, strict=True)):
            found.setdefault(key, (place, completion))
    ids, new = _completions(data_import, found)
    kept = []
    for prompt, of_record in zip(prompts, keys, strict=True):
        here_first = new.intersection(of_record)
        new -= here_first  # a later record of the batch that has them too adds nothing
        kept.append(KeptRecord(prompt.id, tuple(ids[key] for key in of_record), prompt.is_new, len(here_first)))
    return kept


def import_keys(completions: Sequence[FoundCompletion]) -> Iterator[str]:
    """What each completion is found by again: writer and text, and for equal ones in a record which of them it is.

    By the writer's whole name: of two names that differ only late, what is kept to be shown (`_writer`) is the same.
    """
    seen: Counter[str] = Counter()
    for completion in completions:
        content = f"{completion.writer}\0{completion.text}"
        seen[content] += 1
        ordinal = f"\0{seen[content]}" if seen[content] > 1 else ""
        yield hashlib.sha256(f"{content}{ordinal}".encode()).hexdigest()


def _completions(
    data_import: DataImport, found: dict[Key, tuple[int, FoundCompletion]]
) -> tuple[dict[Key, int], set[Key]]:
    """The ids of all, and which of them are new."""
    if not found:
        return {}, set()
    rows = [
        {
            "prompt_id": prompt_id,
            "index": place,
            "text": completion.text,
            "finish_reason": _finish_reason(completion),
            "writer": _writer(completion),
            "import_key": import_key,
        }
        for (prompt_id, import_key), (place, completion) in found.items()
    ]
    inserted = sql.fetched(sql.INSERT_COMPLETIONS, [data_import.pk, sql.as_rows(rows)])
    ids = {(prompt_id, import_key): pk for prompt_id, import_key, pk in inserted}
    new = set(ids)
    there = [key for key in found if key not in new]
    if there:
        wanted = [[prompt_id for prompt_id, _ in there], [import_key for _, import_key in there]]
        ids |= {(prompt_id, key): pk for prompt_id, key, pk in sql.fetched(sql.FIND_COMPLETIONS, wanted)}
    return ids, new


def _writer(completion: FoundCompletion) -> str:
    return completion.writer[:WRITER_CHARACTERS]


def _finish_reason(completion: FoundCompletion) -> str:
    """Empty where the source does not say it."""
    said = completion.metadata.get("finish_reason")
    return said if said in FINISH_REASONS else ""


class CompletionStore:
    """Keeps prompts with what was answered to them."""

    label = "completions"
    form = forms.Form  # nothing to be told

    def __init__(self, data_import: DataImport) -> None:
        self.data_import = data_import

    def problem_of(self, record: Record) -> str | None:
        return problem_with_completions(record, at_least=1)

    def store(self, batch: Sequence[Numbered]) -> Stored:
        stored = Stored()
        for record in keep_prompts_and_completions(self.data_import, batch):
            stored.prompts += record.is_new_prompt
            stored.completions += record.new_completions
            stored.known += not (record.is_new_prompt or record.new_completions)
        return stored

    def undo(self, go_on: Callable[[str], object]) -> None:
        undoing.take_out_completions(self.data_import, go_on)
        undoing.take_out_prompts(self.data_import, go_on)


def problem_with_completions(record: Record, *, at_least: int) -> str | None:
    """Whether it has too few completions, or too many to be kept."""
    count = len(record.completions)
    if count < at_least:
        has = "no completion" if count == 0 else f"{count} completion{'' if count == 1 else 's'}"
        return f"The row has {has}; it needs at least {at_least}. See that the format and the columns are right."
    if count > MOST_COMPLETIONS:
        return f"The row has {count:,} completions to one prompt; at most {MOST_COMPLETIONS:,} are kept."
    return None
