"""What every record must be, whichever format and whatever row it came of."""

import json

from sampling.intake.formats.preferences import STRENGTHS
from sampling.intake.records import JudgedBy, Record


def check(record: Record) -> None:
    """That a store can keep it: texts, JSON, rankings that place each completion once."""
    assert record.messages
    assert record.messages[-1]["role"] == "user"
    assert all(set(turn) == {"role", "content"} for turn in record.messages)
    assert all(turn["role"] in ("user", "assistant") for turn in record.messages[1:])
    asked, answered = ([turn["content"] for turn in record.messages], [found.text for found in record.completions])
    assert all(text.strip() for text in asked)
    assert len(answered) != 1 or answered[0].strip()  # of several, one may say nothing
    texts = asked + answered
    assert record.split in ("", "train", "eval")
    _check_storable([texts, record.metadata, [[one.writer, one.metadata] for one in record.completions]])
    for judgment in record.judgments:
        placed = sorted(position for group in judgment.groups for position in group)
        assert placed == list(range(len(record.completions)))
        assert all(judgment.groups)
        assert judgment.strengths == () or len(judgment.strengths) == len(judgment.groups) - 1
        assert set(judgment.strengths) <= set(STRENGTHS)
        assert isinstance(judgment.by, JudgedBy)
        assert judgment.at is None or judgment.at.tzinfo is not None
        marks = {str(position): mark for position, mark in judgment.marks.items()}
        assert set(judgment.marks) <= set(placed)
        _check_storable([judgment.annotator, judgment.rationale, judgment.source, judgment.seconds_spent, marks])


def _check_storable(value: object) -> None:
    """PostgreSQL's JSON: no NaN, no NUL, no half of a surrogate pair."""
    written = json.dumps(value, allow_nan=False, ensure_ascii=False)
    written.encode()
    assert "\\u0000" not in written.replace("\\\\", "")
