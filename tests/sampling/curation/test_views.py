"""The pages of filters: steps that are added and moved by buttons, saved filters, and a run over a prompt set."""

import uuid

import pytest
from django.urls import reverse

from sampling.curation import actions
from sampling.long_tasks import TaskState
from sampling.models import Curation, FilterSet, PromptSet
from tests.sampling.curation.conftest import COPIES
from tests.sampling.curation.prompts import add

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
TURNS = {"step-0-filter": "turns", "step-0-least": "", "step-0-most": "3"}


def address(name, *args):
    return reverse(f"sampling:{name}", args=args)


@pytest.fixture
def sent(monkeypatch):
    """The numbers of runs that workers were told of."""
    numbers = []
    monkeypatch.setattr(actions, "announce", lambda curation: numbers.append(curation.pk))
    return numbers


@pytest.fixture
def short(alice):
    return actions.save_filter_set(name="short", steps=[{"filter": "turns", "most": 2}], created_by=alice)


def posted(**fields):
    return {"request_key": str(uuid.uuid4()), "seed": "17"} | fields


# --- steps in a form --------------------------------------------------------------------------------------------


def shown(response):
    return [step.kind.key for step in response.context["filter_steps"]]


def test_a_filter_is_added_by_a_button_and_nothing_is_saved(as_alice):
    response = as_alice.post(
        address("filter_set_new"), {"name": "", "step_new": "languages", "step_action": "add"} | TURNS
    )
    assert response.status_code == 200
    assert shown(response) == ["turns", "languages"]
    assert b'value="3"' in response.content
    assert "Keeps rows in the chosen languages." in response.text
    assert '<option value="near_duplicates">Near-duplicates</option>' in response.text
    assert b"errorlist" not in response.content  # not while it is being made
    assert not FilterSet.objects.exists()


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("up-1", ["split", "turns"]),
        ("down-0", ["split", "turns"]),
        ("remove-0", ["split"]),
        ("up-0", ["turns", "split"]),
        ("down-1", ["turns", "split"]),
        ("remove-7", ["turns", "split"]),
        ("up--1", ["turns", "split"]),
        ("up-\u00b2", ["turns", "split"]),
        ("add", ["turns", "split"]),
        ("load", ["turns", "split"]),
        ("explode", ["turns", "split"]),
    ],
)
def test_filters_are_moved_and_removed_by_buttons(as_alice, action, expected):
    response = as_alice.post(
        address("filter_set_new"), TURNS | {"step-1-filter": "split", "name": "a", "step_action": action}
    )
    assert shown(response) == expected
    assert not FilterSet.objects.exists()


def test_saved_filters_are_put_in_the_place_of_those_that_are_there(as_alice, short):
    fields = TURNS | {"step-1-filter": "split", "step_action": "load", "step_saved": str(short.pk)}
    response = as_alice.post(address("filter_set_new"), fields)
    assert shown(response) == ["turns"]
    assert b'value="2"' in response.content


def test_htmx_gets_the_form_alone(as_alice):
    whole = as_alice.get(address("filter_set_new"))
    part = as_alice.post(address("filter_set_new"), {"step_action": "add", "step_new": "turns"}, headers=HTMX)
    assert b"<html" in whole.content
    assert b"<html" not in part.content
    assert part.content.strip().startswith(b'<form id="filter-set-form"')


def test_what_is_wrong_stands_beside_its_field(as_alice):
    response = as_alice.post(address("filter_set_new"), TURNS | {"name": "a", "step-0-most": "<b>many</b>"})
    assert response.status_code == 422
    form = response.context["filter_steps"][0].form
    assert form.errors.get_json_data()["most"][0]["message"] == "'<b>many</b>' is no number."
    assert b"<b>many" not in response.content
    assert b'aria-invalid="true"' in response.content


def test_filters_without_a_name_or_without_any_filter_are_not_saved(as_alice):
    assert as_alice.post(address("filter_set_new"), TURNS).status_code == 422
    response = as_alice.post(address("filter_set_new"), {"name": "none"})
    assert response.status_code == 422
    assert b"There is no filter. Add at least one." in response.content


# --- saved filters ----------------------------------------------------------------------------------------------


