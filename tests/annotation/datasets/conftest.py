"""A snapshot of a few judgments, with whatever may trouble a file format in its texts."""

import pytest

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from tests.annotation.judged import judge, make_comparison, make_project


@pytest.fixture
def project():
    return make_project('Größe & 東京: "quoted"')


@pytest.fixture
def comparison(project):
    """Alice: 0 far above 1, 1 slightly above 2. Bob: 0 = 1, both above 2. Charlie: 1 above 0 above 2."""
    comparison = make_comparison(project, ["Fruit & sugar.\u2028Boiled.", "Ein Stau\n\nzum Beispiel", '"Jam"\\ 🍓'])
    judge(comparison, "alice", [[0], [1], [2]], ["significantly_better", "slightly_better"])
    judge(comparison, "bob", [[0, 1], [2]], ["better"])
    judge(comparison, "charlie", [[1], [0], [2]], ["negligibly_better", "better"])
    return comparison


@pytest.fixture
def snapshot(project, comparison):
    held_out = make_comparison(project, ["Yes.", "No."], split="eval", question="Is jam sweet?")
    judge(held_out, "alice", [[0], [1]])
    return freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
