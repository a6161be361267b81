"""Prompts, imported: each once in its set, with the split that its row names or its content decides."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django import forms

from sampling.importing import sql, undoing
from sampling.importing.options import Options, options_of
from sampling.importing.stores import Numbered, Stored
from sampling.intake.records import Record
from sampling.models import DataImport, PromptSet, Split
from sampling.prompt_files import content_hash_of


class KeptPrompt(NamedTuple):
    id: int
    is_new: bool


def keep_prompts(data_import: DataImport, batch: Sequence[Numbered]) -> list[KeptPrompt]:
    """Keep the prompts of a batch, each once; what was kept of each record, in the batch's order.

    Inside the caller's transaction, to whose end the prompt set's row stays locked.
    """
    # Imports into one set take turns, so that none waits for a row of another that waits for its own.
    PromptSet.objects.select_for_update(no_key=True).get(pk=data_import.prompt_set_id)
    options = options_of(data_import.options)
    hashes = [content_hash_of(numbered.record.messages) for numbered in batch]
    records: dict[str, Record] = {}
    for content_hash, numbered in zip(hashes, batch, strict=True):
        records.setdefault(content_hash, numbered.record)
    ids, new = _inserted(data_import, records, options)
    kept = []
    for content_hash in hashes:
        kept.append(KeptPrompt(ids[content_hash], content_hash in new))
        new.discard(content_hash)  # the batch's next record of the same prompt finds it there
    return kept


def _inserted(data_import: DataImport, records: dict[str, Record], options: Options) -> tuple[dict[str, int], set[str]]:
    """The ids of all by their hash, and which of them are new."""
    rows = [
        {
            "messages": record.messages,
            "split": split_of(record, content_hash, options),
            "metadata": dict(record.metadata),
            "content_hash": content_hash,
        }
        for content_hash, record in records.items()
    ]
    ids = dict(sql.fetched(sql.INSERT_PROMPTS, [data_import.prompt_set_id, data_import.pk, sql.as_rows(rows)]))
    new = set(ids)
    there = [content_hash for content_hash in records if content_hash not in new]
    if there:
        ids |= dict(sql.fetched(sql.FIND_PROMPTS, [data_import.prompt_set_id, there]))
    return ids, new


def split_of(record: Record, content_hash: str, options: Options) -> str:
    """The split that the row names; else by a draw that is the same for all of one group, in any file and order."""
    if record.split:
        return record.split
    drawn_by = content_hash
    if options.split_group and options.split_group in record.metadata:
        group = json.dumps(record.metadata[options.split_group], sort_keys=True, ensure_ascii=False)
        drawn_by = hashlib.sha256(group.encode()).hexdigest()
    place = int(drawn_by[:8], 16) / 2**32  # 0 to 1, evenly
    return Split.EVAL.value if place * 100 < options.eval_percent else Split.TRAIN.value


class PromptStore:
    """Keeps prompts; what else the rows say is left where it is."""

    label = "prompts"
    form = forms.Form  # nothing to be told

    def __init__(self, data_import: DataImport) -> None:
        self.data_import = data_import

    def problem_of(self, record: Record) -> str | None:
        return None  # a record is a prompt that can be stored

    def store(self, batch: Sequence[Numbered]) -> Stored:
        kept = keep_prompts(self.data_import, batch)
        added = sum(prompt.is_new for prompt in kept)
        return Stored(prompts=added, known=len(kept) - added)

    def undo(self, go_on: Callable[[str], object]) -> None:
        undoing.take_out_prompts(self.data_import, go_on)
