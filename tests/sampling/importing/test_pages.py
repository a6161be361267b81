"""The pages of imports: who may see them, what each state shows, and what their forms do."""

import io
import json
import uuid
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from sampling import tasks
from sampling.importing import actions, left_out
from sampling.long_tasks import TaskState
from sampling.models import DataImport, Doing, LeftOutRow, Prompt, PromptSet
from tests.sampling.importing.seen import SEEN

HTMX = {"HX-Request": "true"}
NEW = "/imports/new/"


@pytest.fixture
def announced(monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.run_import, "delay", sent.append)
    return sent


@pytest.fixture
def make(prompt_set, alice):
    """An import by hand: make(doing="look", state="finished", ...)."""

    def make(**fields) -> DataImport:
        of = {
            "name": "june.jsonl",
            "what": "prompts",
            "location": "/nowhere/june.jsonl",
            "seen": SEEN,
            "created_by": alice,
        }
        return DataImport.objects.create(prompt_set=prompt_set, **of | fields)

    return make


@pytest.fixture
def looked(make):
    return make(doing="look", state="finished", finished_at=timezone.now())


@pytest.fixture
def brought(make):
    """60 of 90 rows that were left out are not usable, for two reasons; 30 were filtered."""
    row = make(
        doing="import", state="finished", finished_at=timezone.now(), prompts_added=11, rejected_count=60,
        filtered_count=30, options={"format": "plain"},
    )  # fmt: skip
    reasons = [f"Not JSON: Expecting value at character {n}." for n in range(50)]
    reasons += [f"\"role\" is unknown ('bot{n}'); it must be user." for n in range(10)]
    reasons += [f"The same as row {n:,}." for n in range(1000, 1030)]
    LeftOutRow.objects.bulk_create(
        LeftOutRow(
            data_import=row, line=line, why="rejected" if line <= 60 else "filtered", reason=reason,
            content="<script>alert(1)</script>",
        )
        for line, reason in enumerate(reasons, start=1)
    )  # fmt: skip
    return row


def address(name: str, row: DataImport) -> str:
    return reverse(f"sampling:import_{name}", args=[row.pk])


def shown(client, row: DataImport, **query) -> str:
    return client.get(row.get_absolute_url(), query).content.decode()


# --- who ----------------------------------------------------------------------------------------------------


def test_staff_alone_see_and_change_imports(as_bob, client, looked):
    gets = [reverse("sampling:data_imports"), NEW, looked.get_absolute_url(), address("undo", looked)]
    posts = [address(verb, looked) for verb in ("settings", "start", "cancel", "retry", "undo")]
    for page in [*gets, address("rejects", looked)]:
        assert as_bob.get(page).status_code == 403, page
    for page in [*posts, NEW + "?what=prompts"]:
        assert as_bob.post(page).status_code == 403, page
    client.logout()
    for page in gets:
        assert client.get(page)["Location"] == f"{reverse('login')}?next={page}"
    looked.refresh_from_db()
    assert (looked.doing, looked.state) == (Doing.LOOK, TaskState.FINISHED)


def test_pages_refuse_the_wrong_method(as_alice, looked):
    for verb in ("start", "cancel", "retry"):
        assert as_alice.get(address(verb, looked)).status_code == 405
    for page in (reverse("sampling:data_imports"), looked.get_absolute_url(), address("rejects", looked)):
        assert as_alice.post(page).status_code == 405
    assert as_alice.get(address("settings", looked))["Location"] == looked.get_absolute_url()


# --- the list -----------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do_first(as_alice):
    page = as_alice.get(reverse("sampling:data_imports")).content.decode()
    assert 'class="empty"' in page
    assert NEW in page


def test_the_list_says_where_each_import_stands(as_alice, make, brought):
    make(name="<b>other</b>", doing="look", state="queued", seen={})
    page = as_alice.get(reverse("sampling:data_imports")).content.decode()
    assert "11 prompts" in page
    assert "imported" in page
    assert "waiting" in page
    assert "&lt;b&gt;other" in page


def test_the_list_costs_the_same_number_of_queries_however_long(as_alice, make, django_assert_max_num_queries):
    for number in range(12):
        make(name=f"{number}.jsonl")
    with django_assert_max_num_queries(5):  # session, user, count, rows; and a savepoint to spare
        as_alice.get(reverse("sampling:data_imports"))


