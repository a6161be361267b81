"""Better answers that annotators wrote: completions without a run, a model and a number of tokens."""

import uuid
from types import SimpleNamespace

import pytest
from django.urls import reverse

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from sampling.models import Completion, ModelVersion, Origin, SamplingRun
from tests.annotation.judged import judge, make_comparison, make_project
from training.launching import expected
from training.pipeline.preferences import read_pairs
from training.running import round_data

pytestmark = pytest.mark.django_db

SAFE, UNSAFE = ({"safety": mark, "aspects": {"clarity": 3}, "defects": []} for mark in ("safe", "unsafe"))


@pytest.fixture
def edited():
    """Alice's better answer above both completions, every mark given; Bob prefers an unsafe one to a safe one."""
    project = make_project()
    first = make_comparison(project, ["Fruit.", "A traffic jam."])
    judge(first, "alice", [[2], [0], [1]], edit="Fruit, boiled with sugar.", marks={0: SAFE, 1: SAFE})
    judge(make_comparison(project, ["Like this.", "No."]), "bob", [[0], [1]], marks={0: UNSAFE, 1: SAFE})
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "bob", [[0], [1]], marks={0: SAFE, 1: SAFE})
    return freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])


def test_a_round_reads_an_edits_pairs_and_not_those_of_an_unsafe_completion_over_a_safe_one(edited, tmp_path):
    asked = SimpleNamespace(
        run_dir=tmp_path, snapshot=edited, claim=uuid.uuid4(), recipe={"dpo": {"judges": "people"}},
        demonstrations=None, earlier=list,
    )  # fmt: skip
    data = round_data.write_data(round=asked) / "people"
    pairs = read_pairs(data / "train.jsonl")
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [
        ("Fruit.", "A traffic jam."),
        ("Fruit, boiled with sugar.", "Fruit."),
        ("Fruit, boiled with sugar.", "A traffic jam."),
    ]
    assert not any(pair.chosen_cut_off or pair.rejected_cut_off for pair in pairs)
    assert len(read_pairs(data / "eval.jsonl")) == 1


def test_the_mean_length_that_a_round_is_estimated_from_is_the_models_own(edited):
    assert Completion.objects.get(origin=Origin.PERSON).tokens is None
    assert expected._completion_tokens(edited) == 3  # every completion of the builder


def test_an_edit_is_counted_as_no_runs_and_no_models(edited):
    assert Completion.objects.count() == 7
    assert SamplingRun.objects.get().completions.count() == 6
    assert ModelVersion.objects.with_completion_count().get().completion_count == 6


def test_the_pages_of_runs_and_models_show_without_it(edited, client, alice_who_edited):
    client.force_login(alice_who_edited)
    pages = [ModelVersion.objects.get().get_absolute_url(), SamplingRun.objects.get().get_absolute_url()]
    for address in [*pages, reverse("sampling:models"), reverse("admin:annotation_judgment_changelist")]:
        response = client.get(address)
        assert response.status_code == 200
        assert "boiled with sugar" not in response.content.decode()


@pytest.fixture
def alice_who_edited(edited):
    alice = Completion.objects.get(origin=Origin.PERSON).written_by
    alice.is_staff = alice.is_superuser = True
    alice.save()
    return alice
