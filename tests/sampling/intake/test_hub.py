"""Datasets of a hub. There is no network in tests: the two libraries' answers are played."""

from types import SimpleNamespace

import datasets
import huggingface_hub
import pytest
from datasets import IterableDataset
from huggingface_hub import errors

from sampling.intake.sources import SourceUnusable, hub, open_source


def rows():
    yield from ({"prompt": f"question {number}"} for number in range(5))


def broken_rows():
    yield {"prompt": "question 0"}
    raise ConnectionError("the line is dead")


@pytest.fixture
def played(monkeypatch):
    """A hub with one dataset of two subsets; what load_dataset was asked for is kept."""
    played = SimpleNamespace(asked=None, stream=IterableDataset.from_generator(rows), info_error=None)

    def dataset_info(self, dataset_id, *, timeout):
        assert timeout <= 10
        if played.info_error:
            raise played.info_error

    def load_dataset(dataset_id, subset, *, split, streaming):
        assert streaming
        played.asked = (dataset_id, subset, split)
        return played.stream

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda dataset_id: ["main", "socratic"])
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda dataset_id, subset: ["test", "train"])
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return played


def test_a_hubs_dataset_is_streamed(played):
    source = open_source("hub", "openai/gsm8k")
    assert played.asked == ("openai/gsm8k", "main", "train")
    assert (source.subsets, source.splits, source.size, source.position) == (
        ["main", "socratic"],
        ["test", "train"],
        None,
        None,
    )
    found = list(source.rows())
    assert [(row.line, row.row["prompt"]) for row in found] == [(n + 1, f"question {n}") for n in range(5)]
    assert list(source.rows(3)) == found[3:]


def test_split_and_subset_are_chosen_or_refused(played):
    open_source("hub", "openai/gsm8k", split_name="test", subset="socratic")
    assert played.asked == ("openai/gsm8k", "socratic", "test")
    with pytest.raises(SourceUnusable, match=r'There is no split "dev"\. Choose one of test, train\.'):
        open_source("hub", "openai/gsm8k", split_name="dev")


def test_a_connection_that_breaks_says_how_to_go_on(played):
    played.stream = IterableDataset.from_generator(broken_rows)
    source = open_source("hub", "openai/gsm8k")
    with pytest.raises(SourceUnusable, match=r"could not be read on after row 1 .*Retry: it goes on there"):
        list(source.rows())


def test_a_hub_that_does_not_answer_is_told_with_the_remedy(played):
    for error in (OSError("no route"), errors.OfflineModeIsEnabled("offline")):
        played.info_error = error
        with pytest.raises(SourceUnusable, match=r"does not answer .*Download the dataset where there"):
            open_source("hub", "openai/gsm8k")


def test_a_dataset_that_is_not_there_is_told(played):
    response = SimpleNamespace(headers={}, request=None, status_code=404)
    for kind, remedy in ((errors.RepositoryNotFoundError, "Correct the id"), (errors.GatedRepoError, "Accept them")):
        played.info_error = kind("no", response=response)
        with pytest.raises(SourceUnusable, match=remedy):
            open_source("hub", "openai/gsm8k")


@pytest.mark.parametrize("dataset_id", ["", "../../etc", "a/b/c", "/etc/passwd", "https://hub/x", "a b", "owner/.."])
def test_what_is_no_id_is_never_asked_for(played, dataset_id):
    with pytest.raises(SourceUnusable, match="is no id"):
        open_source("hub", dataset_id)


def test_an_id_that_is_also_a_path_here_is_refused(played, tmp_path, monkeypatch):
    """The datasets library would read the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squad").mkdir()
    with pytest.raises(SourceUnusable, match="is also a path here"):
        open_source("hub", "squad")


def test_the_hubs_first_answer_is_not_waited_for_long():
    assert hub.HUB_SECONDS <= 10
