"""Filters over real rows, which are no part of the project."""

import csv
import json
from pathlib import Path

import pytest

from tests.sampling.curation.records import kept, reasons, record

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: the real sets are no part of the project")


def korean_questions(count):
    with (DATA / "korean-chatbot" / "ChatbotData.csv").open(encoding="utf-8", newline="") as file:
        return [row["Q"] for _, row in zip(range(count), csv.DictReader(file), strict=False)]


def english_instructions():
    lines = (DATA / "self-instruct" / "data" / "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["instruction"] for line in lines]


def test_languages_of_real_prompts_are_told():
    """Of short Korean questions and of English instructions nearly all."""
    korean, english = korean_questions(500), english_instructions()
    rows = [record(text) for text in korean + english]
    in_korean = set(kept([{"filter": "languages", "languages": "ko", "unsure": "remove"}], rows))
    assert len([line for line in in_korean if line <= 500]) >= 490
    assert not [line for line in in_korean if line > 500]
    in_english = set(kept([{"filter": "languages", "languages": "en"}], rows))
    assert len([line for line in in_english if line > 500]) >= 0.97 * len(english)


def pieces(text, length=3):
    folded = " ".join(text.casefold().split())
    return {folded[start : start + length] for start in range(max(1, len(folded) - length + 1))}


def jaccard(one, other):
    return len(one & other) / len(one | other)


def test_near_copies_of_real_questions_are_those_that_comparing_all_finds():
    # Four standard errors of the estimate at 0.5 are 4 * sqrt(0.5 * 0.5 / 128) = 0.18: what is removed has at least 0.3
    # in common with the row that is named, and of what has 0.7 or more in common with a row that stays nothing is left.
    texts = korean_questions(1200)
    step = {"filter": "near_duplicates", "threshold": 0.5, "length": 3}
    told = reasons([step], [record(text) for text in texts])
    sets = [pieces(text) for text in texts]
    assert len(told) > 20
    for line, reason in told.items():
        earlier = int(reason.removeprefix("Nearly the same as row ").removesuffix("."))
        assert jaccard(sets[line - 1], sets[earlier - 1]) >= 0.3
    left = [line for line in range(1, len(texts) + 1) if line not in told]
    assert not [
        (one, other)
        for place, one in enumerate(left)
        for other in left[:place]
        if jaccard(sets[one - 1], sets[other - 1]) >= 0.7
    ]
