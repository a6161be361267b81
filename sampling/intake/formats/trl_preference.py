"""TRL's preference rows: {"prompt", "chosen", "rejected"} (its docs, "Dataset formats and types").

Standard (texts) or conversational (turns), with the prompt said or implicit: what both sides begin with. TRL cuts an
implicit prompt of texts at the first character that differs; here it ends at a blank before that. Whetstone's own
export has more columns, which are read back: strength, annotator, kind, split, and what is said of each side. A
"margin" is kept in the judgment's source.
"""

from collections.abc import Iterator

from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has
from sampling.intake.formats.hh_rlhf import is_row_of_transcripts
from sampling.intake.formats.preferences import (
    FIRST,
    metadata_of,
    record,
    sided_completion,
    sides,
    split_of,
    strength_of,
    without_marks,
)
from sampling.intake.formats.values import (
    PROMPT_FIELDS,
    absent,
    first_of,
    free_text,
    judged_by,
    kept,
    optional_number,
    time,
    who,
)
from sampling.intake.records import FoundJudgment, JudgedBy, Record

_WHEN = ("time", "timestamp", "created_at")
_READ = (
    "prompt", "messages", "conversations", "question", "query", "instruction", "input", "system", "chosen", "rejected",
    "strength", "annotator", "kind", "rationale", "all_bad", "seconds_spent", "split", "metadata",
    *_WHEN, *PROMPT_FIELDS,
)  # fmt: skip


def recognises(row: Row) -> bool:
    if not has(row, "chosen", "rejected") or "score_chosen" in row or "conversations" in row:
        return False
    return not is_row_of_transcripts(row)


def reads(row: Row) -> Iterator[Record]:
    yield read_pair(row)


def read_pair(row: Row, *, by: JudgedBy = JudgedBy.UNKNOWN, is_tie: bool = False) -> Record:
    """A row with two named sides. ``by``: who judges in the row's format, where the row itself does not say."""
    messages, good, bad = sides(row)
    completions, marks = without_marks([sided_completion(row, "chosen", good), sided_completion(row, "rejected", bad)])
    judgment = judgment_of(row, ((0, 1),) if is_tie else FIRST, by=by, marks=marks)
    return record(messages, completions, [judgment], metadata=metadata_of(row), of_split=split_of(row))


def judgment_of(row: Row, groups, *, by: JudgedBy, marks=None) -> FoundJudgment:
    strength = strength_of(row.get("strength")) if len(groups) == 2 else ""
    kind = row.get("kind")
    votes = row.get("votes")
    if kind is not None:
        by = judged_by(kind)
    elif absent(row.get("annotator")) and isinstance(votes, int) and votes > 0:
        by = JudgedBy.VOTES  # our own export by majority
    when = next((name for name in _WHEN if not absent(row.get(name))), "time")
    return FoundJudgment(
        groups=groups,
        strengths=(strength,) if strength else (),
        annotator=who(first_of(row, "annotator")),
        by=by,
        at=time(row.get(when), when),
        rationale=free_text(row.get("rationale"), "rationale"),
        seconds_spent=optional_number(row.get("seconds_spent"), "seconds_spent"),
        all_bad=row.get("all_bad") is True,
        marks=marks or {},
        source={
            name: value for name, value in kept(row, *_READ).items() if not name.startswith(("chosen", "rejected"))
        },
    )


FORMAT = Format(
    key="trl_preference",
    label="TRL preference",
    example='{"prompt": "What colour is the sky?", "chosen": "It is blue.", "rejected": "It is green."}',
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
