"""Filters over a prompt set that is there: the look, what is kept, and what happens when something goes wrong."""

import uuid
from contextlib import contextmanager

import pytest
from django.core.exceptions import ValidationError

from sampling import tasks
from sampling.curation import actions, running
from sampling.curation.actions import CurationFailed
from sampling.importing.watching import watched
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import Curation, FilterSet, Prompt, PromptSet
from tests.sampling.curation.conftest import COPIES
from tests.sampling.curation.prompts import add, texts

pytestmark = pytest.mark.django_db

SHORT = {"filter": "tokens", "least": 3}
ONE_OF_EACH = {"filter": "per_subset", "key": "topic", "most": 1}


def curated(prompt_set, *steps, **asked):
    return actions.curate_now(
        curation=actions.create_curation(prompt_set=prompt_set, steps=list(steps), enqueue=False, **asked)
    )


def test_a_look_tells_what_each_filter_removes_and_keeps_nothing(everyday):
    # Of 6 the copy goes, then the two words: 4 are left, all of them train, for the only eval prompt is short.
    curation = curated(everyday, COPIES, SHORT)
    report = curation.report
    assert {name: report[name] for name in ("rows", "left", "changed", "train", "eval")} == {
        "rows": 6, "left": 4, "changed": 0, "train": 4, "eval": 0,
    }  # fmt: skip
    assert [(step["seen"], step["removed"]) for step in report["filters"]] == [(6, 1), (5, 1)]
    assert report["filters"][0]["examples"] == [
        {"line": 2, "reason": "The same as row 1.", "content": "why is the SKY blue?"}
    ]
    assert curation.state == TaskState.FINISHED
    assert PromptSet.objects.count() == 1


def test_what_is_left_is_kept_with_its_metadata_and_a_note_of_where_it_comes_from(looked, everyday):
    actions.curate_now(curation=actions.keep(curation=looked, new_name="few", enqueue=False))
    made = PromptSet.objects.get(name="few")
    assert Curation.objects.get().made == made
    assert texts(made) == [text for text in texts(everyday) if text != "why is the SKY blue?"]
    first, of_eval = made.prompts.order_by("pk")[:2]
    source = everyday.prompts.order_by("pk").first()
    assert first.metadata == {"topic": "physics", "curated_from": f"everyday, prompt {source.pk}"}
    assert (first.messages, first.content_hash, first.split) == (source.messages, source.content_hash, "train")
    assert of_eval.split == "eval"
    assert made.created_by == looked.created_by


def test_a_set_of_its_own_may_be_named_at_once(everyday):
    curation = curated(everyday, SHORT, new_name="long")
    assert curation.made.prompts.count() == 5


def test_what_filters_change_is_kept_changed(everyday):
    curation = curated(everyday, {"filter": "system", "do": "merge"}, new_name="merged")
    prompt = curation.made.prompts.get(metadata__curated_from__endswith=f"prompt {everyday.prompts.all()[3].pk}")
    assert prompt.messages == [{"role": "user", "content": "Be brief.\n\nName three birds of Europe."}]
    assert curation.report["changed"] == 2


def test_prompts_that_become_equal_are_kept_once_and_counted(everyday):
    add(everyday, "Name three birds of Asia.", system="Be thorough.")
    curation = curated(everyday, {"filter": "system", "do": "strip"}, new_name="stripped")
    assert (curation.report["left"], curation.report["same"]) == (7, 1)
    assert curation.made.prompts.count() == 6


def test_a_new_split_moves_prompts(everyday):
    curation = curated(everyday, {"filter": "split", "eval_percent": 100}, new_name="all eval")
    assert set(curation.made.prompts.values_list("split", flat=True)) == {"eval"}
    assert (curation.report["eval"], curation.report["changed"]) == (6, 5)


def test_a_draw_from_the_whole_set_is_the_same_for_the_look_and_for_what_is_kept(everyday, monkeypatch):
    monkeypatch.setattr(running, "BATCH", 2)
    curation = curated(everyday, ONE_OF_EACH)
    kept = actions.curate_now(curation=actions.keep(curation=curation, new_name="one of each", enqueue=False))
    assert kept.report["filters"] == curation.report["filters"]
    topics = [prompt.metadata.get("topic") for prompt in kept.made.prompts.all()]
    assert sorted(map(str, topics)) == ["None", "birds", "physics"]


