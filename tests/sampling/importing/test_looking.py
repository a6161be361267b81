"""A look says what an import would bring and what it would leave out, and writes nothing else."""

import gzip
import json

import pytest

from sampling.importing import counting, looking, reading, rejects
from sampling.importing.looking import EMPTY
from sampling.models import Completion, LeftOutRow, Prompt

pytestmark = pytest.mark.django_db


def test_it_counts_what_would_come_in_and_shows_the_first(jsonl, looked_at):
    pair = {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}
    mine = looked_at(jsonl(pair, pair | {"chosen": "Good day."}, "{", pair | {"prompt": "Bye"}), what="completions")

    seen = mine.seen
    assert seen.keys() == EMPTY.keys()
    assert (seen["rows"], seen["rejected"]) == (4, 1)
    # three usable rows: to "Hi" twice "What?", "Hello!" and "Good day.", to "Bye" two: 3 + 2 completions
    assert seen["records"] == {"prompts": 2, "completions": 5, "judgments": 3}
    assert seen["known"] == {"rows": 4, "prompts": 0, "completions": 0}
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


PAIRS = [{"prompt": f"What is {n}?", "chosen": f"{n}.", "rejected": "What?"} for n in range(6)]


def problem_with(mine, word: str) -> str:
    (found,) = [problem for problem in mine.seen["problems"] if word in problem]
    return found


def test_what_is_there_already_is_said_before_anything_comes_in(jsonl, looked_at, brought_in, monkeypatch):
    path = jsonl(*PAIRS)
    assert brought_in(path, what="completions").completions_added == 12
    again = looked_at(path, what="completions")
    assert again.seen["known"] == {"rows": 6, "prompts": 6, "completions": 12}
    assert problem_with(again, "already") == (
        "All of these prompts and completions are in the prompt set already, and are not added again."
    )
    elsewhere = looked_at(path, what="completions", into="another set")
    assert elsewhere.seen["known"] == {"rows": 6, "prompts": 0, "completions": 0}
    # One prompt is new, and of a known prompt one completion: 7 prompts, 12 + 2 + 1 completions
    more = [*PAIRS, {"prompt": "Why?", "chosen": "So.", "rejected": "No."}, PAIRS[0] | {"chosen": "Nought."}]
    longer = looked_at(jsonl(*more), what="completions")
    assert longer.seen["records"] == {"prompts": 7, "completions": 15, "judgments": 8}
    assert longer.seen["known"] == {"rows": 8, "prompts": 6, "completions": 12}
    assert not any("already" in problem for problem in longer.seen["problems"])
    monkeypatch.setattr(counting, "KNOWN_ROWS", 0)
    assert looked_at(path, what="completions").seen["known"]["rows"] == 0


def test_known_prompts_are_said_where_only_prompts_come_in(jsonl, looked_at, brought_in):
    path = jsonl(*PAIRS)
    brought_in(path)
    assert "All of these prompts are" in problem_with(looked_at(path), "already")


def test_counts_of_completions_are_those_that_an_import_adds(jsonl, looked_at, brought_in):
    rows = [{"prompt": "Hi", "completion": f"{n % 4}", "model": f"m{n % 2}"} for n in range(40)]
    path = jsonl(*rows, {"prompt": "Hi", "completions": ["0", "0"]})
    expected = brought_in(path, what="completions", into="one").completions_added
    # texts 0 and 2 by m0, 1 and 3 by m1; "0" by nobody, twice in one record: those are two
    assert looked_at(path, what="completions", into="two").seen["records"]["completions"] == expected == 6


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "cut.jsonl", "cut.json", "cut.csv"])
def test_a_source_that_breaks_off_is_said_to(tmp_path, looked_at, name):
    rows = [{"prompt": f"What is {n} of so many?", "n": n} for n in range(2000)]
    match name:
        case "cut.jsonl.gz":
            whole = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
        case "cut.jsonl":
            whole = "".join(json.dumps(row) + "\n" for row in rows).encode()
        case "cut.json":
            whole = json.dumps(rows).encode()
        case _:
            whole = b"prompt,n\n" + b"".join(b'"What is %d?",%d\n' % (n, n) for n in range(2000))
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) // 2 - 3])
    mine = looked_at(path, format="prompts")
    read = mine.seen["rows"] - mine.seen["rejected"]
    assert 0 < read < 2000
    told = problem_with(mine, "breaks off after row")
    assert told.startswith(f"The source breaks off after row {read:,}: ")
    assert "Copy or upload it again." in told
    path.write_bytes(whole)
    assert not any("breaks off" in problem for problem in looked_at(path, format="prompts").seen["problems"])


def test_a_bad_last_row_of_a_whole_file_is_no_end_of_the_source(jsonl, looked_at):
    for last in ('{"prompt":\n', "[1]", '{"prompt": 3}'):
        mine = looked_at(jsonl({"prompt": "one"}, last), format="prompts")
        assert mine.seen["rejected"] == 1
        assert not any("breaks off" in problem for problem in mine.seen["problems"])


