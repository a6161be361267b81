"""What Label Studio and Argilla export."""

from datetime import UTC, datetime

import pytest

from sampling.intake import formats
from sampling.intake.formats.preferences import FIRST, SECOND, TIE
from sampling.json_lines import Unusable


def one(row: dict, key: str):
    assert formats.recognise([row]) == key
    [record] = formats.read(row, key)
    return record


def picked(side: str, to_name: object = ("answer1", "answer2")) -> dict:
    to_name = list(to_name) if isinstance(to_name, tuple) else to_name
    return {"from_name": "pw", "to_name": to_name, "type": "pairwise", "value": {"selected": side}, "id": "x"}


def annotation(*results: dict, **more) -> dict:
    return {
        "id": 7, "completed_by": 3, "created_at": "2026-03-09T22:16:08.728353Z", "lead_time": 4.288,
        "was_cancelled": False, "result": list(results), **more,
    }  # fmt: skip


def task(*annotations: dict, **data) -> dict:
    data = data or {"prompt": "a", "answer1": "b", "answer2": "c", "topic": "birds"}
    return {"id": 1, "data": data, "annotations": list(annotations), "predictions": [{"result": [picked("right")]}]}


def test_label_studio_has_a_judgment_of_each_annotation():
    reason = {"from_name": "why", "to_name": "prompt", "type": "textarea", "value": {"text": ["Shorter.", "Right."]}}
    clear = {"from_name": "clear", "to_name": "prompt", "type": "choices", "value": {"choices": ["yes"]}}
    record = one(
        task(
            annotation(picked("left"), reason, clear),
            annotation(picked("right"), completed_by={"id": 5, "email": "bob@example.org"}),
            annotation(picked("left"), was_cancelled=True),
            annotation(),
        ),
        "label_studio",
    )
    first, second = record.judgments
    assert (first.groups, first.annotator, first.by) == (FIRST, "3", "person")
    assert first.at == datetime(2026, 3, 9, 22, 16, 8, 728353, tzinfo=UTC)
    assert (first.seconds_spent, first.rationale) == (4.288, "Shorter.\n\nRight.")
    assert first.source == {"id": 7, "clear": ["yes"]}
    assert (second.groups, second.annotator) == (SECOND, "5")
    assert record.metadata == {"topic": "birds", "id": 1}


def test_tags_that_are_named_otherwise_are_found_by_pairs_of_fields():
    row = task(annotation(picked("right", ("txt-1", "txt-2"))), question="a", response_a="b", response_b="c")
    record = one(row, "label_studio")
    assert [found.text for found in record.completions] == ["b", "c"]
    assert record.judgments[0].groups == SECOND


def test_a_task_that_nobody_annotated_gives_its_completions():
    record = one(task(), "label_studio")
    assert ([found.text for found in record.completions], record.judgments) == (["b", "c"], ())


def test_the_short_export_is_read_as_well():
    row = {"id": 1, "prompt": "a", "answer1": "b", "answer2": "c", "comparison": [picked("left")["value"]],
           "annotator": 3, "annotation_id": 7, "created_at": "2026-03-09T22:16:08Z", "lead_time": 4.3}  # fmt: skip
    record = one(row, "label_studio")
    [judgment] = record.judgments
    assert (judgment.groups, judgment.annotator, judgment.source) == (FIRST, "3", {"id": 7})
    assert one(row | {"comparison": "right"}, "label_studio").judgments[0].groups == SECOND


def test_a_ranker_with_one_list_is_a_ranking_and_one_with_buckets_is_told():
    items = [{"id": "b", "title": "B", "body": "text b"}, {"id": "c", "body": "text c"}, {"id": "d", "body": "text d"}]

    def ranked(**lists) -> dict:
        result = {"type": "ranker", "from_name": "rank", "to_name": "results", "value": {"ranker": lists}}
        return task(annotation(result), prompt="a", items=items)

    record = one(ranked(rank=["d", "b", "c"]), "label_studio")
    assert [found.text for found in record.completions] == ["text b", "text c", "text d"]
    assert record.judgments[0].groups == ((2,), (0,), (1,))
    with pytest.raises(Unusable, match="several buckets"):
        formats.read(ranked(good=["d"], bad=["b", "c"]), "label_studio")
    with pytest.raises(Unusable, match="each item"):
        formats.read(ranked(rank=["d", "b"]), "label_studio")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (task(annotation(picked("both"))), "must be left or right"),
        (task(annotation(picked("left")), prompt="a", one="b", other="c"), "Name them answer1 and answer2"),
        (task(annotation(picked("left")), answer1="b", answer2="c"), "no prompt"),
        (task(annotation(picked("left")), prompt="a", answer1="b", answer2=["c"]), '"answer2" is a list'),
        ({"data": {"prompt": "a"}, "annotations": "none"}, "Export from Label Studio as JSON"),
    ],
)
def test_a_task_that_cannot_be_used_is_told(row, reason):
    with pytest.raises(Unusable, match=reason):
        formats.read(row, "label_studio")