def test_prompts_that_come_meanwhile_are_left_out_of_every_pass(everyday, monkeypatch):
    plan = running.Pipeline.plan

    def plan_while_somebody_adds(self, batch):
        plan(self, batch)
        add(everyday, f"Question {uuid.uuid4()}?", topic="late")

    monkeypatch.setattr(running.Pipeline, "plan", plan_while_somebody_adds)
    curation = curated(everyday, ONE_OF_EACH, new_name="one of each")
    assert curation.report["rows"] == 6


def test_the_same_request_is_one_run(everyday):
    key = uuid.uuid4()
    one, other = (
        actions.create_curation(prompt_set=everyday, steps=[SHORT], request_key=key, enqueue=False) for _ in range(2)
    )
    assert one.pk == other.pk


def test_keeping_twice_is_keeping_once(looked):
    actions.keep(curation=looked, new_name="few", enqueue=False)
    again = actions.keep(curation=looked, new_name="other", enqueue=False)
    assert (again.state, again.new_name) == (TaskState.QUEUED, "few")
    actions.curate_now(curation=again)
    assert actions.keep(curation=looked, new_name="third", enqueue=False).state == TaskState.FINISHED
    assert set(PromptSet.objects.values_list("name", flat=True)) == {"everyday", "few"}


def test_where_nothing_is_left_there_is_nothing_to_keep(looked):
    Curation.objects.filter(pk=looked.pk).update(report=looked.report | {"left": 0})
    with pytest.raises(ValidationError, match="leave no prompt"):
        actions.keep(curation=looked, new_name="empty", enqueue=False)


def test_a_finished_run_is_nothing_to_retry_or_reclaim(looked):
    for again in (looked.retry, looked.reclaim):
        with pytest.raises(StaleState):
            again()
    looked.refresh_from_db()
    assert looked.state == "finished"


def test_a_name_that_is_taken_is_refused(looked, everyday):
    with pytest.raises(ValidationError, match='There is a prompt set "everyday" already'):
        actions.keep(curation=looked, new_name="everyday")
    with pytest.raises(ValidationError, match="Name the new prompt set"):
        actions.keep(curation=looked, new_name="  ")
    with pytest.raises(ValidationError, match="at most 120"):
        actions.keep(curation=looked, new_name="x" * 121)
    with pytest.raises(ValidationError, match='There is a prompt set "everyday" already'):
        actions.create_curation(prompt_set=everyday, steps=[SHORT], new_name="everyday")


def test_a_name_that_was_taken_meanwhile_fails_and_another_may_be_given(looked):
    queued = actions.keep(curation=looked, new_name="few", enqueue=False)
    PromptSet.objects.create(name="few")
    with pytest.raises(CurationFailed, match='There is a prompt set "few" already'):
        actions.curate_now(curation=queued)
    kept = actions.curate_now(curation=actions.keep(curation=looked, new_name="fewer", enqueue=False))
    assert kept.made.name == "fewer"
    assert kept.made.prompts.count() == 5
    assert PromptSet.objects.get(name="few").prompts.count() == 0


def test_what_was_not_looked_through_cannot_be_kept(everyday):
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    with pytest.raises(StaleState):
        actions.keep(curation=curation, new_name="few")


def test_filters_that_cannot_run_are_refused_and_so_is_none(everyday):
    with pytest.raises(ValidationError, match="give the fewest, the most, or both"):
        actions.create_curation(prompt_set=everyday, steps=[{"filter": "turns"}])
    with pytest.raises(ValidationError, match="There is no filter"):
        actions.create_curation(prompt_set=everyday, steps=[])


def test_a_run_that_is_interrupted_goes_on_and_keeps_each_prompt_once(everyday, monkeypatch):
    monkeypatch.setattr(running, "BATCH", 2)
    copy, copied = running._copy, []

    def copy_once(*args):
        if copied:
            raise KeyboardInterrupt
        copied.append(1)
        copy(*args)

    curation = actions.create_curation(prompt_set=everyday, steps=[COPIES], new_name="few", enqueue=False)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(running, "_copy", copy_once)
        with pytest.raises(KeyboardInterrupt):
            actions.curate_now(curation=curation)
    assert curation.state == TaskState.CANCELLED
    assert Prompt.objects.filter(prompt_set__name="few").count() == 1  # of the first two one is a copy
    actions.curate_now(curation=curation)
    assert PromptSet.objects.get(name="few").prompts.count() == 5
    assert curation.report["same"] == 0


def test_a_failure_is_told_in_words(everyday):
    step = {"filter": "tokens", "most": 5, "tokenizer": "gone"}
    curation = actions.create_curation(prompt_set=everyday, steps=[step], enqueue=False)
    with pytest.raises(CurationFailed, match='No model "gone" is registered'):
        actions.curate_now(curation=curation)
    assert curation.state == TaskState.FAILED
    assert actions.retry(curation=curation, enqueue=False).state == TaskState.QUEUED


