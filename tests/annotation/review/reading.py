"""Open the pages of review as somebody."""

from django.urls import reverse

from tests.annotation.judged import make_user


def as_(client, username):
    client.force_login(make_user(username))
    return client


def read(client, username, name, *args, **query):
    return as_(client, username).get(reverse(f"annotation:{name}", args=args), query).content.decode()
