"""Runs filters over the prompts of a set: to see what they remove, and to keep what they leave as another set.

Both read the set in the same way, so what the look tells is what is kept. `Curation.report` holds what was seen:
``{"rows", "left", "changed", "train", "eval", "same", "filters": [by step: label, gist, seen, removed, changed,
examples], "took_seconds"}``; ``same`` counts prompts that the filters made equal to another one: a set has each once.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import IntegrityError, transaction

from sampling.curation.steps import Outcome, Pipeline, pipeline
from sampling.importing.watching import Stop, Watch
from sampling.intake.records import Record
from sampling.models import Curation, Prompt, PromptSet, Split
from sampling.program_runs import ClaimLost
from sampling.prompt_files import content_hash_of

BATCH = 1000
CAME_FROM = "curated_from"  # the metadata key of where a kept prompt stands


class CannotKeep(Exception):
    """The new set cannot be made; the message says why, and the remedy."""


@dataclass
class Tally:
    rows: int = 0
    left: int = 0
    changed: int = 0
    train: int = 0
    eval: int = 0
    same: int = 0

    def count(self, prompt: Prompt, outcome: Outcome) -> None:
        self.rows += 1
        if outcome.record is None:
            return
        self.left += 1
        self.changed += list(outcome.record.messages) != prompt.messages or outcome.record.split != prompt.split
        if outcome.record.split == Split.EVAL:
            self.eval += 1
        else:
            self.train += 1


@dataclass(frozen=True)
class Source:
    """The prompts of a set that there were when the run began: what is added meanwhile, every pass leaves out."""

    prompt_set: PromptSet
    newest: int
    count: int

    def batches(self) -> Iterator[tuple[int, list[Prompt]]]:
        """(how many stood before, a batch). By key, not by a cursor: nothing is held between two batches."""
        before, after = 0, 0
        prompts = self.prompt_set.prompts.filter(pk__lte=self.newest).order_by("pk")
        while batch := list(prompts.filter(pk__gt=after)[:BATCH]):
            yield before, batch
            before, after = before + len(batch), batch[-1].pk


def run(curation: Curation, watch: Watch) -> dict[str, Any]:
    """What the filters do, as the row's report; with a ``new_name`` what they leave is kept as that set.

    Raises BadStep, CannotKeep, and what the watch does.
    """
    began = time.monotonic()
    filters = pipeline(curation.steps, seed=curation.seed)
    source = _source(curation.of)
    total = source.count * (filters.plan_passes + 1)
    done = _plan(filters, source, watch, total)
    made = _made(curation) if curation.new_name else None
    tally = Tally()
    for before, prompts in source.batches():
        watch("copying what is left" if made else "filtering", done=done + before, total=total)
        outcomes = filters.feed(_numbered(before, prompts))
        for prompt, outcome in zip(prompts, outcomes, strict=True):
            tally.count(prompt, outcome)
        if made:
            _copy(curation, made, prompts, outcomes)
    if made:
        tally.same = max(0, tally.left - made.prompts.count())
    took = round(time.monotonic() - began, 2)
    return asdict(tally) | {"filters": filters.removed, "took_seconds": took}


def _source(prompt_set: PromptSet) -> Source:
    newest = prompt_set.prompts.order_by("-pk").values_list("pk", flat=True).first() or 0
    return Source(prompt_set, newest, prompt_set.prompts.filter(pk__lte=newest).count())


def _plan(filters: Pipeline, source: Source, watch: Watch, total: int) -> int:
    """All passes that must come first; how many rows that were."""
    done = 0
    for number in range(1, filters.plan_passes + 1):
        for before, prompts in source.batches():
            watch(f"drawing, pass {number} of {filters.plan_passes}", done=done + before, total=total)
            filters.plan(_numbered(before, prompts))
        filters.end_pass()
        done += source.count
    return done


def _numbered(before: int, prompts: Sequence[Prompt]) -> list[tuple[int, Record]]:
    return [(before + place, record_of(prompt)) for place, prompt in enumerate(prompts, start=1)]


def record_of(prompt: Prompt) -> Record:
    return Record(messages=tuple(prompt.messages), split=prompt.split, metadata=prompt.metadata)


def _made(curation: Curation) -> PromptSet:
    """The set that what is left goes into: made once, and found again by a run that goes on."""
    if curation.made is not None:
        return curation.made
    try:
        with transaction.atomic():
            made = PromptSet.objects.create(name=curation.new_name, created_by=curation.created_by)
            mine = Curation.objects.filter(pk=curation.pk, claim=curation.claim)
            if not mine.update(made=made):
                raise Stop(ClaimLost())
    except IntegrityError:
        raise CannotKeep(
            f'There is a prompt set "{curation.new_name}" already. Keep what the filters leave under another name.'
        ) from None
    curation.made = made
    return made


def _copy(curation: Curation, made: PromptSet, prompts: Sequence[Prompt], outcomes: Sequence[Outcome]) -> None:
    """One batch in one transaction. What is there already, of this run or of an earlier attempt, stays as it is."""
    copies = [
        _copy_of(prompt, outcome.record, curation, made)
        for prompt, outcome in zip(prompts, outcomes, strict=True)
        if outcome.record is not None
    ]
    with transaction.atomic():
        # Like imports: whoever adds to a set takes its turn, so that none waits for a row of another that waits for it.
        PromptSet.objects.select_for_update(no_key=True).get(pk=made.pk)
        Prompt.objects.bulk_create(copies, ignore_conflicts=True)


def _copy_of(prompt: Prompt, record: Record, curation: Curation, made: PromptSet) -> Prompt:
    messages = list(record.messages)
    return Prompt(
        prompt_set=made,
        messages=messages,
        split=record.split or Split.TRAIN,
        metadata=dict(record.metadata) | {CAME_FROM: f"{curation.of.name}, prompt {prompt.pk}"},
        content_hash=content_hash_of(messages),
    )
