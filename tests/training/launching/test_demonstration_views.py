"""The pages of demonstrations."""

import json
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from training.launching import demonstration_views
from training.models import DemonstrationSet

pytestmark = pytest.mark.django_db
SETS = reverse("training:demonstration_sets")
GOOD = {"prompt": "Why?", "completion": "<b>So.</b>"}


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def upload(*rows, name="tulu", **more) -> dict:
    content = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
    return {"name": name, "file": SimpleUploadedFile("tulu.jsonl", content), "request_key": str(uuid.uuid4())} | more


def test_the_pages_are_for_staff(client, bob, alice):
    client.force_login(alice)
    client.post(SETS, upload(GOOD))
    page = DemonstrationSet.objects.get().get_absolute_url()
    assert client.post(page).status_code == 405
    client.force_login(bob)
    assert client.get(SETS).status_code == 403
    assert client.post(SETS, upload(GOOD)).status_code == 403
    assert client.get(page).status_code == 403


def test_an_import_leads_to_the_set_with_what_was_left_out(staff):
    response = staff.post(SETS, upload(GOOD, "<i>bad</i>"))
    imported = DemonstrationSet.objects.get()
    assert response.url == imported.get_absolute_url()
    assert imported.created_by.username == "alice"
    html = staff.get(response.url).content.decode()
    assert "1 line left out" in html
    assert "&lt;i&gt;bad&lt;/i&gt;" in html
    assert "&lt;b&gt;So.&lt;/b&gt;" in html
    assert imported.name in staff.get(SETS).content.decode()


def test_a_form_that_is_sent_twice_makes_one_set(staff):
    key = str(uuid.uuid4())
    first = staff.post(SETS, upload(GOOD, request_key=key))
    assert staff.post(SETS, upload(GOOD, name="again", request_key=key)).url == first.url
    assert DemonstrationSet.objects.count() == 1


def test_what_is_wrong_stands_beside_its_field(staff):
    staff.post(SETS, upload(GOOD))
    taken = staff.post(SETS, upload({"prompt": "How?", "completion": "So."}))
    assert (taken.status_code, set(taken.context["form"].errors)) == (422, {"name"})
    bad = staff.post(SETS, upload("x", name="other"))
    assert "No line can be used. Line 1: Not JSON" in bad.context["form"].errors["file"][0]


def test_a_file_that_is_too_large_is_for_the_shell(staff, monkeypatch):
    monkeypatch.setattr(demonstration_views, "MAX_UPLOAD_BYTES", 10)
    response = staff.post(SETS, upload(GOOD))
    assert "manage.py import_demonstrations" in response.context["form"].errors["file"][0]


def test_a_set_whose_file_is_gone_says_so(staff, settings):
    page = staff.post(SETS, upload(GOOD)).url
    for file in (settings.VAR_DIR / "demonstrations").iterdir():
        file.unlink()
    assert "The file is gone" in staff.get(page).content.decode()


def test_the_list_costs_as_many_queries_for_three_sets_as_for_one(staff, django_assert_max_num_queries):
    for number in range(3):
        staff.post(SETS, upload({"prompt": f"Why {number}?", "completion": "So."}, name=f"set {number}"))
    with django_assert_max_num_queries(6):
        staff.get(SETS)
