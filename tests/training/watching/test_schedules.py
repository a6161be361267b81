"""Where a round stands in its schedule."""

import pytest

from tests.training.rounds import RECIPE
from tests.training.watching.conftest import page
from training.watching import schedules

pytestmark = pytest.mark.django_db


def drawn(round):
    schedule = schedules.schedule_of(round)
    return {row.label: "".join("x" if runs else "-" for _, runs in row.runs) for row in schedule.rows}


def test_the_picture_shows_which_rounds_run_which_stages(launch):
    # "3-" begins in round 3, and one more column shows that it goes on.
    assert drawn(launch("r1")) == {
        "reward model": "xxxx",
        "rejection sampling": "xxxx",
        "SFT on what was kept": "xxxx",
        "DPO": "--xx",
        "evaluation": "xxxx",
        "what was forgotten": "xxxx",
    }


def test_rounds_that_were_launched_are_shown_as_they_are(launch):
    first = launch("r1", changes={"dpo": {"rounds": ""}})
    second = launch("r2", previous=first)
    assert drawn(second)["DPO"] == "x-xx"


def test_a_round_alone_whose_recipe_knows_no_rounds_has_no_picture(launch):
    schedule = schedules.schedule_of(launch("r1", recipe=RECIPE))
    assert not schedule.rows
    assert not schedule.columns
    assert schedule.first is None


def test_a_schedules_rounds_lead_to_each_other(staff, launch):
    first = launch("r1")
    second = launch("r2", previous=first)
    third = launch("r3", previous=second)
    schedule = schedules.schedule_of(second)
    assert (schedule.first, schedule.previous, schedule.next) == (first, first, third)
    html = staff.get(page(third)).content.decode()
    assert f'Round 3 of the schedule begun by <a href="{page(first)}">r1</a>' in html
    assert "Previous: r2" in html
    assert "Next: r2" in staff.get(page(first)).content.decode()


def test_of_a_round_that_was_continued_twice_the_newest_line_is_followed(launch):
    first = launch("r1")
    launch("r2", previous=first)
    again = launch("r2-again", previous=first)
    assert schedules.schedule_of(first).next == again


def test_of_a_long_schedule_the_rounds_around_this_one_are_shown(launch):
    rounds = [launch("r1")]
    for number in range(2, 16):
        rounds.append(launch(f"r{number}", previous=rounds[-1]))
    assert [column.number for column in schedules.schedule_of(rounds[9]).columns] == list(range(4, 16))
    assert [column.number for column in schedules.schedule_of(rounds[0]).columns] == list(range(1, 13))
    assert [column.number for column in schedules.schedule_of(rounds[14]).columns] == list(range(5, 17))


def test_a_long_schedule_costs_two_queries(launch, django_assert_num_queries):
    previous = None
    for number in range(6):
        previous = launch(f"r{number}", previous=previous)
    with django_assert_num_queries(2):
        schedules.schedule_of(previous)
