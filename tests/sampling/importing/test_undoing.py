"""An import goes again as a whole, or not at all; and never from under somebody who uses what it brought."""

import threading

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError

from sampling.importing import actions, undoing
from sampling.importing.actions import ImportFailed
from sampling.models import Completion, DataImport, Prompt, PromptSet, SamplingRun

PAIR = {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}


def undone(data_import: DataImport) -> DataImport:
    actions.undo(data_import=data_import, enqueue=False)
    return actions.go_on_now(data_import=data_import)


@pytest.mark.django_db
def test_everything_that_it_added_goes_and_the_rest_stays(jsonl, brought_in, prompt_set, alice):
    done = brought_in(jsonl(PAIR, {"prompt": "Say hello.", "chosen": "Hello.", "rejected": "No."}), what="completions")
    assert (done.prompts_added, done.completions_added) == (1, 4)  # "Say hello." was in the set before

    actions.undo(data_import=done, by=alice, enqueue=False)
    actions.go_on_now(data_import=done)

    assert (Prompt.objects.count(), Completion.objects.count()) == (4, 0)
    assert (done.state, done.undone_by) == ("finished", alice)
    assert done.undone_at is not None
    assert actions.undo(data_import=done, enqueue=False).state == "finished"  # the second click


@pytest.mark.django_db
def test_prompts_that_were_answered_stay_and_the_runs_are_named(jsonl, brought_in, policy):
    done = brought_in(jsonl({"prompt": "one"}, {"prompt": "two"}))
    run = SamplingRun.objects.create(prompt_set=done.prompt_set, name="june", state="finished")
    prompt = Prompt.objects.first()
    for index in range(2):
        Completion.objects.create(
            run=run, prompt=prompt, model_version=policy, tokens=1, text="a", finish_reason="stop", index=index
        )

    with pytest.raises(ImportFailed, match=r'2 completions of sampling run "june"\. An import is taken out as a whole'):
        undone(done)
    assert Prompt.objects.count() == 2
    done.refresh_from_db()
    assert (done.state, done.doing, done.undone_at, done.undone_by) == ("finished", "import", None, None)
    assert done.failure.startswith("It was not undone.")
    assert "before_undo" not in done.seen


@pytest.mark.django_db
def test_prompts_that_are_being_answered_stay(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}))
    SamplingRun.objects.create(prompt_set=done.prompt_set, name="june", state="running")
    with pytest.raises(ImportFailed, match=r'being answered by "june"\. Cancel that'):
        undone(done)


@pytest.mark.django_db
def test_prompts_that_another_imports_completions_answer_become_that_ones(jsonl, brought_in):
    first = brought_in(jsonl({"prompt": "Hi"}, {"prompt": "Why?"}))
    second = brought_in(jsonl(PAIR, name="pairs.jsonl"), what="completions")
    undone(first)
    assert Prompt.objects.get().data_import == second
    second.refresh_from_db()
    assert second.prompts_added == 1
    undone(second)
    assert not Prompt.objects.exists()


@pytest.mark.django_db
def test_two_imports_with_completions_of_each_others_prompts_can_both_be_undone(jsonl, brought_in, monkeypatch):
    first = brought_in(jsonl(PAIR), what="completions")
    other = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
    second = brought_in(jsonl(other, PAIR | {"chosen": "Good day."}), what="completions")
    Completion.objects.filter(prompt__data_import=second, text="No.").update(data_import=first)
    undone(first)
    assert {each.data_import_id for each in Prompt.objects.all()} == {second.pk}
    assert {each.text for each in Completion.objects.all()} == {"So.", "Good day."}
    undone(second)
    assert not Completion.objects.exists()


@pytest.mark.django_db
def test_nothing_that_stood_in_the_source_is_kept_of_an_undone_import(jsonl, looked_at):
    mine = looked_at(jsonl({"prompt": "A secret"}, "{ broken"))
    actions.start(data_import=mine, enqueue=False)
    undone(actions.go_on_now(data_import=mine))
    mine.refresh_from_db()
    assert mine.seen["rows"] == 2
    assert "secret" not in str(mine.seen)
    assert "broken" not in str(mine.seen)
    assert not mine.left_out.exists()


