"""Reading ahead in a thread, and remembering what was seen."""

import threading
from itertools import islice

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from annotation.datasets.exports import write_export
from annotation.datasets.read_ahead import BATCH, read_ahead
from annotation.datasets.seen_ids import SeenIds
from annotation.models import DatasetSnapshot
from sampling.models import Completion
from tests.annotation.datasets.exported import contents

COUNT = 5 * BATCH + 3


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_a_thread_reads_in_the_same_order():
    threads = set()

    def numbers():
        for number in range(COUNT):
            threads.add(threading.current_thread().name)
            yield number

    assert list(read_ahead(numbers)) == list(range(COUNT))
    assert threads == {"reads ahead for an export"}


@pytest.mark.django_db
def test_inside_of_a_transaction_which_no_other_connection_sees_it_reads_here():
    assert connection.in_atomic_block
    here = threading.current_thread()
    assert list(read_ahead(lambda: iter([threading.current_thread()]))) == [here]


@pytest.mark.django_db(transaction=True)
def test_what_goes_wrong_in_the_thread_is_raised_behind_what_was_read():
    def numbers():
        yield from range(BATCH)
        raise ValueError("the disk is gone")

    stream = read_ahead(numbers)
    assert list(islice(stream, BATCH)) == list(range(BATCH))
    with pytest.raises(ValueError, match="the disk is gone"):
        next(stream)


@pytest.mark.django_db(transaction=True)
def test_whoever_leaves_early_leaves_no_thread():
    stream = read_ahead(lambda: iter(range(100 * BATCH)))
    assert next(stream) == 0
    stream.close()
    assert "reads ahead for an export" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.django_db(transaction=True)
def test_an_export_is_the_same_with_the_thread_and_refused_where_something_was_changed(snapshot, tmp_path):
    from django.db import transaction

    write_export(snapshot=snapshot, directory=tmp_path / "thread")
    with transaction.atomic():
        write_export(snapshot=DatasetSnapshot.objects.get(), directory=tmp_path / "here")
    assert contents(tmp_path / "thread") == contents(tmp_path / "here")
    Completion.objects.update(text="Edited by hand")
    with pytest.raises(Exception, match="was changed in the database by hand"):
        write_export(snapshot=snapshot, directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@given(st.lists(st.integers(0, 200_000)), st.integers(0, 200_000))
def test_an_id_is_seen_if_it_was_added(ids, other):
    seen = SeenIds()
    for pk in ids:
        seen.add(pk)
    assert all(pk in seen for pk in ids)
    assert (other in seen) == (other in ids)
