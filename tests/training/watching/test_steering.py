"""Stopping a round, trying it again, going on from it, and publishing against the gate."""

import re
from unittest.mock import patch

import pytest
from django.urls import reverse

from sampling.long_tasks import TaskState
from tests.training.watching import written
from tests.training.watching.conftest import page

pytestmark = pytest.mark.django_db
NEW = reverse("training:round_new")


@pytest.fixture(autouse=True)
def announced():
    with patch("training.tasks.run_round.delay") as delay:
        yield delay


@pytest.fixture
def refused(whole, made):
    """A finished round whose gate has said no."""
    written.finish_round(whole, made())
    return whole


def test_the_buttons_are_for_staff_and_answer_to_post_alone(client, bob, alice, round):
    for name in ("round_cancel", "round_retry"):
        client.force_login(bob)
        assert client.post(page(round, name)).status_code == 403
        assert client.get(page(round, name)).status_code in (403, 405)
    client.force_login(alice)
    assert client.get(page(round, "round_retry")).status_code == 405


def test_cancelling_asks_first_and_says_what_is_kept(staff, whole):
    written.run_stages(whole, until="dpo")
    (whole.stages.get(kind="dpo").run_dir / "trainer" / "checkpoint-24").mkdir(parents=True)
    html = staff.get(page(whole)).content.decode()
    # A link, which lives on while the live part around it is swapped: nothing is cancelled by a click on it.
    assert re.search(rf'<a[^>]*id="cancel-round"[^>]*href="{page(whole, "round_cancel")}"[^>]*hx-preserve', html)
    assert f'action="{page(whole, "round_cancel")}"' not in html
    html = staff.get(page(whole, "round_cancel")).content.decode()
    for words in (
        "Stage “DPO” stops within seconds.",
        "Its checkpoint of step 24 is kept.",
        "reward model",
        "data-once",
    ):
        assert words in html
    whole.refresh_from_db()
    assert whole.cancel_requested_at is None
    staff.post(page(whole, "round_cancel"))
    staff.post(page(whole, "round_cancel"))  # a double click
    whole.refresh_from_db()
    assert whole.cancel_requested_at is not None
    assert "Stopping…" in staff.get(page(whole)).content.decode()
    late = staff.get(page(whole, "round_cancel"), follow=True)
    assert late.redirect_chain == [(page(whole), 302)]
    assert "nothing to cancel any more" in late.content.decode()


def test_a_round_that_waits_has_nothing_to_lose(staff, round):
    assert "It has not begun" in staff.get(page(round, "round_cancel")).content.decode()


def test_cancelling_and_trying_again(staff, round):
    assert staff.post(page(round, "round_cancel")).url == page(round)
    round.refresh_from_db()
    assert round.state == TaskState.CANCELLED
    assert "Retry from the first unfinished stage" in staff.get(page(round)).content.decode()
    staff.post(page(round, "round_retry"))
    staff.post(page(round, "round_retry"))  # a double click
    round.refresh_from_db()
    assert round.state == TaskState.QUEUED


def test_a_retry_says_from_which_step_it_goes_on(staff, round):
    staff.post(page(round, "round_cancel"))
    first = round.stages.order_by("position").first()
    for step in (9, 40):
        (first.run_dir / "trainer" / f"checkpoint-{step}").mkdir(parents=True)
    (first.run_dir / "trainer" / "runs").mkdir()
    html = staff.get(page(round)).content.decode()
    assert f"Retry: goes on from step 40 of {first.get_kind_display()}" in html


def test_a_finished_round_is_continued_and_any_round_is_cloned(staff, refused, launch):
    html = staff.get(page(refused)).content.decode()
    assert f'href="{NEW}?continue={refused.pk}"' in html
    assert f'href="{NEW}?clone={refused.pk}"' in html
    html = staff.get(page(launch("r2"))).content.decode()
    assert "?continue=" not in html


def test_overruling_is_for_staff(client, bob, refused):
    client.force_login(bob)
    assert client.get(page(refused, "round_overrule")).status_code == 403
    assert client.post(page(refused, "round_overrule"), {"reason": "Because I say so."}).status_code == 403


def test_overruling_asks_for_the_reason_first(staff, refused):
    assert page(refused, "round_overrule") in staff.get(page(refused)).content.decode()
    html = staff.get(page(refused, "round_overrule")).content.decode()
    assert "the length ratio is 1.527" in html
    response = staff.post(page(refused, "round_overrule"), {"reason": "So."})
    assert response.status_code == 422
    assert "The reason has 3 characters." in response.content.decode()
    refused.refresh_from_db()
    assert refused.overruled_at is None


def test_who_overruled_the_gate_when_and_why_stays_on_the_pages_of_round_and_model(staff, refused):
    reason = "Longer answers are <i>wanted</i> here."
    assert staff.post(page(refused, "round_overrule"), {"reason": reason}).url == page(refused)
    refused.policy.refresh_from_db()
    assert refused.policy.published_at is not None
    for url in (page(refused), refused.policy.get_absolute_url()):
        html = staff.get(url).content.decode()
        assert "The gate was overruled" in html
        assert "<strong>alice</strong>" in html
        assert "Longer answers are &lt;i&gt;wanted&lt;/i&gt; here." in html
    assert page(refused, "round_overrule") not in staff.get(page(refused)).content.decode()


def test_a_second_click_finds_it_done(staff, refused):
    told = {"reason": "Longer answers are wanted here."}
    staff.post(page(refused, "round_overrule"), told)
    response = staff.post(page(refused, "round_overrule"), told | {"reason": "Something else entirely."}, follow=True)
    assert "was overruled by alice" in response.content.decode()
    refused.refresh_from_db()
    assert refused.overrule_reason == told["reason"]


def test_there_is_nothing_to_overrule_before_a_gate_has_spoken(staff, launch):
    round = launch("r2")
    response = staff.get(page(round, "round_overrule"), follow=True)
    assert response.redirect_chain[-1][0] == page(round)
    assert "no gate to overrule" in response.content.decode()
