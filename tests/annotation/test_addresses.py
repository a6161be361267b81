"""What people write into addresses and forms: whatever it is, the answer is a page and no error of ours."""

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.addresses import number_in
from annotation.models import ProjectReport

ENDLESS = "9" * 5000  # Python refuses to read more than 4,300 digits


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("0", 0), ("9" * 17, 10**17 - 1), ("9" * 18, None), (ENDLESS, None), ("-1", None), ("٣", None),
     ("²", None), ("", None), (None, None), ("twelve", None)],
)  # fmt: skip
def test_a_number_is_what_a_row_can_have(text, number):
    assert number_in(text) == number


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def at(name, project):
    return reverse(f"annotation:{name}", args=[project.slug])


@pytest.mark.django_db
@pytest.mark.parametrize("number", [ENDLESS, "9" * 17, "²", "-1"])
def test_a_number_that_is_none_is_the_beginning(staff, project, number):
    assert staff.get(at("history", project), {"before": number}).status_code == 200
    assert staff.get(at("comparisons", project), {"page": number, "before": number}).status_code == 200
    assert staff.get(at("guidelines", project), {"version": number, "since": number}).status_code == 200
    assert staff.post(at("fit", project), {"after": number}).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("number", [ENDLESS, "9" * 17, "²"])
def test_no_version_of_the_guidelines_has_such_a_number(client, project, bob, number):
    client.force_login(bob)
    assert client.post(at("guidelines_read", project), {"version": number}).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["foo", "", "simulated"])
def test_figures_that_are_being_computed_are_asked_for_by_any_kind(staff, project, kind):
    ProjectReport.objects.create(project=project, requested_at=timezone.now())
    response = staff.get(at("quality_status", project), {"kind": kind}, headers={"HX-Request": "true"})
    assert response.status_code == 200