def test_an_unforeseen_failure_is_kept_and_does_not_reach_the_worker(everyday, monkeypatch):
    monkeypatch.setattr(running, "_source", lambda prompt_set: 1 / 0)
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    tasks.run_curation(curation.pk)
    curation.refresh_from_db()
    assert curation.state == TaskState.FAILED
    assert "division by zero" in curation.failure


def test_only_what_failed_or_was_cancelled_is_tried_again(looked):
    with pytest.raises(StaleState):
        actions.retry(curation=looked)
    with pytest.raises(StaleState):
        actions.curate_now(curation=looked)


def test_a_queued_run_is_cancelled_at_once(everyday):
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    assert actions.cancel(curation=curation).state == TaskState.CANCELLED


def test_a_worker_that_ends_hands_the_run_back(everyday, worker_stopping):
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    worker_stopping.set()
    tasks.run_curation(curation.pk)
    curation.refresh_from_db()
    assert (curation.state, curation.attempt) == (TaskState.QUEUED, 0)


def test_a_worker_stopped_in_the_middle_hands_the_run_back(everyday, worker_stopping, meanwhile):
    meanwhile(lambda row: worker_stopping.set())
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    tasks.run_curation(curation.pk)
    curation.refresh_from_db()
    assert (curation.state, curation.attempt) == (TaskState.QUEUED, 0)


def test_a_message_that_comes_twice_does_nothing(everyday):
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    tasks.run_curation(curation.pk)
    tasks.run_curation(curation.pk)
    curation.refresh_from_db()
    assert (curation.state, curation.attempt) == (TaskState.FINISHED, 1)


def test_an_empty_set_is_filtered_to_an_empty_set(db):
    curation = curated(PromptSet.objects.create(name="empty"), ONE_OF_EACH, new_name="none")
    assert curation.report["left"] == 0
    assert curation.made.prompts.count() == 0


@pytest.fixture
def meanwhile(monkeypatch):
    """What happens to the row just after the run has begun, and what the next heartbeat would tell the worker."""

    def happens(change):
        @contextmanager
        def told(curation, on_progress):
            with watched(curation, on_progress) as watch:
                change(Curation.objects.get())
                watch.unwanted.set()
                yield watch

        monkeypatch.setattr(actions, "watched", told)

    return happens


def test_a_cancelled_run_stops(everyday, meanwhile):
    meanwhile(lambda row: actions.cancel(curation=row))
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], enqueue=False)
    actions.execute(curation=curation)
    assert (curation.state, curation.report) == (TaskState.CANCELLED, {})


def test_a_worker_that_was_given_up_on_writes_nothing_more(everyday, meanwhile):
    meanwhile(lambda row: Curation.objects.filter(pk=row.pk).update(claim=uuid.uuid4()))
    curation = actions.create_curation(prompt_set=everyday, steps=[SHORT], new_name="few", enqueue=False)
    actions.execute(curation=curation)
    assert curation.state == TaskState.RUNNING
    assert not PromptSet.objects.filter(name="few").exists()


# --- saved filters ----------------------------------------------------------------------------------------------


def test_saved_filters_have_every_parameter(alice):
    saved = actions.save_filter_set(name=" short ", steps=[SHORT], created_by=alice)
    assert (saved.name, saved.created_by) == ("short", alice)
    assert saved.steps == [{"filter": "tokens", "of": "prompt", "least": 3, "most": None, "tokenizer": ""}]


def test_saved_filters_are_changed_in_place(db):
    saved = actions.save_filter_set(name="short", steps=[SHORT])
    actions.save_filter_set(filter_set=saved, name="few", steps=[SHORT, COPIES])
    assert [(each.name, len(each.steps)) for each in FilterSet.objects.all()] == [("few", 2)]


@pytest.mark.parametrize(
    ("name", "steps", "words"),
    [
        ("", [SHORT], "cannot be blank"),
        ("taken", [SHORT], "already exists"),
        ("x" * 121, [SHORT], "at most 120"),
        ("none", [], "There is no filter"),
        ("bad", [{"filter": "turns"}], "give the fewest"),
    ],
)
def test_filters_that_cannot_be_saved_are_explained(db, name, steps, words):
    actions.save_filter_set(name="taken", steps=[SHORT])
    with pytest.raises(ValidationError, match=words):
        actions.save_filter_set(name=name, steps=steps)
    assert FilterSet.objects.count() == 1