def test_filters_are_saved_shown_changed_and_deleted(as_alice):
    response = as_alice.post(address("filter_set_new"), TURNS | {"name": "few turns"})
    saved = FilterSet.objects.get()
    assert response.url == saved.get_absolute_url()
    page = as_alice.get(address("filter_sets"))
    assert b"few turns" in page.content
    assert "Number of turns" in page.text
    assert "most: 3" in page.text

    response = as_alice.post(saved.get_absolute_url(), TURNS | {"name": "fewer", "step-0-most": "1"}, headers=HTMX)
    assert response["HX-Redirect"] == saved.get_absolute_url()
    saved.refresh_from_db()
    assert (saved.name, saved.steps[0]["most"]) == ("fewer", 1)

    assert "Delete these filters?" in as_alice.get(address("filter_set_delete", saved.pk)).text
    assert as_alice.post(address("filter_set_delete", saved.pk)).url == address("filter_sets")
    assert not FilterSet.objects.exists()


def test_the_name_of_other_filters_is_refused(as_alice, short):
    response = as_alice.post(address("filter_set_new"), TURNS | {"name": "short"})
    assert response.status_code == 422
    assert "already exists" in response.text


def test_a_box_that_is_not_ticked_is_off(as_alice):
    fields = {"name": "exact", "step-0-filter": "duplicates", "step-0-of": "prompt", "step-0-ignore_case": "on"}
    as_alice.post(address("filter_set_new"), fields)
    (step,) = FilterSet.objects.get().steps
    assert (step["ignore_case"], step["ignore_spaces"]) == (True, False)


def test_saved_filters_that_cannot_run_any_more_are_shown_and_explained(as_alice):
    broken = FilterSet.objects.create(name="old", steps=[{"filter": "turns", "most": "x"}, {"filter": "gone"}])
    assert "They cannot be run any more" in as_alice.get(address("filter_sets")).text
    assert "is no number" in as_alice.get(broken.get_absolute_url()).text
    assert as_alice.get(address("filter_set_delete", broken.pk)).status_code == 200


def test_the_filters_of_a_run_are_offered_to_be_saved(as_alice, looked):
    response = as_alice.get(address("filter_set_new") + f"?curation={looked.pk}")
    assert shown(response) == ["duplicates"]
    assert as_alice.get(address("filter_set_new") + "?curation=999").status_code == 404
    assert as_alice.get(address("filter_set_new") + "?curation=x").status_code == 200


# --- a run ------------------------------------------------------------------------------------------------------