# --- a new one ----------------------------------------------------------------------------------------------


def new_form(**changes) -> dict:
    return {
        "request_key": str(uuid.uuid4()), "prompt_set_name": "everyday", "comes_from": "pasted", "pasted": "",
        "incoming": "", "hub_id": "",
    } | changes  # fmt: skip


def test_first_it_is_asked_what_is_to_be_imported(as_alice):
    page = as_alice.get(NEW, {"set": "my set", "project": "p"}).content.decode()
    for what in ("prompts", "completions", "judgments"):
        assert f"?what={what}&amp;set=my+set&amp;project=p" in page
    assert "<form id" not in page


def test_a_link_can_name_the_prompt_set(as_alice):
    page = as_alice.get(NEW, {"what": "prompts", "set": "everyday"}).content.decode()
    assert 'value="everyday"' in page


def test_pasted_lines_become_an_import_that_is_looked_through(
    as_alice, alice, announced, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = as_alice.post(NEW + "?what=prompts", new_form(pasted='{"prompt": "Grüße"}'))
    row = DataImport.objects.get()
    assert response["Location"] == row.get_absolute_url()
    assert (row.what, row.doing, row.name, row.created_by) == ("prompts", Doing.LOOK, "pasted lines", alice)
    assert row.prompt_set.name == "everyday"
    assert announced == [row.pk]
    assert Path(row.location).read_text(encoding="utf-8") == '{"prompt": "Grüße"}'


def test_a_double_click_makes_one_import(as_alice, announced):
    form = new_form(pasted='{"prompt": "one"}')
    first = as_alice.post(NEW + "?what=prompts", form)
    second = as_alice.post(NEW + "?what=prompts", form)
    assert first["Location"] == second["Location"] == DataImport.objects.get().get_absolute_url()


def test_an_upload_sent_with_a_progress_bar_takes_the_whole_page_on(as_alice, announced):
    upload = SimpleUploadedFile("mine.jsonl", b'{"prompt": "one"}\n')
    form = new_form(comes_from="upload", file=upload)
    response = as_alice.post(NEW + "?what=prompts", form, headers=HTMX)
    row = DataImport.objects.get()
    assert response["HX-Redirect"] == row.get_absolute_url()
    assert (row.name, row.is_uploaded) == ("mine.jsonl", True)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"comes_from": "upload"}, "file"),
        ({"pasted": "  \n"}, "pasted"),
        ({"comes_from": "incoming"}, "incoming"),
        ({"comes_from": "incoming", "incoming": "../secret_key"}, "incoming"),
        ({"comes_from": "hub"}, "hub_id"),
        ({"comes_from": "hub", "hub_id": "../etc/passwd"}, "hub_id"),
        ({"comes_from": "nowhere"}, "comes_from"),
        ({"prompt_set_name": ""}, "prompt_set_name"),
        ({"request_key": "x"}, "request_key"),
    ],
)
def test_what_is_missing_is_said_beside_its_field(as_alice, changes, field):
    form = new_form(pasted="x") | changes
    response = as_alice.post(NEW + "?what=prompts", form)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not DataImport.objects.exists()


def test_an_empty_file_has_words_of_its_own(as_alice):
    form = new_form(comes_from="upload", file=SimpleUploadedFile("empty.jsonl", b""))
    response = as_alice.post(NEW + "?what=prompts", form)
    assert response.context["form"].errors["file"] == ["The submitted file is empty."]


def test_what_lies_in_the_import_folder_can_be_chosen_and_nothing_else(as_alice, announced, var_dir):
    (var_dir / "incoming" / "many").mkdir(parents=True)
    (var_dir / "incoming" / "big.jsonl").write_text('{"prompt": "one"}')
    (var_dir / "incoming" / ".hidden").write_text("")
    response = as_alice.get(NEW, {"what": "prompts"})
    assert [value for value, _ in response.context["form"].fields["incoming"].choices] == ["", "big.jsonl", "many"]

    for name in ("big.jsonl", "many"):
        as_alice.post(NEW + "?what=prompts", new_form(comes_from="incoming", incoming=name))
    directory, file = DataImport.objects.all()
    assert (file.source_kind, file.location) == ("file", str(var_dir / "incoming" / "big.jsonl"))
    assert (directory.source_kind, directory.name) == ("directory", "many")
    assert not file.is_uploaded


