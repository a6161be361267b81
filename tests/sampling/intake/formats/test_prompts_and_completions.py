"""Formats without judgments: prompts, conversations, answers, and answers with a label or ratings."""

import pytest

from sampling.intake import formats
from sampling.json_lines import Unusable


def one(row: dict, key: str):
    [record] = formats.read(row, key)
    return record


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?"},
        {"text": "Why?"},
        {"question": "Why?"},
        {"instruction": "Why?", "input": ""},
        {"prompt": [{"role": "user", "content": "Why?"}]},
        {"messages": [{"role": "user", "content": "Why?"}]},
        {"question_id": 81, "turns": ["Why?", "And then?"]},
    ],
)
def test_a_plain_prompt_goes_by_several_names(row):
    assert formats.recognise([row]) == "prompts"
    assert one(row, "prompts").messages == (user("Why?"),)


def test_what_else_a_prompt_row_holds_becomes_metadata():
    row = {"question": "Why?", "lang": "ko", "level": 3, "empty": "", "nan": float("nan"), "split": "test",
           "metadata": {"id": 7}, "system": "Be brief."}  # fmt: skip
    record = one(row, "prompts")
    assert record.metadata == {"language": "ko", "level": 3, "id": 7}
    assert record.split == "eval"
    assert record.messages == ({"role": "system", "content": "Be brief."}, user("Why?"))


def test_a_field_of_thousands_of_characters_is_left_out_of_the_metadata():
    assert one({"prompt": "Why?", "page": "x" * 2001, "note": "x" * 2000}, "prompts").metadata == {"note": "x" * 2000}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": " "}, '"prompt" is empty'),
        ({"prompt": 7}, '"prompt" is a number; it must be text'),
        ({"prompt": "a\0b"}, "NUL"),
        ({"prompt": "a", "tag": "\ud800"}, "surrogate"),
        ({"prompt": [user("Hi"), assistant("Hello")]}, 'from "assistant"; it must be the user\'s.*Cut'),
        ({"messages": [user("Hi"), {"role": "system", "content": "x"}, user("a")]}, "only the first"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "unknown .'wizard'.*system, user or assistant"),
        ({"messages": [user("Hi"), {"role": "tool", "content": "7"}, user("a")]}, "Conversations with tools"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "Only text can be read",
        ),
        ({"messages": [user("Hi"), assistant(" "), user("a")]}, "empty message of the assistant"),
        ({"messages": [{"role": "system", "content": "x"}, user("a")], "system": "y"}, "give one"),
        ({"title": "x"}, "has no prompt. Name the field"),
        ({"prompt": "a", "deep": [[[[[[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]]]]]}, "nested more than 20"),
        ({"prompt": "a", "big": 10**400}, "hundreds of digits"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_told_with_the_remedy(row, reason):
    with pytest.raises(Unusable, match=reason):
        formats.read(row, "prompts")


def test_the_last_answer_of_a_conversation_is_its_completion():
    record = one({"messages": [user("Hi"), assistant("Hello"), user("Why?"), assistant("So.")], "model": "m"}, "chat")
    assert record.messages == (user("Hi"), assistant("Hello"), user("Why?"))
    assert [(found.text, found.writer) for found in record.completions] == [("So.", "m")]
    assert record.judgments == ()


def test_sharegpt_turns_are_turns():
    row = {
        "id": "x_0",
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Hi"},
            {"from": "gpt", "value": "Hello"},
        ],
    }
    assert formats.recognise([row]) == "chat"
    record = one(row, "chat")
    assert record.messages == ({"role": "system", "content": "Be brief."}, user("Hi"))
    assert record.completions[0].text == "Hello"
    assert record.metadata == {"id": "x_0"}


def test_a_conversation_that_ends_with_the_user_is_a_prompt():
    row = {"conversations": [{"from": "human", "value": "Hi"}]}
    assert one(row, "chat").completions == ()


def test_an_instruction_stands_above_its_input():
    row = {"instruction": "Translate.", "input": "Guten Tag", "output": "Hello", "history": [["a", "b"]]}
    assert formats.recognise([row]) == "alpaca"
    record = one(row, "alpaca")
    assert record.messages == (user("a"), assistant("b"), user("Translate.\nGuten Tag"))
    assert record.completions[0].text == "Hello"


def test_each_instance_of_a_seed_task_is_a_record():
    row = {"instruction": "Double it.", "instances": [{"input": "2", "output": "4"}, {"input": "3", "output": "6"}]}
    records = formats.read(row, "alpaca")
    assert [record.messages[0]["content"] for record in records] == ["Double it.\n2", "Double it.\n3"]
    assert [record.completions[0].text for record in records] == ["4", "6"]


@pytest.mark.parametrize("fields", [("prompt", "completion"), ("question", "answer"), ("query", "response")])
def test_a_prompt_and_its_completion_go_by_several_names(fields):
    row = dict(zip(fields, ("2 + 2?", "4"), strict=True))
    assert formats.recognise([row]) == "prompt_completion"
    record = one(row, "prompt_completion")
    assert (record.messages, record.completions[0].text) == ((user("2 + 2?"),), "4")


def test_several_completions_without_an_order_are_completions():
    row = {"prompt": "2 + 2?", "completions": ["4", {"completion": "5", "model": "m", "seed": 1}]}
    assert formats.recognise([row]) == "prompt_completion"
    first, second = one(row, "prompt_completion").completions
    assert (first.text, first.writer) == ("4", "")
    assert (second.text, second.writer, second.metadata) == ("5", "m", {"seed": 1})


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "completion": "Hello", "label": False},
        {"prompt": [user("Hi")], "completion": [assistant("Hello")], "label": False},
        {"messages": [user("Hi"), assistant("Hello")], "label": False},
        {"instruction": "Hi", "input": "", "output": "Hello", "kto_tag": False},
    ],
)
def test_a_label_of_one_completion_stays_with_it_and_is_no_judgment(row):
    assert formats.recognise([row]) == "trl_unpaired"
    record = one(row, "trl_unpaired")
    assert record.messages == (user("Hi"),)
    assert [(found.text, found.metadata) for found in record.completions] == [("Hello", {"label": False})]
    assert record.judgments == ()


