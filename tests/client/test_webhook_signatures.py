"""Deliveries are verified as our site signs them, and as the standard's own library does."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Standard

from sampling.webhooks.signing import new_secret, signed_headers
from tests.client.client import whetstone

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECRET = new_secret()
BODY = json.dumps({"type": "round.finished", "timestamp": AT.isoformat(), "data": {"round": 1}}).encode()


def verified(body=BODY, headers=None, secret=SECRET, seconds_later=0):
    headers = headers or signed_headers(secret=SECRET, message_id="m1", at=AT, body=BODY)
    return whetstone.verify_webhook(body, headers, secret, now=AT.timestamp() + seconds_later)


def test_what_the_site_signs_is_believed():
    assert verified()["data"] == {"round": 1}


def test_what_the_standards_library_signs_is_believed():
    signature = Standard(SECRET).sign("m1", AT, BODY.decode())
    headers = {"Webhook-Id": "m1", "Webhook-Timestamp": str(int(AT.timestamp())), "Webhook-Signature": signature}
    assert verified(headers=headers)["type"] == "round.finished"


def test_one_of_several_signatures_is_enough_while_a_secret_is_changed():
    headers = signed_headers(secret=SECRET, message_id="m1", at=AT, body=BODY)
    headers["webhook-signature"] = f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"
    assert verified(headers=headers)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"body": BODY + b" "}, "does not fit"),
        ({"secret": new_secret()}, "does not fit"),
        ({"secret": "whsec_not base64"}, "the secret is not"),
        ({"seconds_later": 301}, "301 seconds ago"),
        ({"seconds_later": -301}, "clock that is wrong"),
        ({"headers": {"webhook-id": "m1"}}, "webhook-timestamp.*missing"),
        ({"headers": {"webhook-id": "m1", "webhook-timestamp": "noon", "webhook-signature": "v1,é"}}, "no number"),
        (
            {"headers": {"webhook-id": "m1", "webhook-timestamp": str(int(AT.timestamp())), "webhook-signature": "é"}},
            "does not fit",
        ),
    ],
)
def test_nothing_else_is_believed(changed, words):
    with pytest.raises(whetstone.BadSignature, match=words):
        verified(**changed)