def test_judgments_ask_for_their_project_beside_the_source(as_alice):
    response = as_alice.post(NEW + "?what=judgments", new_form(pasted="{}"))
    assert response.status_code == 422
    assert "Choose a project" in response.content.decode()
    assert not DataImport.objects.exists()


# --- looking ------------------------------------------------------------------------------------------------


def test_a_page_asks_again_while_a_worker_has_the_import(as_alice, make):
    row = make(doing="look", state="running", phase="looking through it", done=1, total=4, heartbeat_at=timezone.now())
    part = as_alice.get(row.get_absolute_url(), headers=HTMX).content.decode()
    assert part.lstrip().startswith('<div id="import-progress"')
    assert f'hx-get="{row.get_absolute_url()}?since=' in part
    assert "12,345 rows looked at" in part
    assert "What would come in" not in part


def test_the_speed_is_measured_from_one_answer_to_the_next(as_alice, make):
    now = timezone.now()
    row = make(doing="import", state="running", next_row=5000, done=500, total=1000, heartbeat_at=now, started_at=now)
    # Twenty seconds ago 1,000 rows and 100 of 1,000: 200 rows a second, and the 500 that are left at 20 a second: 25 s
    since = f"{now.timestamp() - 20:.1f},100,1000"
    part = as_alice.get(row.get_absolute_url(), {"since": since}, headers=HTMX).content.decode()
    rate = part.split("rows a second")[0].split()[-1]
    assert 180 <= int(rate) <= 200
    assert "s left" in part
    assert since.split(".")[0] in part  # goes on being measured from


def test_a_live_part_takes_the_whole_page_once_it_is_over(as_alice, looked):
    response = as_alice.get(looked.get_absolute_url(), headers=HTMX)
    assert response["HX-Redirect"] == looked.get_absolute_url()


def test_what_was_seen_is_shown_as_text(as_alice, make):
    page = shown(as_alice, make(what="judgments", doing="look", state="finished", finished_at=timezone.now()))
    assert "Import: 11,000 prompts, 22,000 completions and 11,000 judgments" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "1 over 2 (significantly better), by a person: anna" in page
    assert "removes 900 of 12,333 (7.3 %)" in page
    assert "the same as row 7" in page


def test_without_a_row_to_bring_in_there_is_no_button_for_it(as_alice, make):
    seen = SEEN | {"records": {"prompts": 0, "completions": 0, "judgments": 0}}
    page = shown(as_alice, make(doing="look", state="finished", seen=seen))
    assert 'id="start"' not in page
    assert "Below stands why" in page


def test_a_failed_look_shows_why_and_the_settings_that_may_mend_it(as_alice, make):
    page = shown(as_alice, make(doing="look", state="failed", seen={}, failure="No row can be read."))
    assert "No row can be read." in page
    assert 'id="retry"' in page
    assert 'id="import-settings"' in page


def settings_form(**changes) -> dict:
    return {"look": "1", "format": "", "eval_percent": "0", "split_group": ""} | changes


def test_looking_again_keeps_the_settings(as_alice, looked, announced, django_capture_on_commit_callbacks):
    form = settings_form(format="mapped", column_prompt="question + input", eval_percent="12.5", split_group="source")
    with django_capture_on_commit_callbacks(execute=True):
        response = as_alice.post(address("settings", looked), form)
    assert response["Location"] == looked.get_absolute_url()
    looked.refresh_from_db()
    assert (looked.doing, looked.state) == (Doing.LOOK, TaskState.QUEUED)
    assert looked.options["mapping"] == {"prompt": "question + input"}
    assert (looked.options["format"], looked.options["eval_percent"]) == ("mapped", 12.5)
    assert looked.options["split_group"] == "source"
    assert announced == [looked.pk]


def test_columns_are_forgotten_with_a_format_that_has_its_own(as_alice, looked, announced):
    as_alice.post(address("settings", looked), settings_form(column_prompt="question"))
    looked.refresh_from_db()
    assert looked.options["mapping"] == {}


