"""How far a claim looks for an annotator who is far ahead of the others, and that nothing stays out of reach."""

import random
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation import actions
from annotation.models import Assignment, Slot
from annotation.queue import next_slot as queue
from annotation.queue import whereabouts
from annotation.queue.next_slot import NothingLeft, why_nothing
from annotation.queue.whereabouts import Place
from tests.annotation.queue.turns import answer, claim

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch):
    """clock(61): a minute passes."""
    now = [1000.0]
    monkeypatch.setattr(whereabouts, "clock", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


@pytest.fixture
def small(monkeypatch, clock):
    """The head is two slots long, a window three, and a claim looks at two windows."""
    for name, value in (("HEAD", 2), ("WINDOW", 3), ("LOOKS", 2)):
        monkeypatch.setattr(whereabouts, name, value)


@pytest.fixture
def far_ahead(project, opened, bob, small):
    """Bob has judged the first four of eight comparisons, each of which waits for a second judgment."""
    project.overlap = 2
    project.save()
    comparisons = opened(8)
    for _ in range(4):
        answer(claim(project, bob))
    Slot.objects.filter(number=1).update(is_filled=True)
    return comparisons


def forget():
    """As in another process."""
    whereabouts._known.clear()


def by_somebody_else(comparison):
    """As if Bob had never had it."""
    dora, _ = User.objects.get_or_create(username="dora")
    Assignment.objects.filter(comparison=comparison).update(annotator=dora)


def statements(call):
    with CaptureQueriesContext(connection) as queries:
        result = call()
    return result, sum("SKIP LOCKED" in query["sql"] for query in queries)


def claims_until_found(project, annotator, most, between=lambda: None):
    """How many claims it takes until there is one."""
    for number in range(1, most + 1):
        between()
        if found := claim(project, annotator):
            return found, number
    raise AssertionError(f"nothing in {most} claims")


def test_where_the_head_holds_something_a_claim_is_one_statement(project, opened, bob, small):
    opened(4)
    assert statements(lambda: claim(project, bob))[1] == 1


def test_a_claim_goes_on_at_the_frontier(project, far_ahead, bob):
    answer(claims_until_found(project, bob, 2)[0])
    whereabouts.of(project.pk, bob.pk).passed()
    claimed, count = statements(lambda: claim(project, bob))
    assert claimed.comparison == far_ahead[5]
    assert count == 2  # the head, and the window at the frontier


def test_another_process_goes_on_where_the_newest_slot_is(project, far_ahead, bob):
    answer(claims_until_found(project, bob, 2)[0])
    forget()
    assert claims_until_found(project, bob, 2)[0].comparison == far_ahead[5]


def test_lower_priorities_come_behind_the_frontier(project, far_ahead, bob):
    for _ in range(3):
        answer(claims_until_found(project, bob, 2)[0])
    far_ahead[7].slots.update(priority=-1)
    assert claims_until_found(project, bob, 2)[0].comparison == far_ahead[7]


def test_a_higher_priority_within_the_head_comes_at_once(project, far_ahead, bob):
    far_ahead[7].slots.update(priority=1)
    claimed, count = statements(lambda: claim(project, bob))
    assert (claimed.comparison, count) == (far_ahead[7], 1)


def test_what_came_back_behind_an_annotator_reaches_them_while_they_have_work_ahead(project, far_ahead, bob, clock):
    answer(claims_until_found(project, bob, 2)[0])
    whereabouts.of(project.pk, bob.pk).passed()
    by_somebody_else(far_ahead[3])
    clock(whereabouts.REST_SECONDS)
    assert claim(project, bob).comparison == far_ahead[3]


def test_a_claim_looks_at_no_more_than_its_windows_however_much_is_ones_own(project, opened, bob, small):
    project.overlap = 2
    project.save()
    opened(30)
    for _ in range(30):
        answer(claims_until_found(project, bob, 20)[0])
    forget()
    for _ in range(20):
        found, count = statements(lambda: claim(project, bob))
        assert found is None
        assert count <= 1 + 2 * whereabouts.LOOKS  # the head; a window may end one priority and begin the next


def test_who_has_had_everything_pays_little_until_a_minute_has_passed(project, far_ahead, bob, clock):
    for _ in range(4):
        answer(claims_until_found(project, bob, 3)[0])
    where = whereabouts.of(project.pk, bob.pk)
    where.ahead = Place(0, 2, far_ahead[7].slots.get(number=2).pk)
    while claim(project, bob) or where.is_unfinished:
        pass
    assert why_nothing(project=project, annotator=bob) == NothingLeft.WITH_OTHERS
    _, resting = statements(lambda: claim(project, bob))
    assert resting <= 3  # the head, and what may have come at the end
    by_somebody_else(far_ahead[3])
    assert claim(project, bob) is None
    clock(whereabouts.REST_SECONDS)
    assert claims_until_found(project, bob, 4)[0].comparison == far_ahead[3]


def test_the_page_goes_on_looking_by_itself_where_one_claim_did_not_see_everything(project, opened, bob, client, small):
    project.overlap = 2
    project.save()
    opened(30)
    for _ in range(30):
        answer(claims_until_found(project, bob, 20)[0])
    forget()
    client.force_login(bob)
    address = reverse("annotation:annotate", args=[project.slug])
    page = client.get(address).content.decode()
    assert "Looking further" in page
    assert f'hx-get="{address}"' in page
    for _ in range(20):
        page = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "Looking further" not in page
    assert "with other annotators" in page


@pytest.mark.parametrize("seed", range(6))
def test_every_free_slot_comes_to_whoever_may_take_it(project, opened, bob, small, clock, seed):
    """Whatever Bob has had, in whichever group and priority a free one lies, and from wherever he has looked to."""
    draw = random.Random(seed)
    project.overlap = draw.choice([2, 3])
    project.save()
    comparisons = opened(14)
    groups = ["law", "", "medicine"][: draw.randint(1, 3)]
    for comparison in comparisons:
        comparison.slots.update(priority=draw.randint(-1, 1), group=draw.choice(groups))
    project.memberships.filter(user=bob).update(groups=groups)
    had = set()
    for _ in range(100):
        if found := claim(project, bob):
            had.add(found.comparison)
            answer(found)
        elif draw.random() < 0.2:
            forget()
        clock(10)
    assert had == set(comparisons)
    for comparison in draw.sample(comparisons, 3):
        by_somebody_else(comparison)
        # A pass that is under way may be behind it already; then the next one finds it.
        found, _ = claims_until_found(project, bob, 40, lambda: clock(10))
        assert found.comparison == comparison
        answer(found)


def test_windows_of_several_groups_end_where_the_first_of_them_ends(project, opened, bob, small):
    comparisons = opened(8)
    for comparison in comparisons[::2]:
        comparison.slots.update(group="law")
    project.memberships.filter(user=bob).update(groups=["law"])
    standing = queue.standing_of(project=project, annotator_id=bob.pk, is_staff=False)
    look = queue._Look(project, bob.pk, standing, None)
    third_of_law = Slot.objects.filter(group="law").order_by("pk")[2]
    assert look.end_of("true", 3) == Place(0, 1, third_of_law.pk)


def test_places_are_in_the_order_of_the_queue():
    places = [Place(1, 2, 9), Place(0, 1, 5), Place(0, 2, 3), Place(0, 2, 4), Place(-1, 1, 1)]
    assert all(first.is_before(second) for first, second in pairwise(places))
    assert not places[0].is_before(places[0])


def test_a_process_forgets_whom_it_has_not_seen_for_longest(monkeypatch):
    forget()
    monkeypatch.setattr(whereabouts, "REMEMBERED", 2)
    first = whereabouts.of(1, 1)
    whereabouts.of(1, 2)
    assert whereabouts.of(1, 1) is first
    whereabouts.of(1, 3)
    assert set(whereabouts._known) == {(1, 1), (1, 3)}


def test_a_paused_project_is_not_looked_through(project, opened, bob, small):
    opened(2)
    actions.set_paused(project=project, is_paused=True)
    project.refresh_from_db()
    assert statements(lambda: claim(project, bob)) == (None, 0)