@pytest.mark.django_db
def test_a_look_has_nothing_to_undo(jsonl, looked_at):
    with pytest.raises(actions.ValidationError, match="nothing to undo"):
        actions.undo(data_import=looked_at(jsonl({"prompt": "one"})), enqueue=False)


@pytest.mark.django_db
def test_an_undo_that_was_refused_can_be_tried_again_or_given_up(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}))
    run = SamplingRun.objects.create(prompt_set=done.prompt_set, name="june", state="running")
    with pytest.raises(ImportFailed):
        undone(done)
    done.refresh_from_db()
    assert (done.state, done.doing) == ("finished", "import")
    assert actions.start(data_import=done, enqueue=False).state == "finished"  # nothing is left to be given up
    run.delete()
    assert undone(done).undone_at is not None


@pytest.mark.django_db
def test_an_import_that_was_stopped_midway_is_so_again_after_an_undo_that_was_refused(jsonl, brought_in):
    done = brought_in(jsonl({"prompt": "one"}))
    DataImport.objects.filter(pk=done.pk).update(state="cancelled", done=3, total=9)
    SamplingRun.objects.create(prompt_set=done.prompt_set, name="june", state="running")
    with pytest.raises(ImportFailed, match="being answered by"):
        undone(done)
    done.refresh_from_db()
    assert (done.state, done.doing, done.done, done.total) == ("cancelled", "import", 3, 9)


@pytest.fixture
def meanwhile(monkeypatch):
    """``meanwhile(use)``: in a connection of its own, ``use`` runs between the undo's look and what it deletes."""

    def install(use) -> None:
        looks = undoing._refuse_if_used
        errors = []

        def in_thread() -> None:
            try:
                use()
            except Exception as error:
                errors.append(error)
            finally:
                connection.close()

        def then_use(model, data_import) -> None:
            looks(model, data_import)
            thread = threading.Thread(target=in_thread)
            thread.start()
            thread.join()
            assert not errors

        monkeypatch.setattr(undoing, "_refuse_if_used", then_use)

    return install


@pytest.mark.django_db(transaction=True)
def test_what_begins_to_use_a_prompt_at_the_last_moment_wins(jsonl, brought_in, policy, meanwhile):
    """The look sees nothing; then somebody answers the prompt and commits; then the database refuses the deletion."""
    done = brought_in(jsonl({"prompt": "one"}))
    run = SamplingRun.objects.create(prompt_set=done.prompt_set, name="june", state="finished")

    def answer() -> None:
        Completion.objects.create(
            run=run, prompt=Prompt.objects.get(), model_version=policy, tokens=1, text="a", finish_reason="stop"
        )

    meanwhile(answer)
    with pytest.raises(ImportFailed, match="Something began to use what this import brought"):
        undone(done)
    assert Prompt.objects.count() == 1
    assert Completion.objects.count() == 1
    done.refresh_from_db()
    assert (done.state, done.doing, done.undone_at, done.undone_by) == ("finished", "import", None, None)
    assert done.failure.startswith("It was not undone.")
    assert "before_undo" not in done.seen


@pytest.mark.django_db(transaction=True)
def test_who_comes_after_the_deletion_is_refused(jsonl, brought_in, policy, monkeypatch):
    """Somebody answers the prompt in a transaction that ends after the undo's: theirs is the one that fails."""
    done = brought_in(jsonl({"prompt": "one"}))
    run = SamplingRun.objects.create(prompt_set=done.prompt_set, name="june", state="finished")
    prompt = Prompt.objects.get()
    answered, taken_out = threading.Event(), threading.Event()
    errors = []

    def answer() -> None:
        try:
            with transaction.atomic():
                Completion.objects.create(
                    run=run, prompt=prompt, model_version=policy, tokens=1, text="a", finish_reason="stop"
                )
                answered.set()
                assert taken_out.wait(30)
        except IntegrityError as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    assert answered.wait(30)
    undone(done)
    taken_out.set()
    thread.join()

    assert len(errors) == 1
    assert not Prompt.objects.exists()
    assert not Completion.objects.exists()
    assert PromptSet.objects.count() == 1