def test_a_wrong_setting_is_said_beside_its_field(as_alice, looked):
    response = as_alice.post(address("settings", looked), settings_form(eval_percent="101"))
    assert response.status_code == 422
    assert list(response.context["settings_form"].errors) == ["eval_percent"]
    part = as_alice.post(address("settings", looked), settings_form(format="nonsense"), headers=HTMX)
    assert part.content.decode().lstrip().startswith('<form id="import-settings"')
    looked.refresh_from_db()
    assert looked.state == TaskState.FINISHED


def test_what_has_come_in_is_not_read_in_another_way(as_alice, brought):
    response = as_alice.post(address("settings", brought), settings_form(), follow=True)
    assert "has moved on" in response.content.decode()
    brought.refresh_from_db()
    assert brought.doing == Doing.IMPORT


def test_suggested_columns_stand_in_the_form(as_alice, make):
    seen = SEEN | {"columns": ["question", "answer"], "first_rows": ['{"question": "a", "answer": {"text": "b"}}']}
    page = shown(as_alice, make(doing="look", state="finished", seen=seen))
    assert '<option value="answer.text"></option>' in page
    assert 'name="column_prompt" value="question"' in page


# --- bringing in --------------------------------------------------------------------------------------------


def start_form(row: DataImport) -> dict:
    return {"looked_at": row.finished_at.isoformat()}


def test_an_import_starts_once_with_the_numbers_that_were_seen(
    as_alice, make, announced, django_capture_on_commit_callbacks
):
    row = make(doing="look", state="finished", finished_at=timezone.now(), options={"format": "plain"})
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            assert as_alice.post(address("start", row), start_form(row))["Location"] == row.get_absolute_url()
    row.refresh_from_db()
    assert (row.doing, row.state) == (Doing.IMPORT, TaskState.QUEUED)
    assert announced == [row.pk]


def test_numbers_of_an_earlier_look_start_nothing(as_alice, make):
    row = make(doing="look", state="finished", finished_at=timezone.now(), options={"format": "plain"})
    form = start_form(row)
    DataImport.objects.filter(pk=row.pk).update(finished_at=timezone.now())
    page = as_alice.post(address("start", row), form, follow=True).content.decode()
    assert "looked through again meanwhile" in page
    row.refresh_from_db()
    assert row.doing == Doing.LOOK


def test_an_import_is_cancelled_and_gone_on_with(as_alice, make, announced):
    row = make(doing="import", state="queued", prompts_added=3)
    as_alice.post(address("cancel", row))
    row.refresh_from_db()
    assert row.state == TaskState.CANCELLED
    page = shown(as_alice, row)
    assert "It had added 3 prompts." in page
    assert "Go on where it stopped" in page

    as_alice.post(address("retry", row))
    row.refresh_from_db()
    assert (row.doing, row.state) == (Doing.IMPORT, TaskState.QUEUED)
    assert "has moved on" in as_alice.post(address("retry", row), follow=True).content.decode()


# --- after it -----------------------------------------------------------------------------------------------


def test_the_report_says_what_came_and_what_to_do_with_it(as_alice, brought):
    page = shown(as_alice, brought)
    assert "prompts added" in page
    assert f"{reverse('sampling:sampling_run_new')}?set={brought.prompt_set_id}" in page
    assert address("undo", brought) in page
    assert 'id="import-settings"' not in page


def test_rows_left_out_are_listed_page_by_page(as_alice, brought, monkeypatch):
    monkeypatch.setattr(left_out, "ROWS_A_PAGE", 40)
    page = shown(as_alice, brought)
    assert "Page 1 of 3" in page
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "at character 49." in shown(as_alice, brought, page=2)


