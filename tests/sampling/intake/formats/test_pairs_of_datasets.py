"""Pairs as published datasets have them: on a scale, with a winner, by several annotators."""

from datetime import UTC, datetime

import pytest

from sampling.intake import formats
from sampling.intake.formats.preferences import FIRST, SECOND, TIE
from sampling.json_lines import Unusable


def one(row: dict, key: str):
    assert formats.recognise([row]) == key
    [record] = formats.read(row, key)
    return record


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}


def texts(record) -> list[str]:
    return [completion.text for completion in record.completions]


@pytest.mark.parametrize(
    ("level", "groups", "strengths"),
    [
        (-3, FIRST, ("significantly_better",)),
        (-2, FIRST, ("better",)),
        (-1, FIRST, ("slightly_better",)),
        (0, TIE, ()),
        (1, SECOND, ("slightly_better",)),
        (2, SECOND, ("better",)),
        (3, SECOND, ("significantly_better",)),
    ],
)
def test_the_helpsteer_scale_is_negative_where_the_first_is_better(level, groups, strengths):
    two = {"prompt": "a", "response_1": "b", "response_2": "c", "preference_strength": level}
    three = {"context": [user("a")], "response1": "b", "response2": "c", "overall_preference": level}
    for row, key in ((two, "helpsteer2_preference"), (three, "helpsteer3")):
        [judgment] = one(row, key).judgments
        assert (judgment.groups, judgment.strengths, judgment.annotator) == (groups, strengths, "")


def test_each_of_helpsteer2s_three_preferences_is_a_judgment_and_none_that_finds_neither_valid():
    said = [
        {"statement": "@Response 1 is better.", "elaboration": "It is right.", "strength": -2},
        {"statement": "Neither.", "elaboration": "", "strength": -100},
        {"statement": "@Response 2 is slightly better.", "elaboration": "", "strength": 1},
    ]
    row = {"split": "val", "prompt": "a", "response_1": "b", "response_2": "c", "preference_strength": -1,
           "three_most_similar_preferences": said, "all_preferences_unprocessed": said}  # fmt: skip
    record = one(row, "helpsteer2_preference")
    first, third = record.judgments
    assert (first.annotator, first.groups, first.strengths) == ("annotator 1", FIRST, ("better",))
    assert first.rationale == "@Response 1 is better.\n\nIt is right."
    assert (third.annotator, third.groups, third.strengths) == ("annotator 3", SECOND, ("slightly_better",))
    assert record.metadata == {"preference_strength": -1}
    assert record.split == "eval"


def test_each_individual_preference_of_helpsteer3_is_a_judgment_with_its_reason():
    row = {
        "domain": "code", "language": "python", "context": [user("a"), assistant("x"), user("y")], "response1": "b",
        "response2": "c", "overall_preference": -2,
        "individual_preference": [
            {"score": -3, "reasoning": "The first runs.", "feedback1": "Runs.", "feedback2": "Does not."},
            {"score": 0, "reasoning": ""},
            {"score": -1, "annotator": "annotator-1f", "strength": "negligibly_better", "kind": "simulated"},
        ],
    }  # fmt: skip
    record = one(row, "helpsteer3")
    assert [judgment.groups for judgment in record.judgments] == [FIRST, TIE, FIRST]
    assert [judgment.annotator for judgment in record.judgments] == ["annotator 1", "annotator 2", "annotator-1f"]
    assert [judgment.strengths for judgment in record.judgments] == [
        ("significantly_better",), (), ("negligibly_better",),
    ]  # fmt: skip
    assert record.judgments[0].rationale == "The first runs."
    assert record.judgments[0].source == {"score": -3, "feedback1": "Runs.", "feedback2": "Does not."}
    assert [judgment.by for judgment in record.judgments] == ["person", "person", "model"]
    assert record.metadata == {"category": "code", "language": "python", "overall_preference": -2}
    assert len(record.messages) == 3


@pytest.mark.parametrize("score", [4, -4, 0.5, "three", None, True])
def test_a_preference_off_the_scale_is_told(score):
    row = {"prompt": "a", "response_1": "b", "response_2": "c", "preference_strength": score}
    with pytest.raises(Unusable, match="preference_strength"):
        formats.read(row, "helpsteer2_preference")


