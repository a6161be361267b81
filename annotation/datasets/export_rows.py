"""The rows of an export: their columns, and how a judged comparison becomes them. Reads no rows of the database.

Every row of an export has the same columns, and the card declares their types (`features_of`): a column that is
empty throughout one split would otherwise be read as of another type than in the other.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, assert_never

from django.conf import settings

from annotation.datasets.frozen import FrozenJudgment, JudgedComparison, marks_of
from annotation.rules.marks import Mark
from annotation.rules.ranking import Strength

# Llama 2 (arXiv 2307.09288, section 3.2.2), the "margin small" scale. HelpSteer3's 3, 2 and 1 are its first three.
MARGINS = {
    Strength.SIGNIFICANTLY_BETTER: 1.0,
    Strength.BETTER: 2 / 3,
    Strength.SLIGHTLY_BETTER: 1 / 3,
    Strength.NEGLIGIBLY_BETTER: 0.0,
}

Row = dict[str, Any]
Marks = Mapping[str, Any]  # what is marked in a snapshot: {"safety": bool, "aspects": [key...], "defects": bool}
SIDES = ("chosen", "rejected")
_MESSAGES = {"list": {"role": "string", "content": "string"}}


class Rows(StrEnum):
    JUDGMENT = "judgment"  # one row per judgment and pair
    MAJORITY = "majority"  # one row per pair that is agreed on, by the rule that was frozen with the snapshot


def rows_of(judged: JudgedComparison, rows: Rows, marks: Marks) -> Iterator[Row]:
    """The rows of one comparison, in a fixed order. ``marks``: what the snapshot has of them, for its columns."""
    match rows:
        case Rows.JUDGMENT:
            for judgment in judged.counting:
                yield from _judgment_rows(judged, judgment, marks)
        case Rows.MAJORITY:
            for pair in judged.consensus().pairs:
                row = _row(judged, pair.chosen, pair.rejected, pair.strength, pair.votes, pair.votes_against)
                yield row | {"ties": pair.ties, "probability": pair.probability}
        case _:
            assert_never(rows)


def tie_rows(judged: JudgedComparison) -> Iterator[Row]:
    """The pairs in which most see no difference, as rows that say so; no export holds them.

    Which of the two is called chosen means nothing: it is the one that came first.
    """
    for low, high in judged.ties():
        yield _row(judged, low, high, Strength.NEGLIGIBLY_BETTER, votes=0, votes_against=0) | {"tie": True}


def features_of(rows: Rows, marks: Marks) -> dict[str, Any]:
    """Column -> type, in the order of the rows: a dtype, {"list": ...} or {"struct": ...} of such."""
    features: dict[str, Any] = {
        "prompt": _MESSAGES,
        "chosen": _MESSAGES,
        "rejected": _MESSAGES,
        "chosen_finish_reason": "string",
        "rejected_finish_reason": "string",
        "chosen_origin": "string",
        "rejected_origin": "string",
        "strength": "string",
        "margin": "float64",
        "prompt_id": "string",
        "comparison_id": "int64",
        "votes": "int64",
        "votes_against": "int64",
        "is_decision": "bool",
        "split": "string",
    }
    if rows is Rows.MAJORITY:
        features |= {"ties": "int64", "probability": "float64"}
    if rows is Rows.JUDGMENT:
        features |= {"annotator": "string", "kind": "string", "judgment_id": "int64", "all_bad": "bool"}
        for side in SIDES:
            features |= _mark_features(side, marks)
    return features


def pseudonym(annotator_id: int) -> str:
    """A name that is always the same for one annotator of this installation, and says nothing about them."""
    return _pseudonym(settings.PSEUDONYM_KEY, annotator_id)


@lru_cache(maxsize=4096)  # a row a judgment asks for the same few again and again
def _pseudonym(key: str, annotator_id: int) -> str:
    digest = hmac.new(key.encode(), f"whetstone annotator {annotator_id}".encode(), hashlib.sha256)
    return f"annotator-{digest.hexdigest()[:12]}"


def _judgment_rows(judged: JudgedComparison, judgment: FrozenJudgment, marks: Marks) -> Iterator[Row]:
    who = {
        "annotator": pseudonym(judgment.annotator_id),
        "kind": judgment.kind,
        "judgment_id": judgment.pk,
        "all_bad": judgment.all_bad,
    }
    is_marked = any(marks.values())
    marked = marks_of(judgment) if is_marked else {}
    for pair in judged.pairs_by(judgment)[0]:
        row = _row(judged, pair.chosen, pair.rejected, pair.strength, votes=1, votes_against=0) | who
        if is_marked:
            for side, pk in zip(SIDES, (pair.chosen, pair.rejected), strict=True):
                row |= _mark_columns(side, marked.get(pk), marks)
        yield row


def _row(
    judged: JudgedComparison, chosen: int, rejected: int, strength: Strength, votes: int, votes_against: int
) -> Row:
    better, worse = judged.completions[chosen], judged.completions[rejected]
    return {
        "prompt": [{"role": turn["role"], "content": turn["content"]} for turn in judged.prompt.messages],
        "chosen": [{"role": "assistant", "content": better.text}],
        "rejected": [{"role": "assistant", "content": worse.text}],
        # A completion that was cut off does not end where its text does: no trainer should teach that it does.
        "chosen_finish_reason": better.finish_reason,
        "rejected_finish_reason": worse.finish_reason,
        "chosen_origin": better.origin,
        "rejected_origin": worse.origin,
        "strength": str(strength),
        "margin": MARGINS[strength],
        "prompt_id": str(judged.prompt.pk),
        "comparison_id": judged.comparison_id,
        "votes": votes,
        "votes_against": votes_against,
        "is_decision": judged.is_decided,
        "split": judged.prompt.split,
    }


def _mark_features(side: str, marks: Marks) -> dict[str, Any]:
    features: dict[str, Any] = {}
    if marks.get("safety"):
        features[f"{side}_safety"] = "string"
    if aspects := marks.get("aspects"):
        features[f"{side}_aspects"] = {"struct": dict.fromkeys(aspects, "int64")}
    if marks.get("defects"):
        features[f"{side}_defects"] = {"list": "string"}
    return features


def _mark_columns(side: str, mark: Mark | None, marks: Marks) -> Row:
    """Null for what was not marked: an edit, or a judgment from before it was asked."""
    columns: Row = {}
    if marks.get("safety"):
        columns[f"{side}_safety"] = mark.safety.value if mark and mark.safety else None
    if aspects := marks.get("aspects"):
        columns[f"{side}_aspects"] = {aspect: mark.aspects.get(aspect) if mark else None for aspect in aspects}
    if marks.get("defects"):
        columns[f"{side}_defects"] = list(mark.defects) if mark else None
    return columns