def test_rows_left_out_can_be_narrowed_to_like_reasons(as_alice, brought):
    listing = as_alice.get(brought.get_absolute_url()).context["listing"]
    # 50 differ in a figure only, 10 in what they quote only
    counted = [("Not JSON: Expecting value at character #.", 50), ("The same as row #.", 30)]
    counted.append(('"role" is unknown (...); it must be user.', 10))
    assert [(choice.words, choice.count) for choice in listing.reasons] == counted
    assert [(choice.words, choice.count) for choice in listing.whys] == [
        ("all", 90), ("not usable", 60), ("removed by a filter", 30),
    ]  # fmt: skip

    narrowed = as_alice.get(f"{brought.get_absolute_url()}?{listing.reasons[2].query}").context["listing"]
    assert narrowed.page.paginator.count == 10
    assert all("bot" in row.reason for row in narrowed.page)
    filtered = as_alice.get(brought.get_absolute_url(), {"why": "filtered"}).context["listing"]
    assert filtered.page.paginator.count == 30


@pytest.mark.parametrize("query", ["why=nonsense", "reason=%00", "page=-4", "reason=%28%28%5B"])
def test_nonsense_in_the_address_narrows_to_nothing_or_to_all(as_alice, brought, query):
    assert as_alice.get(f"{brought.get_absolute_url()}?{query}").status_code == 200


def test_all_rows_left_out_can_be_downloaded(as_alice, brought):
    response = as_alice.get(address("rejects", brought))
    assert response["Content-Disposition"] == 'attachment; filename="june-left-out.jsonl"'
    lines = b"".join(response.streaming_content).splitlines()
    assert len(lines) == 90
    assert json.loads(lines[0]) == {
        "line": 1, "why": "rejected", "reason": "Not JSON: Expecting value at character 0.",
        "content": "<script>alert(1)</script>",
    }  # fmt: skip


def test_undoing_is_asked_for_on_a_page_that_says_what_goes(as_alice, alice, brought):
    page = as_alice.get(address("undo", brought)).content.decode()
    assert "<li>11 prompts</li>" in page
    brought.refresh_from_db()
    assert brought.doing == Doing.IMPORT  # looking at the page does nothing

    as_alice.post(address("undo", brought))
    brought.refresh_from_db()
    assert (brought.doing, brought.state, brought.undone_by) == (Doing.UNDO, TaskState.QUEUED, alice)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"doing": "import", "state": "queued"}, "A worker has this import now"),
        ({"doing": "look", "state": "finished"}, "has added nothing"),
        ({"doing": "undo", "state": "finished", "prompts_added": 3, "undone_at": timezone.now()}, "undone already"),
    ],
)
def test_what_cannot_be_undone_says_why(as_alice, make, fields, words):
    row = make(**fields)
    page = as_alice.get(address("undo", row)).content.decode()
    assert words in page
    assert 'class="btn btn-danger"' not in page


def test_an_undo_that_was_refused_says_what_stands_in_the_way_and_can_be_given_up(as_alice, make, announced):
    refused = "Its prompts are used by 2 comparisons of project 1."
    row = make(
        doing="undo", state="failed", failure=refused, prompts_added=3, finished_at=timezone.now(),
        options={"format": "plain"},
    )  # fmt: skip
    page = shown(as_alice, row)
    assert refused in page
    assert "What came of it" in page
    assert 'id="keep"' in page
    as_alice.post(address("start", row))
    row.refresh_from_db()
    assert (row.doing, row.state) == (Doing.IMPORT, TaskState.QUEUED)


# --- the whole way, with a worker -----------------------------------------------------------------------------


def test_from_an_upload_to_prompts_and_back(as_alice, announced):
    lines = b'{"prompt": "one"}\n{"prompt": "two"}\nbroken\n'
    form = new_form(comes_from="upload", file=io.BytesIO(lines))
    form["file"].name = "mine.jsonl"
    as_alice.post(NEW + "?what=prompts", form)
    row = actions.execute(data_import=DataImport.objects.get())
    page = shown(as_alice, row)
    assert "Import: 2 prompts" in page
    assert "Not JSON" in page

    as_alice.post(address("start", row), start_form(row))
    row = actions.execute(data_import=DataImport.objects.get())
    assert (row.prompts_added, row.rejected_count) == (2, 1)
    assert "What came of it" in shown(as_alice, row)
    assert Prompt.objects.filter(prompt_set=PromptSet.objects.get(name="everyday")).count() == 2

    as_alice.post(address("undo", row))
    row = actions.execute(data_import=DataImport.objects.get())
    assert not Prompt.objects.exists()
    assert "everything that it had added was taken out" in shown(as_alice, row)