FIELDS = {"prompt": "a", "response1": "b", "response2": "c"}
RANKED = [{"value": "response1", "rank": 2}, {"value": "response2", "rank": 1}]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "r", "fields": FIELDS, "metadata": {"k": 1}, "status": "completed", "suggestions": {}, "vectors": {},
         "responses": {"ranking": [{"value": RANKED, "user_id": "u7"}], "why": [{"value": "Wrong.", "user_id": "u7"}],
                       "clear": [{"value": "yes", "user_id": "u7"}]}},
        {"id": "r", **FIELDS, "metadata": {"k": 1}, "ranking.responses": [RANKED], "ranking.responses.users": ["u7"],
         "ranking.responses.status": ["submitted"], "why.responses": ["Wrong."], "why.responses.users": ["u7"],
         "clear.responses": ["yes"], "clear.responses.users": ["u7"], "ranking.suggestion": None},
        {"id": "r", "fields": FIELDS, "metadata": {"k": 1}, "responses": [
            {"user_id": "u7", "status": "submitted",
             "values": {"ranking": {"value": RANKED}, "why": {"value": "Wrong."}, "clear": {"value": "yes"}}},
            {"user_id": "u8", "status": "discarded", "values": {"ranking": {"value": RANKED}}}]},
        {"id": "r", **FIELDS, "metadata": '{"k": 1}', "external_id": None, "ranking-suggestion": None,
         "ranking": [{"user_id": "u7", "status": "submitted",
                      "value": {"rank": [2, 1], "value": ["response1", "response2"]}}],
         "why": [{"user_id": "u7", "value": "Wrong.", "status": "submitted"}],
         "clear": [{"user_id": "u7", "value": "yes", "status": "submitted"}]},
    ],
    ids=["version 2", "version 2, flat", "version 1", "version 1, flat"],
)  # fmt: skip
def test_argilla_says_the_same_in_all_its_ways(row):
    record = one(row, "argilla")
    assert record.messages == ({"role": "user", "content": "a"},)
    assert [found.text for found in record.completions] == ["b", "c"]
    [judgment] = record.judgments
    assert (judgment.groups, judgment.annotator, judgment.by) == (SECOND, "u7", "person")
    assert (judgment.rationale, judgment.source) == ("Wrong.", {"clear": "yes"})
    assert record.metadata == {"k": 1, "id": "r"}


def asked(fields: dict, **answers) -> dict:
    return {"fields": fields, "responses": {name: [{"value": said, "user_id": "u"}] for name, said in answers.items()}}


@pytest.mark.parametrize(
    ("row", "groups"),
    [
        (asked(FIELDS, ranking=["response2", "response1"]), SECOND),
        (asked(FIELDS, preferred="response-2"), SECOND),
        (asked(FIELDS, preferred="tie"), TIE),
        (asked(FIELDS, ranking=[{"value": "response1", "rank": 1}, {"value": "response2", "rank": 1}]), TIE),
        (asked(FIELDS, rating_1=2, rating_2=5), SECOND),
        (asked({"instruction": "a", "generations-0": "b", "generations-1": "c"},
               **{"generations-0-rating": 4, "generations-1-rating": 3}), FIRST),
        (asked({"instruction": "a", "response-1": "b", "response-2": "c"},
               ranking=[{"value": "reply-1", "rank": 2}, {"value": "reply-2", "rank": 1}]), SECOND),
    ],
)  # fmt: skip
def test_argillas_questions_are_understood_as_preferences(row, groups):
    assert [judgment.groups for judgment in one(row, "argilla").judgments] == [groups]


def test_a_record_without_a_preference_gives_its_completions():
    record = one(asked(FIELDS, comment="Hard."), "argilla")
    assert ([found.text for found in record.completions], record.judgments) == (["b", "c"], ())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (asked({"answer1": "b", "answer2": "c"}, ranking=["answer1", "answer2"]), "no field with a prompt"),
        (asked({**FIELDS, "response2": "b"}, ranking=["response2", "response1"]), "same text"),
        (asked({"prompt": "a", "x": "b", "y": "c"}, ranking=RANKED), "Which fields the ranking is of"),
    ],
)
def test_a_record_that_cannot_be_used_is_told(row, reason):
    with pytest.raises(Unusable, match=reason):
        formats.read(row, "argilla")