def test_openai_rows_are_pairs_and_rows_with_tools_are_told():
    row = {
        "input": {"messages": [user("Cold?")], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [assistant("Yes.")], "non_preferred_output": [assistant("Maybe.")],
    }  # fmt: skip
    record = one(row, "openai_preference")
    assert (record.messages, texts(record)) == ((user("Cold?"),), ["Yes.", "Maybe."])
    row["input"]["tools"] = [{"type": "function"}]
    with pytest.raises(Unusable, match="tools, which cannot be read"):
        formats.read(row, "openai_preference")


def battle(**changed) -> dict:
    return {
        "question_id": "q", "model_a": "m1", "model_b": "m2", "winner": "model_a", "judge": "arena_user_973",
        "conversation_a": [user("Hi"), assistant("Hello")], "conversation_b": [user("Hi"), assistant("Yo")], "turn": 1,
        "language": "English", "tstamp": 1682351591.1322, "toxic_chat_tag": {"x": False}, "anony": True,
    } | changed  # fmt: skip


@pytest.mark.parametrize(
    ("winner", "groups", "all_bad"),
    [
        ("model_a", FIRST, False),
        ("model_b", SECOND, False),
        ("tie", TIE, False),
        ("tie (bothbad)", TIE, True),
        ("both_bad", TIE, True),
        ("tie (inconsistent)", TIE, False),
    ],
)
def test_an_arena_battle_has_a_winner_or_is_a_tie(winner, groups, all_bad):
    [judgment] = one(battle(winner=winner), "arena").judgments
    assert (judgment.groups, judgment.all_bad) == (groups, all_bad)
    assert judgment.source == {"winner": winner, "question_id": "q", "turn": 1, "anony": True}


def test_an_arena_battle_keeps_its_models_judge_and_time():
    record = one(battle(), "arena")
    [judgment] = record.judgments
    assert [found.writer for found in record.completions] == ["m1", "m2"]
    assert (judgment.annotator, judgment.by) == ("arena_user_973", "person")
    assert judgment.at.isoformat().startswith("2023-04-24T15:53:11")  # 1,682,351,591 s after 1970
    assert record.metadata == {"language": "English"}
    assert one(battle(judge=["gpt-4", "pair-v2"]), "arena").judgments[0].by == "model"


def test_only_the_turns_that_were_judged_count():
    more_a, more_b = [user("Why?"), assistant("So.")], [user("Why?"), assistant("No.")]
    longer = battle(
        conversation_a=battle()["conversation_a"] + more_a, conversation_b=battle()["conversation_b"] + more_b
    )
    record = one(longer, "arena")  # of turn 1
    assert (record.messages, texts(record)) == ((user("Hi"),), ["Hello", "Yo"])
    with pytest.raises(Unusable, match="differ before their last answers"):
        formats.read(longer | {"turn": 2}, "arena")


def test_an_unknown_winner_is_told_with_those_that_there_are():
    with pytest.raises(Unusable, match=r"unknown \('a'\).*model_a, model_b, tie"):
        formats.read(battle(winner="a"), "arena")


def test_llama_factory_sides_are_single_messages():
    row = {
        "conversations": [{"from": "system", "value": "x"}, {"from": "human", "value": "a"}],
        "chosen": {"from": "gpt", "value": "b"}, "rejected": {"from": "gpt", "value": "c"},
    }  # fmt: skip
    record = one(row, "llama_factory")
    assert record.messages == ({"role": "system", "content": "x"}, user("a"))
    assert texts(record) == ["b", "c"]


def test_llama_factory_messages_may_be_in_parts():
    def turn(role: str, said: str) -> dict:
        return {"role": role, "content": [{"type": "text", "value": said}], "loss_weight": 0.0}

    row = {
        "chosen_messages": [turn("user", "a"), turn("assistant", "b")],
        "rejected_messages": [turn("user", "a"), turn("assistant", "c")],
    }
    record = one(row, "llama_factory")
    assert (record.messages, texts(record)) == ((user("a"),), ["b", "c"])


def test_of_a_stack_exchange_pair_the_first_is_better():
    [judgment] = one(
        {"qid": 7, "question": "a", "response_j": "b", "response_k": "c"}, "stack_exchange_paired"
    ).judgments
    assert (judgment.groups, judgment.by, judgment.source) == (FIRST, "votes", {"qid": 7})


def test_pandalm_has_a_judgment_of_each_annotator():
    row = {"idx": 0, "motivation_app": "x", "cmp_key": "bloom-7b_llama-7b", "instruction": "a", "input": "z",
           "response1": "b", "response2": "c", "annotator1": 2, "annotator2": 0, "annotator3": 1}  # fmt: skip
    record = one(row, "pandalm")
    assert [judgment.groups for judgment in record.judgments] == [SECOND, TIE, FIRST]
    assert [judgment.annotator for judgment in record.judgments] == ["annotator1", "annotator2", "annotator3"]
    assert [found.writer for found in record.completions] == ["bloom-7b", "llama-7b"]
    assert record.messages == (user("a\nz"),)


def test_tulu_has_strengths_and_what_is_acceptable():
    row = {"id": 3, "prompt": "a", "model_a": "m1", "model_b": "m2", "completion_a": "b", "completion_b": "c",
           "completion_a_is_acceptable": "no", "completion_b_is_acceptable": "yes",
           "preference": "b-is-slightly-better", "instance_quality": float("nan"), "comment": float("nan"),
           "evaluator": "yo", "timestamp": "2023-05-21 19:30:13"}  # fmt: skip
    [judgment] = one(row, "tulu_human_eval").judgments
    assert (judgment.groups, judgment.strengths, judgment.annotator) == (SECOND, ("slightly_better",), "yo")
    assert judgment.at == datetime(2023, 5, 21, 19, 30, 13, tzinfo=UTC)
    assert judgment.marks == {0: {"aspects": {"acceptable": 0}}, 1: {"aspects": {"acceptable": 1}}}
    assert (judgment.rationale, judgment.source) == ("", {"id": 3})


def test_llmbar_says_which_of_two_is_right():
    [judgment] = one({"input": "a", "output_1": "b", "output_2": "c", "label": 2}, "llmbar").judgments
    assert judgment.groups == SECOND
