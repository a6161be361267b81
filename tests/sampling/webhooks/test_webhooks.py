import json
import socket
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Receiver

from sampling.models import Delivery, DeliveryState, Event, Webhook
from sampling.webhooks import actions, delivering, emitting, signing

ROUND_AND_SNAPSHOT = ["round.finished", "snapshot.frozen"]


@pytest.fixture(autouse=True)
def workers(monkeypatch):
    told = []
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: [place] if "example" in str(host) else real(host, *more, **named),
    )
    monkeypatch.setattr("sampling.tasks.deliver_webhooks.delay", lambda: told.append(1))
    return told


@pytest.fixture
def webhook(alice):
    return actions.create_webhook(url="https://example.org/hook", events=ROUND_AND_SNAPSHOT, created_by=alice)


class Answering:
    """A receiver: says what it is told to, one after the other, and remembers what it got."""

    def __init__(self, *statuses):
        self.statuses, self.got = list(statuses), []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        status = self.statuses.pop(0)
        if isinstance(status, Exception):
            raise status
        return httpx.Response(status, headers={"location": "https://elsewhere.example/"})

    def take(self) -> int:
        return delivering.deliver_due(httpx.MockTransport(self))


def due_now():
    Delivery.objects.filter(state=DeliveryState.WAITING).update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def test_an_event_reaches_those_who_asked_for_it_and_nobody_else(webhook, alice, django_capture_on_commit_callbacks,
                                                                 workers):  # fmt: skip
    actions.create_webhook(url="https://example.org/other", events=["policy.published"])
    off = actions.create_webhook(url="https://example.org/off", events=ROUND_AND_SNAPSHOT)
    actions.change_webhook(webhook=off, is_active=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert emitting.emit(Event.SNAPSHOT_FROZEN, {"id": 7}) == 1
    receiver = Answering(204)
    assert receiver.take() == 1
    assert workers == [1]
    sent = json.loads(receiver.got[0].content)
    assert sent["type"] == "snapshot.frozen"
    assert sent["data"] == {"id": 7}
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_status, delivery.attempts) == ("delivered", 204, 1)


def test_it_is_signed_as_the_standards_own_library_checks_it(webhook):
    emitting.emit(Event.ROUND_FINISHED, {"name": "r1, and ü"})
    receiver = Answering(200)
    receiver.take()
    request = receiver.got[0]
    checked = Receiver(webhook.secret).verify(request.content, dict(request.headers))
    assert checked["data"]["name"] == "r1, and ü"
    with pytest.raises(Exception, match="signature"):
        Receiver(signing.new_secret()).verify(request.content, dict(request.headers))


def test_what_is_rolled_back_was_never_said(webhook):
    with transaction.atomic():
        emitting.emit(Event.ROUND_FINISHED, {})
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_it_is_tried_again_later_and_later_until_there_is_no_hope(webhook):
    emitting.emit(Event.ROUND_FINISHED, {})
    receiver = Answering(500, httpx.ConnectError("refused"), 301, *[503] * 7)
    pauses = []
    for _ in range(10):
        before = timezone.now()
        assert receiver.take() == 1
        delivery = Delivery.objects.get()
        pauses.append(round((delivery.next_attempt_at - before).total_seconds()))
        due_now()
    assert delivery.state == DeliveryState.FAILED
    assert delivery.attempts == 10
    assert receiver.take() == 0
    assert pauses[:9] == [pause.total_seconds() for pause in delivering.PAUSES]


def test_what_went_wrong_is_said(webhook):
    emitting.emit(Event.ROUND_FINISHED, {})
    Answering(httpx.ConnectError("refused")).take()
    assert Delivery.objects.get().last_error == "ConnectError: refused"


def test_a_receiver_that_is_gone_is_not_asked_again(webhook):
    emitting.emit(Event.ROUND_FINISHED, {})
    Answering(410).take()
    webhook.refresh_from_db()
    assert not webhook.is_active
    assert emitting.emit(Event.ROUND_FINISHED, {}) == 0


def test_a_worker_that_dies_costs_one_attempt(webhook):
    emitting.emit(Event.ROUND_FINISHED, {})
    assert delivering._claimed() is not None
    assert delivering._claimed() is None  # another worker finds nothing to do
    due_now()
    Answering(200).take()
    assert Delivery.objects.get().attempts == 2


def test_one_that_does_not_answer_keeps_no_other_back(webhook):
    actions.create_webhook(url="https://other.example/", events=ROUND_AND_SNAPSHOT)
    for _ in range(3):
        emitting.emit(Event.ROUND_FINISHED, {})
    silent = httpx.ReadTimeout("nothing came")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "example.org":
            raise silent
        return httpx.Response(200)

    assert delivering.deliver_due(httpx.MockTransport(answer)) == 4  # one attempt at the silent one, three deliveries
    assert Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 3


