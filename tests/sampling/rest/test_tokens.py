from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from sampling.models import ApiToken, Scope
from sampling.rest.tokens import PREFIX, create_token, revoke_token
from tests.sampling.rest.conftest import Program

SETS = "/api/prompt-sets/"


def test_a_token_is_kept_as_a_hash_only(program):
    with connection.cursor() as cursor:
        cursor.execute("SELECT sampling_apitoken::text FROM sampling_apitoken")
        row = cursor.fetchone()[0]
    assert program.text.startswith(PREFIX)
    assert program.text not in row
    assert program.text[len(PREFIX) + 10 :] not in row


def test_its_use_is_noted_once_a_minute(program, django_assert_num_queries):
    program.get(SETS)
    noted = ApiToken.objects.get().last_used_at
    assert noted is not None
    program.get(SETS)
    assert ApiToken.objects.get().last_used_at == noted


@pytest.mark.parametrize(
    "change", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}]
)
def test_one_that_is_revoked_or_has_run_out_opens_nothing(program, change):
    ApiToken.objects.update(**change)
    answer = program.get(SETS)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "Make another one" in answer.said["detail"]


def test_nor_does_that_of_somebody_who_may_not_sign_in_any_more(program, alice):
    alice.is_active = False
    alice.save()
    assert program.get(SETS).status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer wst_no", "Bearer \xff", "bearer  "])
def test_rubbish_in_the_header_is_refused(client, db, header):
    answer = client.get(SETS, headers={"Authorization": header})
    assert answer.status_code == 401


def test_a_scope_that_is_missing_is_named(alice):
    reader = Program(alice, [Scope.READ])
    assert reader.get(SETS).status_code == 200
    answer = reader.post(SETS, {"name": "mine"})
    assert answer.status_code == 403
    assert '"import"' in answer.said["detail"]


def test_a_token_gives_no_more_than_its_user_may(bob):
    assert Program(bob).get(SETS).status_code == 403


def test_a_session_needs_the_form_token(alice, client):
    client.handler.enforce_csrf_checks = True
    client.force_login(alice)
    assert client.get(SETS).status_code == 200
    assert client.post(SETS, {"name": "mine"}, content_type="application/json").status_code == 403


def test_one_is_made_shown_once_and_revoked_in_the_browser(bob, client):
    client.force_login(bob)
    asked = {"name": "notebook", "scopes": ["read", "annotate"], "days": "30"}
    made = client.post(reverse("sampling:api_token_new"), asked)
    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    text = made.context["text"]
    assert text in made.content.decode()
    listed = client.get(reverse("sampling:api_tokens")).content.decode()
    assert text not in listed
    assert "notebook" in listed
    token = ApiToken.objects.get()
    assert token.scopes == ["read", "annotate"]
    client.post(reverse("sampling:api_token_revoke", args=[token.pk]))
    assert "revoked" in client.get(reverse("sampling:api_tokens")).content.decode()
    assert not ApiToken.objects.live().exists()


def test_nobody_revokes_somebody_elses(alice, bob, client):
    token, _ = create_token(user=alice, name="hers", scopes=["read"])
    client.force_login(bob)
    assert client.post(reverse("sampling:api_token_revoke", args=[token.pk])).status_code == 404
    assert ApiToken.objects.live().exists()


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"scopes": []}, "scopes"), ({"scopes": ["all"]}, "scopes"), ({"days": 0}, "days"), ({"days": 366}, "days"),
     ({"name": " "}, "name")],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_field(alice, asked, field):
    with pytest.raises(ValidationError) as refused:
        create_token(**{"user": alice, "name": "x", "scopes": ["read"], "days": 1} | asked)
    assert field in refused.value.message_dict


def test_revoking_twice_keeps_the_first_time(program):
    revoke_token(token=program.token)
    first = ApiToken.objects.get().revoked_at
    revoke_token(token=program.token)
    assert ApiToken.objects.get().revoked_at == first


def test_a_token_that_may_only_look_revokes_itself_and_no_other(alice, program):
    reader = Program(alice, [Scope.READ])
    assert reader.post(f"/api/tokens/{program.token.pk}/revoke/").status_code == 403
    assert reader.post(f"/api/tokens/{reader.token.pk}/revoke/").status_code == 200
    assert reader.get(SETS).status_code == 401
    assert program.get(SETS).status_code == 200
