"""What the policy says now beside what it said before."""

import pytest

from tests.training.watching.written import probe_rows
from training.watching import probes


def test_the_first_answers_stand_beside_the_newest():
    shown = probes.beside_each_other(probe_rows(0, 10, 20))
    assert (shown.steps, shown.step, shown.is_newest) == ([0, 10, 20], 20, True)
    first = shown.pairs[0]
    assert first.before.text.startswith("At step 0")
    assert first.now.text.startswith("At step 20")
    assert (first.now.tokens, first.now.kl) == (14, 0.02)


def test_a_step_that_was_asked_for_is_shown():
    shown = probes.beside_each_other(probe_rows(0, 10, 20), "10")
    assert (shown.step, shown.is_newest) == (10, False)
    assert shown.pairs[1].now.text.startswith("At step 10")


@pytest.mark.parametrize("asked", ["", "11", "x", "-10", "²"])
def test_a_step_that_is_not_there_gives_the_newest(asked):
    assert probes.beside_each_other(probe_rows(0, 10), asked).step == 10


def test_before_the_first_step_there_is_no_now():
    shown = probes.beside_each_other(probe_rows(0))
    assert [each.now for each in shown.pairs] == [None, None]
    assert probes.beside_each_other([]) is None


def test_a_prompt_that_is_being_answered_is_shown_without_its_answer():
    shown = probes.beside_each_other(probe_rows(0, 10)[:3])
    assert shown.pairs[0].now is not None
    assert shown.pairs[1].now is None
