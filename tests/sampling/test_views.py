"""The pages: who may see them, what they do, and that the live part comes alone."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sampling import actions, tasks
from sampling.long_tasks import TaskState
from sampling.models import DataImport, ModelVersion, PromptSet, SamplingRun
from tests.sampling.conftest import make_checkpoint, make_prompts

HTMX = {"HX-Request": "true"}


@pytest.fixture
def announced(monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.run_sampling, "delay", sent.append)
    return sent


@pytest.fixture
def run(prompt_set, policy) -> SamplingRun:
    return actions.create_sampling_run(prompt_set=prompt_set, policies=[policy], n=2, enqueue=False)


@pytest.fixture
def report(prompt_set) -> DataImport:
    return DataImport.objects.create(
        prompt_set=prompt_set,
        name="a.jsonl",
        what="prompts",
        doing="import",
        state="finished",
        prompts_added=4,
        rejected_count=1,
    )


@pytest.fixture
def addresses(run, policy, prompt_set) -> dict[str, str]:
    """Every page, by name."""
    with_id = {"prompt_set": prompt_set, "model_version": policy, "sampling_run": run}
    plain = ["prompt_sets", "models", "register_model", "sampling_runs", "sampling_run_new"]
    return {name: reverse(f"sampling:{name}") for name in plain} | {
        name: reverse(f"sampling:{name}", args=[row.pk]) for name, row in with_id.items()
    }


def test_staff_see_every_page(as_alice, addresses):
    for address in addresses.values():
        assert as_alice.get(address).status_code == 200, address


def test_others_see_none(as_bob, addresses, run):
    posts = [reverse(f"sampling:sampling_run_{verb}", args=[run.pk]) for verb in ("cancel", "retry")]
    for address in addresses.values():
        assert as_bob.get(address).status_code == 403, address
    for address in posts:
        assert as_bob.post(address).status_code == 403, address
    run.refresh_from_db()
    assert run.state == TaskState.QUEUED


def test_the_anonymous_are_sent_to_sign_in(client, addresses):
    for address in addresses.values():
        response = client.get(address)
        assert (response.status_code, response["Location"]) == (302, f"{reverse('login')}?next={address}")


def test_a_live_part_takes_the_whole_page_to_sign_in_when_the_session_has_ended(client, run):
    page = run.get_absolute_url()
    response = client.get(page, headers=HTMX | {"HX-Current-URL": f"http://testserver{page}?from=list"})
    assert response["HX-Redirect"] == f"{reverse('login')}?next={page}%3Ffrom%3Dlist"
    assert response.content == b""


def test_pages_refuse_the_wrong_method(as_alice, addresses, run):
    for name, address in addresses.items():
        takes_post = name in ("register_model", "sampling_run_new")
        response = as_alice.put(address) if takes_post else as_alice.post(address)
        assert response.status_code == 405, address
    for verb in ("cancel", "retry"):
        assert as_alice.get(reverse(f"sampling:sampling_run_{verb}", args=[run.pk])).status_code == 405


@pytest.mark.parametrize("name", ["prompt_sets", "models", "sampling_runs", "sampling_run_new"])
def test_an_empty_site_says_what_to_do_first(as_alice, name):
    page = as_alice.get(reverse(f"sampling:{name}")).content.decode()
    assert 'class="empty"' in page
    assert "btn-primary" in page


# --- prompts ------------------------------------------------------------------------------------------------


def test_a_prompt_set_can_be_looked_at_by_split_and_page(as_alice, prompt_set):
    make_prompts(prompt_set, *(f"Question {number}" for number in range(60)))
    address = prompt_set.get_absolute_url()

    assert "Page 1 of 2" in as_alice.get(address).content.decode()
    second = as_alice.get(f"{address}?split=train&page=2").content.decode()
    assert "Question 59" in second
    assert "?page=1&amp;split=train" in second
    only_eval = as_alice.get(f"{address}?split=eval").content.decode()
    assert "Say hello." in only_eval
    assert "Question" not in only_eval
    assert as_alice.get(f"{address}?split=nonsense&page=-4").status_code == 200


def test_a_prompt_sets_page_lists_its_imports_without_what_they_saw(as_alice, prompt_set, report):
    with CaptureQueriesContext(connection) as queries:
        page = as_alice.get(prompt_set.get_absolute_url()).content.decode()
    assert report.get_absolute_url() in page
    assert "4 prompts added, 1 row not usable" in page
    (imports,) = [query["sql"] for query in queries if '"sampling_dataimport"' in query["sql"]]
    assert '"rejected_count"' in imports
    assert '"seen"' not in imports


def test_prompt_pages_lead_to_the_form_of_an_import(as_alice, prompt_set):
    form = f"{reverse('sampling:import_new')}?what=prompts"
    assert form in as_alice.get(reverse("sampling:prompt_sets")).content.decode()
    page = as_alice.get(prompt_set.get_absolute_url()).content.decode()
    assert f"{form}&amp;set=everyday" in page


# --- models -------------------------------------------------------------------------------------------------


def test_a_model_is_registered_from_the_page(as_alice, tmp_path):
    form = {"name": "mine", "location": str(make_checkpoint(tmp_path / "m")), "role": "policy", "publish": "on"}
    response = as_alice.post(reverse("sampling:register_model"), form)
    assert response["Location"] == ModelVersion.objects.published().get().get_absolute_url()


def test_a_location_without_a_model_is_said_beside_the_field(as_alice, tmp_path):
    form = {"name": "mine", "location": str(tmp_path / "gone"), "role": "policy"}
    response = as_alice.post(reverse("sampling:register_model"), form)
    assert response.status_code == 422
    assert "There is no directory" in response.context["form"].errors["location"][0]


def test_a_name_that_is_taken_is_said_beside_the_field(as_alice, policy, tmp_path):
    location = str(make_checkpoint(tmp_path / "m", weights=b"other"))
    response = as_alice.post(
        reverse("sampling:register_model"), {"name": "smollm2", "location": location, "role": "policy"}
    )
    assert response.status_code == 422
    assert "belongs to policy" in response.context["form"].errors["name"][0]


def test_the_models_page_shows_parents_and_the_picture(as_alice, policy, tmp_path):
    location = str(make_checkpoint(tmp_path / "child", weights=b"c"))
    child = actions.register_model(name="child", location=location, parent=policy, publish=False)
    page = as_alice.get(reverse("sampling:models")).content.decode()
    assert page.count('<circle class="node node-policy') == 2 + 2  # two versions, two in the legend
    assert 'd="M11 17 V51"' in page
    assert "not published" in page
    assert child.get_absolute_url() in page
    assert policy.name in as_alice.get(child.get_absolute_url()).content.decode()


# --- sampling runs ------------------------------------------------------------------------------------------


def run_form(prompt_set, policy, **changes) -> dict:
    return {
        "prompt_set": prompt_set.pk,
        "policies": [policy.pk],
        "n": 4,
        "temperature": 0.8,
        "top_p": 0.9,
        "max_tokens": 64,
        "seed": 3,
        "split": "train",
        "prompt_limit": "",
        "name": "",
        "request_key": str(uuid.uuid4()),
    } | changes


def test_a_double_click_starts_one_run(
    as_alice, alice, prompt_set, policy, announced, django_capture_on_commit_callbacks
):
    form = run_form(prompt_set, policy)
    with django_capture_on_commit_callbacks(execute=True):
        first = as_alice.post(reverse("sampling:sampling_run_new"), form)
        second = as_alice.post(reverse("sampling:sampling_run_new"), form)

    run = SamplingRun.objects.get()
    assert first["Location"] == second["Location"] == run.get_absolute_url()
    assert announced == [run.pk]
    assert (run.n, run.temperature, run.top_p, run.max_tokens, run.seed) == (4, 0.8, 0.9, 64, 3)
    assert (run.split, run.total, run.created_by) == ("train", 12, alice)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n": 0}, "n"),
        ({"policies": []}, "policies"),
        ({"temperature": 2.1}, "temperature"),
        ({"split": "x"}, "split"),
        ({"prompt_limit": 0}, "prompt_limit"),
    ],
)
def test_a_bad_value_is_said_beside_its_field(as_alice, prompt_set, policy, changes, field):
    response = as_alice.post(reverse("sampling:sampling_run_new"), run_form(prompt_set, policy, **changes))
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not SamplingRun.objects.exists()


def test_an_empty_split_is_said_beside_the_set(as_alice, policy):
    empty = PromptSet.objects.create(name="empty")
    response = as_alice.post(reverse("sampling:sampling_run_new"), run_form(empty, policy))
    assert "no prompt in the train split" in response.context["form"].errors["prompt_set"][0]


def test_an_unpublished_policy_cannot_be_chosen(as_alice, prompt_set, policy):
    ModelVersion.objects.update(published_at=None)
    response = as_alice.post(reverse("sampling:sampling_run_new"), run_form(prompt_set, policy))
    assert list(response.context["form"].errors) == ["policies"]


def test_the_live_part_comes_alone_and_asks_again_until_the_run_is_over(as_alice, run):
    address = run.get_absolute_url()
    fragment = as_alice.get(address, headers=HTMX)
    page = as_alice.get(address).content.decode()

    live = fragment.content.decode()
    assert live.strip().startswith('<div id="run"')
    assert "<html" not in live
    assert "every 2s" in live
    assert "every 2s" in page
    assert "HX-Request" in fragment["Vary"]

    actions.cancel(run=run)
    over = as_alice.get(address, headers=HTMX).content.decode()
    assert "every 2s" not in over
    assert "Go on where it stopped" in over


def test_a_running_run_shows_its_progress_and_newest_completions(as_alice, run, prompt_set, policy):
    run.take()
    run.beat(done=3, total=8, phase="sampling")
    prompt = prompt_set.prompts.first()
    run.completions.create(
        prompt=prompt, model_version=policy, index=0, tokens=5, text="<img src=x>", finish_reason="length"
    )
    live = as_alice.get(run.get_absolute_url(), headers=HTMX).content.decode()
    assert "3 of 8 completions" in live
    assert "a second," in live
    assert "&lt;img src=x&gt;" in live
    assert "cut off at the limit" in live


def test_a_failure_is_shown_with_its_remedy(as_alice, run):
    run.take()
    run.end(TaskState.FAILED, failure="The disk is full. Free some space.")
    page = as_alice.get(run.get_absolute_url()).content.decode()
    assert "The disk is full. Free some space." in page


def test_cancel_and_retry_lead_back_to_the_run(as_alice, run, announced, django_capture_on_commit_callbacks):
    cancel, retry = (reverse(f"sampling:sampling_run_{verb}", args=[run.pk]) for verb in ("cancel", "retry"))
    assert as_alice.post(cancel)["Location"] == run.get_absolute_url()
    run.refresh_from_db()
    assert run.state == TaskState.CANCELLED

    with django_capture_on_commit_callbacks(execute=True):
        as_alice.post(retry)
    run.refresh_from_db()
    assert run.state == TaskState.QUEUED
    assert announced == [run.pk]

    page = as_alice.post(retry, follow=True).content.decode()
    assert "Only a failed or cancelled run" in page


def test_lists_cost_the_same_number_of_queries_however_long(as_alice, run, prompt_set, policy, tmp_path):
    def queries() -> list[int]:
        counts = []
        for name in ("sampling_runs", "models", "prompt_sets"):
            with CaptureQueriesContext(connection) as captured:
                as_alice.get(reverse(f"sampling:{name}"))
            counts.append(len(captured))
        return counts

    with_one = queries()
    for number in range(5):
        location = str(make_checkpoint(tmp_path / f"m{number}", weights=str(number).encode()))
        version = actions.register_model(name=f"m{number}", location=location, parent=policy)
        actions.create_sampling_run(prompt_set=prompt_set, policies=[version], enqueue=False)
    assert queries() == with_one