def test_filters_are_chosen_and_a_worker_is_told(as_alice, everyday, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = as_alice.post(address("curation_new", everyday.pk), posted(**TURNS))
    curation = Curation.objects.get()
    assert response.url == curation.get_absolute_url()
    assert (curation.of, curation.steps[0]["most"], curation.created_by.username) == (everyday, 3, "alice")
    assert sent == [curation.pk]


def test_a_double_click_is_one_run(as_alice, everyday, sent):
    fields = posted(**TURNS)
    one, other = (as_alice.post(address("curation_new", everyday.pk), fields) for _ in range(2))
    assert one.url == other.url
    assert Curation.objects.count() == 1


def test_a_run_without_a_filter_is_refused(as_alice, everyday):
    response = as_alice.post(address("curation_new", everyday.pk), posted(), headers=HTMX)
    assert response.status_code == 422
    assert "There is no filter" in response.text


def test_changing_the_steps_keeps_the_request_and_the_seed(as_alice, everyday):
    fields = posted(seed="99", step_action="add", step_new="per_subset")
    response = as_alice.post(address("curation_new", everyday.pk), fields)
    assert fields["request_key"] in response.text
    assert 'value="99"' in response.text
    assert '<option value="topic">' in response.text  # the keys that the set's metadata has


def test_an_earlier_runs_filters_are_begun_with(as_alice, looked):
    response = as_alice.get(address("curation_new", looked.of.pk) + f"?from={looked.pk}")
    assert shown(response) == ["duplicates"]
    assert looked.get_absolute_url() in response.text


def test_the_page_shows_what_each_filter_removes(as_alice, looked):
    response = as_alice.get(looked.get_absolute_url())
    assert "removes 1 of 6" in response.text
    assert "why is the SKY blue?" in response.text
    assert "The same as row 1." in response.text
    assert 'value="everyday, filtered"' in response.text


def test_a_run_that_is_not_over_asks_again(as_alice, everyday):
    curation = actions.create_curation(prompt_set=everyday, steps=[COPIES], enqueue=False)
    part = as_alice.get(curation.get_absolute_url(), headers=HTMX)
    assert part.content.strip().startswith(b'<div id="curation"')
    assert b'hx-trigger="every 2s"' in part.content
    actions.curate_now(curation=curation)
    assert b"hx-trigger" not in as_alice.get(curation.get_absolute_url(), headers=HTMX).content


def test_what_is_left_is_kept_under_a_name(as_alice, looked, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            response = as_alice.post(address("curation_keep", looked.pk), {"new_name": "few"})
            assert response.url == looked.get_absolute_url()
    assert sent == [looked.pk]
    looked.refresh_from_db()
    assert (looked.new_name, looked.state) == ("few", TaskState.QUEUED)
    actions.curate_now(curation=looked)
    page = as_alice.get(looked.get_absolute_url())
    assert PromptSet.objects.get(name="few").get_absolute_url() in page.text


def test_a_name_that_is_taken_is_told_beside_its_field(as_alice, looked):
    response = as_alice.post(address("curation_keep", looked.pk), {"new_name": "everyday"})
    assert response.status_code == 422
    assert "There is a prompt set &quot;everyday&quot; already" in response.text
    assert as_alice.post(address("curation_keep", looked.pk), {"new_name": ""}).status_code == 422


def test_a_run_that_is_not_over_cannot_be_kept(as_alice, everyday):
    curation = actions.create_curation(prompt_set=everyday, steps=[COPIES], enqueue=False)
    response = as_alice.post(address("curation_keep", curation.pk), {"new_name": "few"}, follow=True)
    assert "is not looked through" in response.text


def test_a_name_that_was_taken_meanwhile_may_be_changed(as_alice, looked, everyday):
    queued = actions.keep(curation=looked, new_name="few", enqueue=False)
    PromptSet.objects.create(name="few")
    actions.execute(curation=queued)
    page = as_alice.get(looked.get_absolute_url())
    assert "Keep what the filters leave under another name" in page.text
    assert "Keep what is left" in page.text


def test_where_nothing_is_left_nothing_is_kept(as_alice, everyday):
    curation = actions.create_curation(prompt_set=everyday, steps=[{"filter": "tokens", "least": 1000}], enqueue=False)
    actions.curate_now(curation=curation)
    page = as_alice.get(curation.get_absolute_url())
    assert "Nothing is left" in page.text
    assert "Keep what is left" not in page.text


def test_a_run_is_cancelled_and_tried_again(as_alice, everyday, sent):
    curation = actions.create_curation(prompt_set=everyday, steps=[COPIES], enqueue=False)
    as_alice.post(address("curation_cancel", curation.pk))
    curation.refresh_from_db()
    assert curation.state == TaskState.CANCELLED
    assert "Try again" in as_alice.get(curation.get_absolute_url()).text
    for _ in range(2):
        as_alice.post(address("curation_retry", curation.pk))
    curation.refresh_from_db()
    assert curation.state == TaskState.QUEUED


def test_what_prompts_say_is_escaped(as_alice, everyday):
    for letter in "aA":
        add(everyday, f"<script>{letter}</script>", **{"<img src=x>": 1})
    curation = actions.create_curation(prompt_set=everyday, steps=[COPIES], enqueue=False)
    actions.curate_now(curation=curation)
    assert "<script>A" not in as_alice.get(curation.get_absolute_url()).text
    assert "&lt;script&gt;A" in as_alice.get(curation.get_absolute_url()).text
    assert "<img" not in as_alice.get(address("curation_new", everyday.pk)).text.partition("<main")[2]


# --- who may, and how -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["filter_sets", "filter_set_new"])
def test_pages_are_for_staff(client, as_bob, name):
    assert as_bob.get(address(name)).status_code == 403
    client.logout()
    assert client.get(address(name)).status_code == 302


def test_every_page_of_a_row_is_for_staff_and_has_its_methods(as_bob, alice, looked, short):
    pages = [("filter_set", short.pk), ("filter_set_delete", short.pk), ("curation_new", looked.of.pk)]
    buttons = [(f"curation_{what}", looked.pk) for what in ("keep", "cancel", "retry")]
    for name, pk in [*pages, ("curation", looked.pk)]:
        assert as_bob.get(address(name, pk)).status_code == 403
    for name, pk in [*pages, *buttons]:
        assert as_bob.post(address(name, pk)).status_code == 403
    as_bob.force_login(alice)
    for name, pk in buttons:
        assert as_bob.get(address(name, pk)).status_code == 405
    assert as_bob.post(address("curation", looked.pk)).status_code == 405
    assert as_bob.get(address("curation", 999)).status_code == 404
