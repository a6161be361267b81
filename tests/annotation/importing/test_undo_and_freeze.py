"""Somebody freezes a snapshot of imported judgments while the import is taken out: one of the two is refused."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from annotation.models import DatasetSnapshot, Judgment
from sampling.importing import actions
from sampling.importing.actions import ImportFailed
from sampling.importing.options import Options
from sampling.models import DataImport

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def brought(project, tmp_path) -> DataImport:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}\n')
    options = Options(store={"project": project.slug, "new_project": "", "unnamed_are_one": True})
    return actions.import_now(what="judgments", prompt_set_name="x", location=str(path), options=options)


def frozen(project) -> DatasetSnapshot:
    """As a freeze writes it: the snapshot and its list in one transaction."""
    snapshot = DatasetSnapshot.objects.create(project=project, name="june", content_hash="0" * 64)
    snapshot.judgments.set(Judgment.objects.all())
    return snapshot


def test_a_freeze_that_ends_during_the_undo_wins(project, brought, monkeypatch):
    # A freeze that began before the judgments were deleted sees them; so its list is there when the undo would end.
    def then_freeze(data_import):
        thread = threading.Thread(target=lambda: (frozen(project), connection.close()))
        thread.start()
        thread.join()
        return iter(())

    monkeypatch.setattr("annotation.importing.undoing._in_the_way", then_freeze)
    actions.undo(data_import=brought, enqueue=False)
    with pytest.raises(ImportFailed, match="Something began to use what this import brought"):
        actions.go_on_now(data_import=brought)

    assert DatasetSnapshot.objects.get().judgments.count() == 1
    assert Judgment.objects.count() == 1


def test_a_freeze_that_ends_after_the_undo_is_refused_whole(project, brought):
    listed, taken_out = threading.Event(), threading.Event()
    errors = []

    def freeze() -> None:
        try:
            with transaction.atomic():
                frozen(project)
                listed.set()
                assert taken_out.wait(30)
        except IntegrityError as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=freeze)
    thread.start()
    assert listed.wait(30)
    actions.undo(data_import=brought, enqueue=False)
    actions.go_on_now(data_import=brought)
    taken_out.set()
    thread.join()

    assert len(errors) == 1
    assert not DatasetSnapshot.objects.exists()
    assert not Judgment.objects.exists()
