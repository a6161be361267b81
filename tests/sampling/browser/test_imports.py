"""Imports in a browser: from a dropped file to prompts and back, with a worker, and without JavaScript."""

import json
from unittest.mock import patch

import pytest
from django.urls import reverse

from sampling.importing import actions
from sampling.models import DataImport, FilterSet, LeftOutRow, Prompt, PromptSet
from tests.annotation.browser.pages import PHONE, assert_accessible
from tests.sampling.importing.seen import imports_of_each_stage

DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
ROWS = [{"prompt": f"Why is {number} a number?", "metadata": {"source": "maths"}} for number in range(6)]
LINES = "\n".join([*map(json.dumps, ROWS), json.dumps(ROWS[0]), "broken <b>line</b>"])


@pytest.fixture(autouse=True)
def no_broker():
    with patch("sampling.tasks.run_import.delay"):
        yield


def new(what="prompts", **query):
    return reverse("sampling:import_new") + "?" + "&".join([f"what={what}", *(f"{k}={v}" for k, v in query.items())])


def work():
    """What a worker would do now."""
    return actions.execute(data_import=DataImport.objects.get())


def drop(page, name, text):
    """As if a file were let go of above the zone."""
    page.evaluate(
        """([name, text]) => {
            const files = new DataTransfer();
            files.items.add(new File([text], name));
            const zone = document.querySelector("[data-drop]");
            for (const kind of ["dragover", "drop"])
                zone.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: files }));
        }""",
        [name, text],
    )


def test_a_dropped_file_is_looked_through_filtered_brought_in_and_taken_out(new_page, alice):
    page = new_page(alice, new(set="numbers"), **PHONE)
    drop(page, "numbers.jsonl", LINES)
    assert page.input_value("#id_file").endswith("numbers.jsonl")
    page.click("text=Look through it")
    page.wait_for_url("**/imports/*/")
    page.wait_for_selector("text=waits for a free worker")
    work()
    page.wait_for_selector("#start:has-text('Import: 6 prompts')")  # by itself
    assert_accessible(page)

    page.select_option("#step-new", "duplicates")
    page.click("#step-add")
    page.wait_for_selector("#step-0-remove")
    page.fill("#id_eval_percent", "100")
    page.fill("#id_filter_set_name", "no copies")
    page.click("button:text-is('Save')")
    page.wait_for_selector("text=The filters are saved as no copies")
    assert page.input_value("#id_eval_percent") == "100"  # nothing of the form is lost
    page.click("button.btn:text-is('Look again')")
    page.wait_for_selector("text=waits for a free worker")
    work()
    page.wait_for_selector("h2:text-is('What each filter removes')")
    page.wait_for_selector("text=removes 1 of 7 (14.3 %)")

    page.click("#start")
    page.wait_for_selector("text=waits for a free worker")
    work()
    page.wait_for_selector("h2:text-is('What came of it')")
    assert page.locator("#left-out tbody tr").count() == 2
    assert Prompt.objects.filter(prompt_set__name="numbers", split="eval").count() == 6
    assert FilterSet.objects.get().steps[0]["filter"] == "duplicates"

    page.click("a:text-is('Undo')")
    page.click("button:text-is('Undo the import')")
    page.wait_for_selector("text=waits for a free worker")
    work()
    page.wait_for_selector("text=everything that it had added was taken out")
    assert not Prompt.objects.exists()


def test_what_is_wrong_is_said_and_the_file_stays_chosen(new_page, alice):
    page = new_page(alice, new("judgments"))
    page.set_input_files("#id_file", {"name": "pairs.jsonl", "mimeType": "text/plain", "buffer": b"{}"})
    page.fill("#id_prompt_set_name", "pairs")
    page.click("text=Look through it")
    page.wait_for_selector(".errorlist:has-text('Choose a project')")
    page.errors.clear()  # the browser logs the 422
    assert page.input_value("#id_file").endswith("pairs.jsonl")
    page.fill("#id_store-new_project", "Pairs")
    page.click("text=Look through it")
    page.wait_for_url("**/imports/*/")
    assert DataImport.objects.get().options["store"]["new_project"] == "Pairs"


