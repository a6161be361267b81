"""What the bench of training measures, on a tiny model, and what it makes of the figures. No wall time is asserted."""

import functools
import json
import os
import subprocess
import sys

import pytest

from tests.bench import train as bench
from tests.bench import train_cases, train_flops
from tests.bench.train_cases import Case
from tests.tiny_models import save_tiny_policy
from training.pipeline.grouped.rankings import group


def turns(seconds, *, reference=0.0, peak=1_000):
    steps = [bench.Step(each, 2 * each, tokens=80, positions=100, flops=1e9, loss=0.69) for each in seconds]
    return bench.Turns(steps, reference, peak, 100, {})


def row(
    k=4, *, trl=(8.0, 10.0, 6.0), best=(6.0, 6.0, 6.0), ours=(2.0, 2.0, 2.0), kind="dpo", name="balanced", peak=1_000
):
    case = Case(name, k, 10, 10, rankings=1)
    return bench.Row(
        kind,
        case,
        {bench.TRL: turns(trl), bench.BEST_TRL: turns(best, reference=3.0), bench.OURS: turns(ours, peak=peak)},
    )


@pytest.fixture(scope="module")
def words():
    return tuple(range(50))


def test_a_ratio_is_of_the_same_step_and_the_reference_counts_where_it_is_asked_for():
    found = row()
    assert found.ratios(bench.TRL) == [4.0, 5.0, 3.0]
    assert found.ratio(bench.TRL) == 4.0
    assert found.ratio(bench.BEST_TRL) == found.cpu_ratio(bench.BEST_TRL) == 3.0
    assert found.ratio(bench.BEST_TRL, with_reference=True) == 4.5  # (6 + 3) to 2


def test_a_target_is_reached_by_the_worst_shape_and_not_by_what_was_not_measured():
    found = bench.reached([row(), row(name="prompt-heavy", trl=(6.0, 6.0, 6.0))])
    assert found["4 x TRL at K = 4"] is False
    assert found["4 x TRL, best at K = 4"] is True
    assert found["8 x TRL at K = 9"] is None
    assert found["no more memory"] is True
    assert bench.reached([row(peak=1_001)])["no more memory"] is False
    assert set(bench.reached([]).values()) == {None}


def test_every_step_has_whole_rankings_with_all_their_pairs(words):
    case = Case("balanced", 4, 20, 20, rankings=2)
    steps = train_cases.drawn(case, words, steps=3, seed=17)
    assert [len(step) for step in steps] == [12, 12, 12]
    assert [[len(each.pairs) for each in group(step)] for step in steps] == [[6, 6]] * 3
    assert len({len(pair.chosen) for step in steps for pair in step}) > 1  # of unequal lengths
    assert steps == train_cases.drawn(case, words, steps=3, seed=17)
    assert steps != train_cases.drawn(case, words, steps=3, seed=18)


ARRANGED = [train_cases.by_length, functools.partial(train_cases.in_any_order, seed=1)]


@pytest.mark.parametrize("arranged", ARRANGED, ids=["by length", "in any order"])
def test_a_step_has_the_same_pairs_in_whatever_order(arranged, words):
    steps = train_cases.drawn(Case("balanced", 4, 20, 20, rankings=2), words, steps=2, seed=17)
    assert [sorted(step, key=repr) for step in arranged(steps)] == [sorted(step, key=repr) for step in steps]


def test_flops_are_six_a_weight_and_twelve_of_attention():
    size = train_flops.Size(weights=100, layers=2, width=8)
    # two completions of 10 tokens, prompt and all: 20 tokens, each beside 10
    assert train_flops.of_step(size, tokens=20, lengths=[10, 10]) == 20 * (6 * 100 + 12 * 2 * 8 * 10)


@pytest.mark.slow
def test_the_bench_measures_all_contenders_and_they_compute_the_same(tmp_path):
    model, out = save_tiny_policy(tmp_path / "model"), tmp_path / "train.json"
    argv = ["--quick", "--ks", "3", "--shapes", "balanced", "--length", "24", "--rankings", "1"]
    argv += ["--model", str(model), "--out", str(out)]
    subprocess.run([sys.executable, "-m", bench.__name__, *argv], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    told = json.loads(out.read_text())
    assert [(each["kind"], each["case"]["pairs"]) for each in told["rows"]] == [("dpo", 3), ("reward_model", 3)]
    for each in told["rows"]:
        assert list(each["contenders"]) == [*each["ours_over"], bench.OURS] == list(bench.CONTENDERS)
        for contender in each["contenders"].values():
            assert len(contender["steps"]) == 3
            assert contender["pairs_per_second"] > 0
            assert contender["tokens_per_second"] > 0
            assert 0 <= contender["padding"] < 1
            assert contender["peak_bytes"] > contender["imported_bytes"] > 0
        assert each["contenders"][bench.OURS]["settings"]["layout"] == "shared"
    assert {kind: each["holds"] for kind, each in told["parity"].items()} == {"dpo": True, "reward_model": True}
    assert told["parity"]["dpo"]["ours"]["tensors"] > 10
    assert max(told["parity"][kind]["ours"]["worst_gradient"] for kind in bench.KINDS) < 1e-5
    assert abs(told["parity"]["dpo"]["loss"] - 0.693) > 0.01  # the policy is not its own reference there
    assert told["targets"]["4 x TRL at K = 4"] is None
