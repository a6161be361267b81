"""Which format rows are of, told by their shape."""

import json

import pytest

from sampling.intake import formats
from sampling.intake.formats import FORMATS
from sampling.json_lines import Unusable
from tests.sampling.intake.formats.checking import check

KEYS = list(FORMATS)
BY_SHAPE = [key for key in KEYS if not FORMATS[key].named_only]


def example(key: str) -> dict:
    return json.loads(FORMATS[key].example)


@pytest.mark.parametrize("key", BY_SHAPE)
def test_no_format_takes_the_example_of_another_for_its_own(key):
    assert formats.fitting([example(key)]) == [key]
    assert [other for other in BY_SHAPE if FORMATS[other].recognises(example(key))] == [key]
    assert formats.recognise([example(key)] * 3) == key


@pytest.mark.parametrize("key", KEYS)
def test_the_example_of_a_format_gives_what_the_format_says(key):
    records = formats.read(example(key), key)
    for record in records:
        check(record)
    assert ("completions" in FORMATS[key].gives) == any(record.completions for record in records)
    assert ("judgments" in FORMATS[key].gives) == any(record.judgments for record in records)
    assert "prompts" in FORMATS[key].gives


@pytest.mark.parametrize("key", KEYS)
def test_a_format_has_words_for_people(key):
    assert FORMATS[key].key == key
    assert FORMATS[key].label
    assert len(FORMATS[key].example) < 500


def test_a_file_with_a_few_odd_rows_is_of_the_format_of_the_others():
    rows = [example("arena")] * 4 + [{"something": "else"}, None]
    assert formats.recognise(rows) == "arena"


def test_rows_of_no_known_shape_are_of_no_format():
    assert formats.recognise([{"arg1": "a", "arg2": "b"}]) is None
    assert formats.recognise([example("arena")] + [{"arg1": "a"}] * 3) is None  # one of four
    assert formats.recognise([None]) is None
    assert formats.recognise([]) is None


def test_our_prompt_lines_are_strict_only_by_name():
    row = {"prompt": "Name a river.", "sytem": "Be brief."}
    assert formats.recognise([row]) == "prompts"
    [record] = formats.read(row, "prompts")
    assert record.metadata == {"sytem": "Be brief."}
    with pytest.raises(Unusable, match='Unknown field "sytem"'):
        formats.read(row, "whetstone")


def test_a_format_that_there_is_not_is_told_with_those_that_there_are():
    with pytest.raises(Unusable, match=r'no format "parquet".*prompts, whetstone'):
        formats.read({}, "parquet")


# What annotation/datasets/layouts write, by layout: the columns are theirs, the texts are made up here.
ASKED = [{"role": "user", "content": "Name a tree."}]
OAK, STONE = [{"role": "assistant", "content": "Oak."}], [{"role": "assistant", "content": "Stone."}]
EXPORTED = {
    "trl_preference": {
        "prompt": ASKED, "chosen": OAK, "rejected": STONE, "chosen_finish_reason": "stop",
        "rejected_finish_reason": "length", "chosen_origin": "model", "rejected_origin": "person",
        "strength": "slightly_better", "margin": 1 / 3, "prompt_id": "4", "comparison_id": 9, "votes": 1,
        "votes_against": 0, "is_decision": False, "split": "train", "annotator": "annotator-1f", "kind": "person",
        "judgment_id": 3, "all_bad": False, "chosen_safety": "safe", "rejected_safety": "unsafe",
    },
    "trl_unpaired": {"prompt": ASKED, "completion": OAK, "label": True, "prompt_id": "4", "split": "eval"},
    "chat": {"messages": ASKED + OAK, "wins": 2, "losses": 0, "prompt_id": "4", "split": "train"},
    "rankings": {
        "prompt": ASKED, "completions": [{"text": "Oak.", "model": "a"}, {"text": "Stone.", "model": ""}],
        "ranking": [[0], [1]], "strengths": ["better"], "annotator": "annotator-1f", "kind": "simulated",
        "time": "2026-06-01T12:00:00Z", "judgment_id": 3, "all_bad": False, "split": "train",
    },
    "openai_preference": {
        "input": {"messages": ASKED, "tools": [], "parallel_tool_calls": True}, "preferred_output": OAK,
        "non_preferred_output": STONE,
    },
    "helpsteer3": {
        "domain": "general", "language": "unknown", "context": ASKED, "response1": "Oak.", "response2": "Stone.",
        "overall_preference": -2, "individual_preference": [{"score": -2, "annotator": "annotator-1f"}],
    },
    "ultrafeedback_binarized": {
        "prompt": "Name a tree.", "prompt_id": "4", "chosen": ASKED + OAK, "rejected": ASKED + STONE,
        "messages": ASKED + OAK, "score_chosen": 0.75, "score_rejected": 0.25,
    },
    "arena": {
        "question_id": "4", "model_a": "a", "model_b": "unknown", "winner": "model_a", "judge": "annotator-1f",
        "conversation_a": ASKED + OAK, "conversation_b": ASKED + STONE, "turn": 1, "anony": True,
        "language": "unknown", "tstamp": 1780315200.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("key", list(EXPORTED))
def test_what_we_export_is_recognised_and_says_the_same_when_read_back(key):
    row = EXPORTED[key]
    assert formats.fitting([row]) == [key]
    [record] = formats.read(row, key)
    check(record)
    assert list(record.messages) == ASKED
    assert record.completions[0].text == "Oak."
    if key not in ("trl_unpaired", "chat"):
        assert [completion.text for completion in record.completions] == ["Oak.", "Stone."]
        [judgment] = record.judgments
        assert judgment.groups == ((0,), (1,))


def test_our_own_columns_come_back_with_the_judgment():
    [record] = formats.read(EXPORTED["trl_preference"], "trl_preference")
    [judgment] = record.judgments
    assert (judgment.strengths, judgment.annotator, judgment.by) == (("slightly_better",), "annotator-1f", "person")
    assert judgment.marks == {0: {"safety": "safe"}, 1: {"safety": "unsafe"}}
    assert judgment.source["judgment_id"] == 3
    assert record.split == "train"
    assert record.metadata == {"prompt_id": "4"}
    assert record.completions[1].metadata == {"finish_reason": "length", "origin": "person"}


def test_a_pair_that_most_agree_on_comes_back_as_a_vote():
    row = {**EXPORTED["trl_preference"], "votes": 3, "votes_against": 1}
    for name in ("annotator", "kind"):
        del row[name]
    [judgment] = formats.read(row, "trl_preference")[0].judgments
    assert (judgment.by, judgment.annotator) == ("votes", "")
    assert (judgment.source["votes"], judgment.source["votes_against"]) == (3, 1)
    [judgment] = formats.read({**EXPORTED["arena"], "judge": "majority", "tstamp": None}, "arena")[0].judgments
    assert (judgment.by, judgment.annotator, judgment.at) == ("votes", "", None)