def test_helpsteer2_ratings_stay_with_the_completion():
    row = {"prompt": "c#", "response": "A language.", "helpfulness": 3, "correctness": 4, "coherence": 4,
           "complexity": 2, "verbosity": 1}  # fmt: skip
    assert formats.recognise([row]) == "helpsteer2"
    record = one(row, "helpsteer2")
    assert record.completions[0].metadata == {
        "helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 2, "verbosity": 1,
    }  # fmt: skip
    assert record.metadata == {}


def test_helpsteer2_parts_turns_by_its_own_marks():
    prompt = "Hi\n\n<extra_id_1>Assistant\nHello!\n\n<extra_id_1>User\nWhy?"
    row = {"prompt": prompt, "response": "So.", "helpfulness": 3, "correctness": 4}
    assert one(row, "helpsteer2").messages == (user("Hi"), assistant("Hello!"), user("Why?"))


def test_squares_workers_are_counted_and_not_named():
    row = {"question": "옳은가?", "response": "사람마다 다르다.", "acceptable?": 1, "category": ["inclusive"],
           "question_category": "contentious", "raw_annotations": {"Q2: Acceptable or Non-acceptable": [
               {"workerID": 18034, "acceptable?": "acceptable"}, {"workerID": 18051, "acceptable?": "non-acceptable"},
               {"workerID": 18153, "acceptable?": "acceptable"}]}}  # fmt: skip
    assert formats.recognise([row]) == "square"
    record = one(row, "square")
    assert record.metadata == {"category": "contentious"}
    assert record.completions[0].metadata == {
        "acceptable": 1, "category": ["inclusive"], "votes": {"acceptable": 2, "non-acceptable": 1},
    }  # fmt: skip
    assert "18034" not in repr(record)


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("chat", {"messages": [assistant("Hello")]}),
        ("chat", {"messages": [{"role": "system", "content": "x"}, assistant("Hello")]}),
        ("prompt_completion", {"prompt": "a", "completion": " "}),
        ("prompt_completion", {"prompt": "a", "completion": [user("b")]}),
        ("prompt_completion", {"prompt": "a", "completions": []}),
        ("alpaca", {"instruction": "", "output": "b"}),
        ("trl_unpaired", {"prompt": "a", "completion": "b", "label": "yes"}),
        ("trl_unpaired", {"messages": [user("a")], "label": True}),
        ("helpsteer2", {"prompt": "<extra_id_1>Assistant\nHello", "response": "b", "helpfulness": 1}),
    ],
)
def test_what_is_no_exchange_is_told(key, row):
    with pytest.raises(Unusable):
        formats.read(row, key)
