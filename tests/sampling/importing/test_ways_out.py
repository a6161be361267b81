"""What an import's page says where something is wrong, and the way out that it shows."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.actions import create_project
from sampling.importing import forms
from sampling.importing.forms import SettingsForm
from sampling.importing.options import Options
from sampling.models import DataImport, LeftOutRow
from tests.sampling.importing.seen import SEEN

NEW = "/imports/new/"
NOTHING = {"prompts": 0, "completions": 0, "judgments": 0}


@pytest.fixture
def make(prompt_set, alice):
    """An import by hand that is over: make(doing="look", ...)."""

    def make(**fields) -> DataImport:
        of = {"name": "june.jsonl", "what": "prompts", "location": "/nowhere/june.jsonl", "seen": SEEN, "doing": "look"}
        of |= {"created_by": alice, "state": "finished", "finished_at": timezone.now()}
        return DataImport.objects.create(prompt_set=prompt_set, **of | fields)

    return make


def shown(client, row: DataImport, **query) -> str:
    return " ".join(client.get(row.get_absolute_url(), query).content.decode().split())


def mapped(**mapping) -> Options:
    return Options(format="mapped", mapping=mapping)


# --- the source -----------------------------------------------------------------------------------------------


GZIP = "The gzip breaks off: the file is not whole. Copy or upload it again."
OF_A_ROW = "Not JSON: Unterminated string starting at character 12."


@pytest.mark.parametrize(
    ("told", "content"),
    [(GZIP, ""), (OF_A_ROW, '{"prompt": "Why')],
    ids=["as the source says", "in the middle of its last row"],
)
def test_a_source_that_broke_off_is_said_on_the_report(as_alice, make, told, content):
    row = make(doing="import", prompts_added=6, rejected_count=2, next_row=8)
    LeftOutRow.objects.create(data_import=row, line=3, why="rejected", reason="Not JSON.", content="{")
    LeftOutRow.objects.create(data_import=row, line=8, why="rejected", reason=told, content=content)
    page = shown(as_alice, row)
    said = f"The source breaks off after row 7: whatever stands behind it is not read. {told}"
    assert f'<div class="notice notice-warning"> <p>{said}</p> </div>' in page
    assert page.count("The source breaks off") == 1

    looked = "The source breaks off after row 7: as the look said it."
    DataImport.objects.filter(pk=row.pk).update(seen=SEEN | {"problems": ["Of another kind.", looked]})
    page = shown(as_alice, row)
    assert page.count("The source breaks off") == page.count(looked) == 1
    assert "Of another kind" not in page


def test_a_file_that_was_cut_is_told_by_look_and_report_alike(as_alice, jsonl, brought_in, looked_at):
    path = jsonl({"prompt": "one"}, {"prompt": "two"}, '{"prompt": "thr')
    for row in (looked_at(path), brought_in(path)):
        page = shown(as_alice, row)
        assert page.count("The source breaks off after row 2: whatever stands behind it is not read.") == 1


def test_a_report_of_a_whole_source_says_nothing_of_the_kind(as_alice, make):
    row = make(doing="import", prompts_added=6, rejected_count=1)
    LeftOutRow.objects.create(data_import=row, line=3, why="rejected", reason="Not JSON.", content="{")
    assert "breaks off" not in shown(as_alice, row)


@pytest.mark.parametrize("leads", ["file", "folder", "inside a folder"])
def test_a_link_that_leads_out_of_the_import_folder_is_not_read(as_alice, var_dir, tmp_path, leads):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "rows.jsonl").write_text('{"prompt": "secret"}')
    folder = var_dir / "incoming"
    (folder / "many").mkdir(parents=True)
    (folder / "many" / "rows.jsonl").write_text('{"prompt": "one"}')
    (folder / "same").symlink_to(folder / "many")  # leads nowhere else, so it may be read
    name = "many" if leads == "inside a folder" else "link"
    link = folder / "many" / "more.jsonl" if leads == "inside a folder" else folder / "link"
    link.symlink_to(secret if leads == "folder" else secret / "rows.jsonl")
    assert forms.incoming() == ["many", "same"]
    form = {"request_key": "6d5cba7e-30a5-4f63-9a42-98f2a42e0c0e", "prompt_set_name": "x", "comes_from": "incoming"}
    response = as_alice.post(NEW + "?what=prompts", form | {"incoming": name})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == ["incoming"]
    assert not DataImport.objects.exists()


# --- its format and its columns -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "format", "label", "other"),
    [
        ("judgments", "trl_unpaired", "TRL unpaired preference (KTO)", "completions"),
        ("completions", "prompts", "plain prompts", "prompts"),
    ],
)
def test_a_format_that_holds_nothing_of_the_kind_is_said_once_with_two_ways_on(
    as_alice, make, what, format, label, other
):
    words = f"Read as {label}, the rows hold no {what}"
    said = f"{words}. Import what they hold."  # by the look too: the page says it once, with links
    row = make(what=what, seen=SEEN | {"format": format, "records": NOTHING, "rejected": 300, "problems": [said]})
    page = shown(as_alice, row)
    assert page.count("the rows hold no") == 1
    assert words in page
    assert f'href="{NEW}?what={other}&amp;set=everyday">Import it as {other}</a>' in page
    assert 'href="?columns=by-hand#import-settings">Choose the columns by hand</a>' in page
    assert "Below stands why" not in page

    by_hand = as_alice.get(row.get_absolute_url(), {"columns": "by-hand"}).context["settings_form"]
    assert by_hand["format"].value() == "mapped"
    assert by_hand["column_prompt"].value() == "prompt"  # as the columns' names suggest


def test_what_the_look_says_of_such_a_format_is_said_once(as_alice, alice, jsonl, looked_at):
    rows = [{"prompt": f"Why {n}?", "completion": "So.", "label": True} for n in range(3)]
    row = looked_at(jsonl(*rows), what="judgments", store={"new_project": "p"})
    page = shown(as_alice, row)
    assert page.count("Read as TRL unpaired preference (KTO), the rows hold") == 1
    assert "Import it as completions</a>" in page


def test_a_column_that_there_is_not_is_said_at_its_field(as_alice, make):
    seen = SEEN | {"format": "mapped", "column_problems": {"rejected": 'No row has a column "Best Incorrect Answer".'}}
    chosen = mapped(prompt="prompt", chosen="chosen", rejected="Best Incorrect Answer").as_json()
    row = make(what="judgments", seen=seen, options=chosen)
    field = shown(as_alice, row).split('name="column_rejected"')[1].split("</div>")[0]
    assert "No row has a column &quot;Best Incorrect Answer&quot;." in field

    form = {"format": "mapped", "column_rejected": "rejected", "eval_percent": "0", "step_action": "add"}
    changed = as_alice.post(reverse("sampling:import_settings", args=[row.pk]), form).content.decode()
    assert "No row has a column" not in changed.split('name="column_rejected"')[1].split("</div>")[0]


def test_columns_that_are_filled_in_come_first_and_the_rest_is_folded_away():
    form = SettingsForm(seen=SEEN, options=mapped(prompt="prompt", language="lang"), what="prompts")
    first = [column.field.name for column in form.columns()]
    assert first == ["column_prompt", "column_messages", "column_system", "column_split", "column_language"]
    more = [column.field.name for column in form.more_columns()]
    assert "column_rationale" in more
    assert not set(first) & set(more)


def test_no_field_of_judgments_is_called_optional_of_which_one_is_needed(as_alice):
    page = as_alice.get(NEW, {"what": "judgments"}).content.decode()
    assert "choose one, or name a new one" in page
    assert 'name="store-project"' in page
    assert 'name="store-new_project"' in page
    assert "optional" not in page


def test_a_format_is_called_by_its_label(as_alice, make):
    assert "As they are understood: TRL unpaired preference (KTO)" in shown(
        as_alice, make(seen=SEEN | {"format": "trl_unpaired"})
    )


def test_what_is_there_already_is_no_part_of_what_the_button_promises(as_alice, make):
    """3 prompts and 6 completions, of which 1 and 2 are known: 2 and 4 come in."""
    counted = {
        "records": {"prompts": 3, "completions": 6, "judgments": 0},
        "rows": 3,
        "filters": [],
        "is_sample": False,
    }
    known = {"rows": 3, "prompts": 1, "completions": 2}
    row = make(what="completions", seen=SEEN | counted | {"known": known})
    page = shown(as_alice, row)
    assert "Import: 2 prompts and 4 completions</button>" in page
    assert "1 prompt and 2 completions are in the prompt set already. What is there" in page

    DataImport.objects.filter(pk=row.pk).update(what="prompts")
    assert "1 prompt is in the prompt set already. What is there" in shown(as_alice, row)
    DataImport.objects.filter(pk=row.pk).update(seen=SEEN | counted | {"known": known | {"rows": 2}})
    assert "Of the first 2 rows, 1 prompt is in the prompt set already." in shown(as_alice, row)
    DataImport.objects.filter(pk=row.pk).update(seen=SEEN | counted | {"known": known | {"prompts": 3}})
    assert "Import: nothing that is new</button>" in shown(as_alice, row)


# --- what came of it ------------------------------------------------------------------------------------------


def test_what_brought_nothing_can_be_read_in_another_way(as_alice, make):
    row = make(doing="import", rejected_count=3)
    page = shown(as_alice, row)
    assert "Change below how it is read, and look again" in page
    assert 'id="import-settings"' in page
    assert 'id="import-settings"' not in shown(as_alice, make(doing="import", prompts_added=1))


def test_an_undone_import_whose_file_is_gone_says_so_instead_of_a_button(as_alice, make, tmp_path):
    row = make(doing="undo", undone_at=timezone.now(), is_uploaded=True, location=str(tmp_path / "gone"))
    page = shown(as_alice, row)
    assert "The uploaded file is no longer kept." in page
    assert f'href="{NEW}?what=prompts&amp;set=everyday"' in page
    assert 'id="start"' not in page
    assert 'id="import-settings"' not in page
    (tmp_path / "gone").write_text("")
    assert 'id="start"' in shown(as_alice, row)


def test_how_long_an_upload_is_kept_is_said(as_alice, make):
    assert "deleted 30 days after its import has ended" in as_alice.get(NEW, {"what": "prompts"}).content.decode()
    row = make(doing="import", prompts_added=1, is_uploaded=True)
    undo = as_alice.get(reverse("sampling:import_undo", args=[row.pk])).content.decode()
    assert "The uploaded file is deleted 1 day later." in " ".join(undo.split())


def test_an_import_that_was_not_undone_is_imported_and_says_why(as_alice, make):
    row = make(doing="import", prompts_added=1, failure="It was not undone. Its prompts are used by 2 completions.")
    page = shown(as_alice, row)
    assert ">imported</span>" in page
    assert 'notice-warning" role="alert"> <p>It was not undone.' in page
    assert 'id="retry"' not in page


def test_completions_lead_to_a_choice_of_project(as_alice, alice, brought_in, jsonl):
    path = jsonl({"prompt": "Why?", "completion": "Because."}, {"prompt": "Why?", "completion": "Nobody knows."})
    row = brought_in(path, what="completions")
    assert reverse("annotation:project_new") in shown(as_alice, row)
    project = create_project(name="Capitals", created_by=alice)
    page = shown(as_alice, row)
    assert f'href="{reverse("annotation:open_comparisons", args=[project.slug])}?run=import-{row.pk}"' in page
    assert "in Capitals" in page


# --- what was left out ----------------------------------------------------------------------------------------


def test_a_row_that_was_left_out_is_one_line_that_unfolds(as_alice, make):
    row = make(doing="import", prompts_added=1, rejected_count=30)
    pretty = json.dumps({"prompt": "Why is the sky blue, and not green?", "more": {"a": [1, 2]}}, indent=2)
    LeftOutRow.objects.bulk_create(
        LeftOutRow(data_import=row, line=line, why="rejected", reason="No.", content=pretty) for line in range(1, 31)
    )
    response = as_alice.get(row.get_absolute_url())
    page = response.content.decode()
    assert len(response.context["listing"].page) == 25
    assert page.count('<td class="mono begins">') == page.count("<summary><bdi>{") == 25
    assert "The file can be imported again as it is" in page