def test_another_worker_that_delivers_is_left_to_it(webhook, db):
    emitting.emit(Event.ROUND_FINISHED, {})
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, 0)", [delivering.LOCK])
            assert Answering(200).take() == 0
            # By its own word: the server notices a connection that is closed a moment later.
            cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [delivering.LOCK])
    finally:
        other.close()
    assert Answering(200).take() == 1


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0/", "http://[::ffff:169.254.1.1]/"]
)
def test_a_machines_own_keys_are_not_to_be_had(webhook, url):
    Webhook.objects.update(url=url)
    emitting.emit(Event.ROUND_FINISHED, {})
    receiver = Answering()
    receiver.take()
    assert not receiver.got
    assert "NotAllowed" in Delivery.objects.get().last_error


def test_private_networks_can_be_closed(webhook, settings):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = False
    Webhook.objects.update(url="http://127.0.0.1:5432/")
    emitting.emit(Event.ROUND_FINISHED, {})
    Answering().take()
    assert "WHETSTONE_WEBHOOKS_PRIVATE" in Delivery.objects.get().last_error


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_drips_is_left_at_the_deadline(alice, monkeypatch):
    monkeypatch.setattr(delivering, "DEADLINE_SECONDS", 0.5)
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip():
        taken, _ = listening.accept()
        with taken:
            while not done.wait(0.1):
                try:
                    taken.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        actions.ping(webhook=actions.create_webhook(url=url, events=ROUND_AND_SNAPSHOT))
        delivering.deliver_due()
    finally:
        done.set()
        thread.join()
        listening.close()
    assert Delivery.objects.get().last_error


@pytest.mark.django_db(transaction=True)
def test_over_a_real_connection_also_when_nobody_listens(alice):
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *said):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    webhook = actions.create_webhook(url=f"http://127.0.0.1:{server.server_port}/", events=ROUND_AND_SNAPSHOT)
    try:
        actions.ping(webhook=webhook)
        assert delivering.deliver_due() == 1
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert json.loads(got[0])["type"] == "ping"
    actions.ping(webhook=webhook)
    assert delivering.deliver_due() == 1
    assert Delivery.objects.filter(state=DeliveryState.WAITING).get().last_error.startswith("Connect")


@pytest.mark.parametrize(
    ("url", "events", "field"),
    [("ftp://example.org", ["round.finished"], "url"), ("file:///etc", ["round.finished"], "url"),
     ("https://example.org", [], "events"), ("https://example.org", ["ping"], "events"),
     ("https://", ["round.finished"], "url")],
)  # fmt: skip
def test_rubbish_is_refused_by_field(db, url, events, field):
    with pytest.raises(ValidationError) as refused:
        actions.create_webhook(url=url, events=events)
    assert field in refused.value.message_dict


def test_old_deliveries_are_forgotten_but_none_that_waits(webhook):
    for _ in range(2):
        emitting.emit(Event.ROUND_FINISHED, {})
    first, _ = Delivery.objects.all()
    Delivery.objects.update(created_at=timezone.now() - delivering.KEPT_FOR - timedelta(days=1))
    Delivery.objects.filter(pk=first.pk).update(state=DeliveryState.DELIVERED)
    assert delivering.forget_old() == 1


def test_staff_make_one_ping_it_switch_it_off_and_delete_it(client, alice):
    client.force_login(alice)
    asked = {"url": "https://example.org/hook", "events": ROUND_AND_SNAPSHOT}
    client.post(reverse("sampling:webhook_new"), asked)
    made = Webhook.objects.get()
    assert made.secret in client.get(made.get_absolute_url()).content.decode()
    client.post(reverse("sampling:webhook_ping", args=[made.pk]))
    delivery = Delivery.objects.get()
    Answering(500).take()
    assert "500" in client.get(made.get_absolute_url()).content.decode()
    client.post(reverse("sampling:delivery_again", args=[delivery.pk]))
    Answering(200).take()
    assert Delivery.objects.get().state == DeliveryState.DELIVERED
    client.post(made.get_absolute_url(), asked | {"events": ["policy.published"]})
    made.refresh_from_db()
    assert (made.events, made.is_active) == (["policy.published"], False)
    assert client.post(reverse("sampling:webhook_new"), {"url": "x", "events": []}).status_code == 422
    client.post(reverse("sampling:webhook_delete", args=[made.pk]))
    assert not Webhook.objects.exists()


def test_nobody_else_sees_them(client, bob, webhook):
    client.force_login(bob)
    for address in (reverse("sampling:webhooks"), webhook.get_absolute_url()):
        assert client.get(address).status_code == 403
