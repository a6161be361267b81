import json

import pytest
from django.test import Client

from sampling.models import Scope
from sampling.rest.tokens import create_token


class Program:
    """A program with a token of its own: JSON in, JSON out."""

    def __init__(self, user, scopes=tuple(Scope)) -> None:
        self.token, self.text = create_token(user=user, name="a program", scopes=scopes)
        self.client = Client()

    def __call__(self, method: str, address: str, content=None, **headers):
        sent = {} if content is None else {"data": json.dumps(content), "content_type": "application/json"}
        answer = self.client.generic(
            method, address, headers={"Authorization": f"Bearer {self.text}"} | headers, **sent
        )
        answer.said = json.loads(answer.content) if answer.content else None
        return answer

    def get(self, address: str, **headers):
        return self("GET", address, **headers)

    def post(self, address: str, content=None, **headers):
        return self("POST", address, {} if content is None else content, **headers)


@pytest.fixture
def program(alice):
    return Program(alice)