def test_how_much_is_uploaded_is_shown(new_page, alice):
    page = new_page(alice, new(set="large"))
    page.set_input_files("#id_file", {"name": "a.jsonl", "mimeType": "text/plain", "buffer": LINES.encode()})

    def sent(loaded):  # as htmx tells it
        page.evaluate(
            "told => document.querySelector('#import-form')"
            ".dispatchEvent(new CustomEvent('htmx:xhr:progress', { bubbles: true, detail: told }))",
            told | {"loaded": loaded},
        )
        return page.text_content("[data-upload-words]")

    told = {"lengthComputable": True, "total": 20_000_000}
    assert not page.is_visible("[data-upload-progress]")
    assert "5.0 of 20.0 MB uploaded" in sent(5_000_000)
    assert page.evaluate("document.querySelector('[data-upload-progress] progress').value") == 25
    assert "The server puts it into place" in sent(20_000_000)
    assert page.is_visible("[data-upload-progress]")


def test_only_the_fields_of_the_chosen_place_are_shown(new_page, alice):
    page = new_page(alice, new())
    assert page.is_visible("#id_file")
    assert not page.is_visible("#id_pasted")
    page.check("input[value='pasted']")
    assert page.is_visible("#id_pasted")
    assert not page.is_visible("#id_file")
    page.fill("#id_pasted", '{"prompt": "one"}')
    page.fill("#id_prompt_set_name", "pasted")
    page.click("text=Look through it")
    page.wait_for_url("**/imports/*/")


def test_columns_are_chosen_where_no_format_fits(new_page, alice):
    page = new_page(alice, new(set="odd"))
    page.check("input[value='pasted']")
    page.fill("#id_pasted", '{"was_gefragt_ist": {"text": "Warum?"}}')
    page.click("text=Look through it")
    page.wait_for_url("**/imports/*/")
    work()
    page.wait_for_selector("text=The rows have no format that is known here")
    assert not page.is_visible("#id_column_prompt")
    page.select_option("#id_format", "mapped")
    assert page.locator("datalist#columns option").count() == 2
    page.fill("#id_column_prompt", "was_gefragt_ist.text")
    page.click("button.btn:text-is('Look again')")
    page.wait_for_selector("text=waits for a free worker")
    work()
    page.wait_for_selector("#start:has-text('Import: 1 prompt')")
    page.wait_for_selector(".records >> text=Warum?")


def test_everything_works_without_javascript(new_page, alice):
    page = new_page(alice, new(), java_script_enabled=False)
    page.check("input[value='pasted']")
    page.fill("#id_pasted", LINES)
    page.fill("#id_prompt_set_name", "plain")
    page.click("text=Look through it")
    work()
    page.reload()
    page.select_option("#step-new", "duplicates")
    page.click("#step-add")
    page.fill("#id_split_group", "source")
    page.press("#id_split_group", "Enter")  # looks again, and takes no filter away
    row = work()
    assert [step["filter"] for step in row.options["steps"]] == ["duplicates"]
    assert row.options["split_group"] == "source"
    page.reload()
    page.click("#start")
    work()
    page.reload()
    page.click("text=removed by a filter (1)")
    assert page.locator("#left-out tbody tr").count() == 1
    page.click("a:text-is('Undo')")
    page.click("button:text-is('Undo the import')")
    work()
    page.reload()
    assert page.is_visible("text=everything that it had added was taken out")


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_row_that_was_left_out_takes_two_lines_at_most_until_it_is_unfolded(new_page, alice, options):
    pretty = json.dumps({"prompt": "Why? " * 40, "more": {"a": [1, 2, 3]}}, indent=2)
    row = imports_of_each_stage(PromptSet.objects.create(name="everyday"), alice)[4]
    LeftOutRow.objects.filter(data_import=row).update(content=pretty, reason="Not usable.")
    page = new_page(alice, row.get_absolute_url(), **options)
    first = page.locator("#left-out tbody tr").first
    assert first.bounding_box()["height"] < 80
    first.locator("summary").click()
    assert first.bounding_box()["height"] > 150
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize("options", [DESKTOP, {**PHONE, "color_scheme": "dark"}], ids=["desktop light", "phone dark"])
def test_every_stage_is_accessible_and_fits(new_page, live_server, alice, options):
    prompts = PromptSet.objects.create(name="everyday questions")
    imports = imports_of_each_stage(prompts, alice)
    paths = [reverse("sampling:data_imports"), reverse("sampling:import_new"), new("judgments"), new("completions")]
    paths += [each.get_absolute_url() for each in imports]
    paths += [reverse("sampling:import_undo", args=[each.pk]) for each in imports[3:6]]
    page = new_page(alice, paths[0], **options)
    for path in paths:
        page.goto(live_server.url + path)
        for details in page.query_selector_all("main details"):
            details.evaluate("each => { each.open = true; }")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], path