def test_a_mapped_column_that_no_row_has_is_told_by_its_field(jsonl, looked_at):
    rows = [{"Question": "Why?", "Best Answer": "So.", "Incorrect Answers": "No."}]
    mapping = {"prompt": "Question", "chosen": "Best Answer", "rejected": "Best Incorrect Answer"}
    mine = looked_at(jsonl(*rows), what="completions", mapping=mapping)
    told = 'No row has a column "Best Incorrect Answer". Is "Incorrect Answers" meant?'
    assert mine.seen["column_problems"] == {"rejected": told}
    assert problem_with(mine, "No row has") == f"rejected: {told}"
    right = looked_at(jsonl(*rows), what="completions", mapping=mapping | {"rejected": "Incorrect Answers"})
    assert right.seen["column_problems"] == {}


def test_a_format_without_what_is_wanted_is_said_once(jsonl, looked_at):
    rows = [{"prompt": f"{n}?", "completion": "So.", "label": True} for n in range(300)]
    mine = looked_at(jsonl(*rows), what="judgments", format="trl_unpaired")
    assert mine.seen["rejected"] == 300
    assert len(mine.seen["rejected_first"]) == 1
    assert problem_with(mine, "Read as") == (
        "Read as TRL unpaired preference (KTO), the rows hold prompts and completions, and no judgments. Import what "
        "they hold; or, if judgments stand in some of the columns, choose these by hand."
    )
    assert not any("No row can be used" in problem for problem in mine.seen["problems"])


def test_answers_in_columns_of_their_own_can_be_chosen_by_hand(jsonl, looked_at):
    """As GSM8K's example_model_solutions has them."""
    rows = [{"question": "2 + 2?", "6b_solution": "4", "175b_solution": "Four."}]
    mine = looked_at(jsonl(*rows), what="completions", format="prompts")
    assert "choose these by hand" in problem_with(mine, "no completions")
    mapping = {"prompt": "question", "completions": "6b_solution + 175b_solution"}
    assert looked_at(jsonl(*rows), what="completions", mapping=mapping).seen["records"]["completions"] == 2


def test_what_is_not_kept_of_a_completion_is_named(jsonl, looked_at):
    rows = [{"prompt": "Why?", "completion": "So.", "label": True, "score": 3, "finish_reason": "stop"}]
    told = problem_with(looked_at(jsonl(*rows), what="completions"), "Of a completion")
    assert told.endswith("is not: label, score.")
    assert not looked_at(jsonl(*rows), what="prompts").seen["problems"]


def test_a_format_goes_by_the_name_that_people_know(jsonl, looked_at):
    mine = looked_at(jsonl({"q": " "}), mapping={"prompt": "q"})
    assert 'read as "columns that you name"' in problem_with(mine, "No row can be used")


def test_rows_that_were_left_out_are_mended_and_imported_from_their_own_file(jsonl, brought_in, looked_at):
    long = {"q": " ", "a": "4", "filler": "x" * 30_000}
    rows = [{"q": "one", "a": "1"}, {"q": " ", "a": "2"}, {"q": "three", "a": ""}, long, '{"q": "five", "a": "5"']
    options = {"what": "completions", "mapping": {"prompt": "q", "completion": "a", "writer": "=m"}}
    first = brought_in(jsonl(*rows), **options)
    assert (first.completions_added, first.rejected_count) == (1, 4)
    handed_back = [json.loads(line) for line in rejects.lines(first)]
    assert [(row["line"], row.get("cut", False)) for row in handed_back] == [(2, 0), (3, 0), (4, 1), (5, 0)]

    as_they_are = looked_at(jsonl(*handed_back, name="again.jsonl"), **options)
    assert as_they_are.seen["columns"] == ["q", "a"]
    assert as_they_are.seen["rejected"] == 4
    assert problem_with(as_they_are, "left out")

    handed_back[0]["content"] = json.dumps({"q": "two", "a": "2"})
    handed_back[1]["content"] = {"q": "three", "a": "3"}  # an object is read too
    handed_back[3]["content"] += "}"
    second = brought_in(jsonl(*handed_back, name="mended.jsonl"), **options)
    assert (second.completions_added, second.rejected_count) == (3, 1)
    assert second.left_out.get().reason == (
        "Row 4 was cut at 20,000 characters when it was left out. Take the whole one."
    )
    assert sorted(Completion.objects.values_list("text", flat=True)) == ["1", "2", "3", "5"]


def test_left_out_rows_that_a_format_reads_are_recognised_as_what_they_were(jsonl, looked_at):
    content = json.dumps({"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"})
    row = {"line": 7, "why": "filtered", "reason": "too long", "content": content}
    mine = looked_at(jsonl(row), what="completions")
    assert (mine.seen["format"], mine.seen["records"]["completions"]) == ("trl_preference", 2)
    # Somebody's own columns of these names say something else in "why".
    assert looked_at(jsonl(row | {"why": "because"}), mapping={"prompt": "reason"}).seen["columns"] == list(row)
