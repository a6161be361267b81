"""What nobody types and a script may send: NUL characters, which PostgreSQL's text cannot hold."""

import uuid

import pytest
from django.urls import reverse

NUL = "bad\0text"

pytestmark = pytest.mark.django_db


@pytest.fixture
def bobs(client, bob, held):
    client.force_login(bob)
    return client


@pytest.mark.parametrize("name", ["skip", "flag", "draft", "submit"])
def test_a_nul_in_an_answer_is_refused_or_taken_out_and_breaks_nothing(bobs, held, name):
    sent = {"reason": NUL, "note": NUL, "rationale": NUL, "edit_text": NUL, "edit_of": "A", "request_key": uuid.uuid4()}
    response = bobs.post(reverse(f"annotation:{name}", args=[held.pk]), sent, HTTP_HX_REQUEST="true")
    assert response.status_code < 500


@pytest.mark.parametrize("name", ["annotate", "answers", "guidelines"])
def test_a_nul_in_an_address_breaks_nothing(bobs, project, name):
    response = bobs.get(reverse(f"annotation:{name}", args=[project.slug]), {"q": NUL, "done": NUL, "show": NUL})
    assert response.status_code < 500


@pytest.mark.parametrize("name", ["comparisons", "flags", "history", "quality", "members", "skips"])
def test_a_nul_in_a_managers_address_breaks_nothing(client, alice, project, held, name):
    client.force_login(alice)
    query = {"q": NUL, "kind": NUL, "state": NUL, "page": NUL, "annotator": NUL, "what": NUL, "sort": NUL}
    response = client.get(reverse(f"annotation:{name}", args=[project.slug]), query)
    assert response.status_code < 500
