"""What the tests of a round's pages take for granted of the programs' files: they write those figures and no others."""

import pytest

from sampling.engine.run_dir import read_metrics
from tests.training.pipeline.stages import PROGRAMS, probes, training_dir
from tests.training.watching import written


@pytest.mark.parametrize(
    ("kind", "taken_for_granted"),
    [("sft", written.curves_of_sft()), ("dpo", written.curves()), ("reward_model", written.curves_of_reward_model())],
)
def test_a_training_stage_logs_the_figures_that_its_page_is_tested_with(tmp_path, policy, kind, taken_for_granted):
    run_dir = training_dir(tmp_path, kind, policy, probes=1, probe_tokens=5)
    PROGRAMS[kind].run(run_dir)
    logged = read_metrics(run_dir)
    assert names(logged) == names(taken_for_granted)
    asked = [row["step"] for row in logged if "probe_tokens" in row]
    if kind == "reward_model":
        assert asked == []
        return
    assert asked == [3, 6]  # of six steps the middle one and the last: never step 0, which probes.jsonl alone has
    assert sorted({row["step"] for row in probes(run_dir)}) == [0, 3, 6]
    assert [set(row) for row in probes(run_dir)][:1] == [set(row) for row in written.probe_rows(0)][:1]
    assert max(row["tokens"] for row in probes(run_dir)) == 5  # cut off: a mean cannot grow beyond it


def names(rows):
    """The figures of the rows, those of steps with a probe and of steps without."""
    return {frozenset(row) for row in rows}
