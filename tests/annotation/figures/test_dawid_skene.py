"""How often annotators are right, from who agrees with whom."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.figures import dawid_skene
from annotation.figures.dawid_skene import accuracies

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "ukp-convarg" / "pairs.jsonl"


def of(votes):
    """``votes``: (pair, annotator, +1 or -1) each."""
    return accuracies(*(np.array(column) for column in zip(*votes, strict=True)))


# Four pairs; annotators 0 and 1 agree on each, 2 says the opposite.
TWO_AGAINST_ONE = [(pair, annotator, -1 if annotator == 2 else 1) for pair in range(4) for annotator in range(3)]


def test_the_first_round_is_as_worked_out_by_hand(monkeypatch):
    # The first of a pair begins with a belief of 2/3. So 0 and 1 are right 4 * 2/3 = 8/3 times, 2 is right 4/3 times,
    # and with the prior's four right of five: (8/3 + 4) / 9 = 20/27 and (4/3 + 4) / 9 = 16/27.
    monkeypatch.setattr(dawid_skene, "ROUNDS", 1)
    assert of(TWO_AGAINST_ONE) == pytest.approx([20 / 27, 20 / 27, 16 / 27])


def test_it_ends_where_another_round_changes_nothing():
    # 2 ends below a half, (0 + 4) / 9 at most with a belief near 1, and is held at a half: their word weighs nothing.
    # For 0 and 1: belief = p^2 / (p^2 + (1 - p)^2), and p = (4 belief + 4) / 9 again.
    p, also, third = of(TWO_AGAINST_ONE)
    belief = p**2 / (p**2 + (1 - p) ** 2)
    assert p == also == pytest.approx((4 * belief + 4) / 9, abs=1e-6)
    assert third == 0.5


def test_who_shares_no_pair_with_anybody_is_as_the_prior_says():
    # p = (n p + 4) / (n + 5) holds for p = 4/5 alone, whatever n is.
    assert of([(pair, 0, 1) for pair in range(30)]) == pytest.approx([0.8], abs=1e-4)


def test_no_vote_gives_no_annotator():
    assert len(accuracies(np.array([]), np.array([]), np.array([]))) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.sampled_from([-1, 1])), min_size=1, max_size=60))
def test_which_of_a_pair_is_called_the_first_means_nothing(votes):
    turned = [(pair, annotator, -vote) for pair, annotator, vote in votes]
    assert of(votes) == pytest.approx(of(turned), abs=1e-6, nan_ok=True)
    assert ((of(votes) >= 0.5) & (of(votes) <= 0.99)).all()


def test_on_real_judgments_it_agrees_with_the_published_consensus():
    """UKPConvArg1: crowd workers' pairs, and the corpus's own MACE estimates (Habernal and Gurevych 2016)."""
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: the real sets are no part of the project")
    pairs = [json.loads(line) for line in DATA.read_text().splitlines()]
    workers, competence, votes = {}, {}, []
    for number, pair in enumerate(pairs):
        for said in pair["annotations"]:
            if said["value"] != "equal":
                worker = workers.setdefault(said["worker"], len(workers))
                competence[worker] = said["mace_competence"]
                votes.append((number, worker, 1 if said["value"] == "a1" else -1))
    found = of(votes)
    number, worker, vote = (np.array(column) for column in zip(*votes, strict=True))
    log_odds = np.bincount(number, vote * np.log(found / (1 - found))[worker], len(pairs))
    majority = np.bincount(number, vote, len(pairs))
    gold = np.array([{"a1": 1, "a2": -1}.get(pair["gold"], 0) for pair in pairs])
    decided = majority * gold != 0
    # Of the pairs with a side in gold; majority leaves 555 of 9,927 open, as many for as against.
    assert (np.sign(majority) == gold)[decided].mean() == pytest.approx(0.981, abs=0.001)
    assert (np.sign(log_odds) == gold)[gold != 0].mean() == pytest.approx(0.975, abs=0.001)
    assert (np.sign(log_odds) == gold)[(gold != 0) & (majority == 0)].mean() > 0.8
    # And it trusts whom MACE trusts, among those with 20 votes or more (ranks correlate by 0.62).
    busy = np.bincount(worker) >= 20
    trust = np.array([competence[each] for each in range(len(workers))])
    ranks = [values[busy].argsort().argsort() for values in (found, trust)]
    assert np.corrcoef(*ranks)[0, 1] > 0.6
