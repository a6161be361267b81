"""A look says what an import would bring and what it would leave out, and writes nothing else."""

import json

import pytest

from sampling.importing import looking, reading
from sampling.importing.looking import EMPTY
from sampling.models import LeftOutRow, Prompt

pytestmark = pytest.mark.django_db


def test_it_counts_what_would_come_in_and_shows_the_first(jsonl, looked_at):
    pair = {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}
    mine = looked_at(jsonl(pair, pair | {"chosen": "Good day."}, "{", pair | {"prompt": "Bye"}), what="completions")

    seen = mine.seen
    assert seen.keys() == EMPTY.keys()
    assert (seen["rows"], seen["rejected"]) == (4, 1)
    # three usable rows: "Hi" twice and "Bye", two completions each
    assert seen["records"] == {"prompts": 2, "completions": 6, "judgments": 3}
    assert seen["by_split"] == {"train": 2, "eval": 0}
    assert seen["format"] in seen["formats"]
    assert seen["columns"] == ["prompt", "chosen", "rejected"]
    assert [row["line"] for row in seen["rejected_first"]] == [3]
    assert seen["rejected_first"][0]["content"] == "{"
    assert json.loads(seen["first_rows"][0]) == pair
    assert seen["first_records"][0]["messages"] == [{"role": "user", "content": "Hi"}]
    assert {each["text"] for each in seen["first_records"][0]["completions"]} == {"Hello!", "What?"}
    assert mine.options["format"] == seen["format"]
    assert not Prompt.objects.exists()
    assert not LeftOutRow.objects.exists()


def test_it_says_what_each_filter_removes(jsonl, looked_at):
    steps = [{"filter": "duplicates"}]
    seen = looked_at(jsonl({"prompt": "one"}, {"prompt": "One"}, {"prompt": "two"}), steps=steps).seen
    (step,) = seen["filters"]
    assert (step["seen"], step["removed"]) == (3, 1)
    assert (step["examples"][0]["line"], step["examples"][0]["content"]) == (2, "One")
    assert seen["records"]["prompts"] == 2


def test_of_a_long_source_the_first_rows_are_a_sample(jsonl, looked_at, monkeypatch):
    monkeypatch.setattr(looking, "LOOK_ROWS", 100)
    seen = looked_at(jsonl(*({"prompt": str(number)} for number in range(101)))).seen
    assert (seen["rows"], seen["is_sample"]) == (100, True)
    assert "more than 100 rows" in seen["problems"][0]


def test_a_source_of_just_as_many_rows_is_no_sample(jsonl, looked_at, monkeypatch):
    monkeypatch.setattr(looking, "LOOK_ROWS", 100)
    assert not looked_at(jsonl(*({"prompt": str(number)} for number in range(100)))).seen["is_sample"]


def test_the_first_rows_are_stored_before_the_rest_is_read(jsonl, monkeypatch, looked_at):
    monkeypatch.setattr(reading, "BATCH_ROWS", 100)
    saved = []
    look = looking.look

    def remembering(data_import, watch, save):
        return look(data_import, watch, lambda seen: (saved.append(seen["rows"]), save(seen)))

    monkeypatch.setattr("sampling.importing.carrying_out.look", remembering)
    looked_at(jsonl(*({"prompt": str(number)} for number in range(500))))
    assert (saved[0], saved[-1]) == (looking.FIRST_ROWS, 500)


def test_long_texts_are_cut_and_hostile_ones_stay_text(jsonl, looked_at):
    seen = looked_at(jsonl({"prompt": "<script>" + "x" * 10_000})).seen
    shown = seen["first_records"][0]["messages"][0]["content"]
    assert shown.startswith("<script>x")
    assert len(shown) == looking.SHOWN_CHARACTERS


def test_an_empty_file_is_told(jsonl, looked_at):
    mine = looked_at(jsonl())
    assert mine.failure or "empty" in mine.seen["problems"][0]


def test_rows_without_a_known_format_are_mapped_by_their_columns_names(jsonl, looked_at):
    rows = [{"query": f"What is {number}?", "weather": "sunny"} for number in range(3)]
    mine = looked_at(jsonl(*rows))
    assert mine.seen["records"]["prompts"] == 3


def test_rows_that_all_are_bad_are_called_so(jsonl, looked_at):
    mine = looked_at(jsonl({"prompt": 3}, {"prompt": 4}), format="prompts")
    assert any("No row can be used" in problem for problem in mine.seen["problems"])


def test_an_unknown_format_is_named_with_those_there_are(jsonl, looked_at):
    mine = looked_at(jsonl({"prompt": "one"}), format="recipes")
    assert mine.state == "failed"
    assert 'no format "recipes". There are: ' in mine.failure
