"""Records of few words."""

from sampling.curation.steps import pipeline
from sampling.intake.records import FoundCompletion, FoundJudgment, Record


def record(text="Why is the sky blue?", *completions, system="", split="", annotator="", **metadata):
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    judgments = (FoundJudgment(groups=((0,), (1,)), annotator=annotator),) if annotator else ()
    return Record(
        messages=tuple(messages),
        completions=tuple(FoundCompletion(completion) for completion in completions),
        judgments=judgments,
        split=split,
        metadata=metadata,
    )


def sifted(steps, records, *, seed=17, **options):
    """(the pipeline afterwards, the outcomes) of records in lines 1, 2, 3 ..."""
    filters = pipeline(steps, seed=seed, **options)
    rows = list(enumerate(records, start=1))
    return filters, list(filters.sift(lambda: iter(rows)))


def kept(steps, records, **options):
    """The lines of the records that are left."""
    return [outcome.line for outcome in sifted(steps, records, **options)[1] if outcome.record is not None]


def reasons(steps, records, **options):
    """By line, why those that were removed were."""
    return {outcome.line: outcome.reason for outcome in sifted(steps, records, **options)[1] if outcome.record is None}
