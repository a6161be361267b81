"""How many pairs a stage finds in a snapshot, by whose judgments it counts."""

import pytest

from annotation.models import DatasetSnapshot
from training.launching.snapshot_pairs import held_out_pairs, judged_by, others_in_words, train_pairs


def snapshot(**by_kind: int) -> DatasetSnapshot:
    pairs = {"majority_pairs_train": 90, "majority_pairs_eval": 30, "pairs_train": 120, "pairs_eval": 40}
    return DatasetSnapshot(counts=pairs | {"by_kind": by_kind}, kinds=list(by_kind))


@pytest.mark.parametrize(
    ("by_kind", "train", "held_out"),
    [
        ({"person": 50}, 90, 30),
        ({"simulated": 40, "model": 10}, 0, 0),
        # A tenth of the judgments: a tenth of each judgment's own pairs.
        ({"person": 5, "simulated": 45}, 12, 4),
        # Nine tenths of 120 would be 108, and all together agree on 90.
        ({"person": 45, "simulated": 5}, 90, 30),
    ],
)
def test_the_pairs_by_people_are_known_or_estimated_by_their_judgments(by_kind, train, held_out):
    frozen = snapshot(**by_kind)
    assert (train_pairs(frozen), held_out_pairs(frozen)) == (90, 30)
    assert (train_pairs(frozen, "people"), held_out_pairs(frozen, "people")) == (train, held_out)
    assert judged_by([frozen], "people") == bool(train)


def test_of_several_snapshots_one_with_people_is_enough():
    simulated, by_people = snapshot(simulated=600, model=6), snapshot(person=1)
    assert judged_by([simulated, by_people], "people")
    assert others_in_words([simulated, by_people], "people") == "600 by simulated annotators and 6 by model judges"


@pytest.mark.parametrize(("kinds", "train"), [(["person"], 90), (["simulated"], 0), ([], 30)])
def test_an_older_snapshot_is_judged_by_the_kinds_that_were_let_in(kinds, train):
    """Without any figure: each of four kinds a quarter, of 120 pairs."""
    frozen = snapshot()
    frozen.kinds = kinds
    assert train_pairs(frozen, "people") == train
