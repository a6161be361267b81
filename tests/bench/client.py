"""Annotators in a hurry, over HTTP: `python -m tests.bench.client` reads its task as JSON on stdin.

A process of its own, so that the server is not measured with the client's work in it. Plain sockets and two regular
expressions: a full client or parser would take as long as the page. Each cycle asks for the page's fragment of the next
comparison, as htmx does, and sends an answer in the background, as the page's script does.
"""

import json
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

CSRF = "b" * 32
SUBMIT = re.compile(rb'action="(/assignments/[0-9a-f-]{36}/submit/)"')
KEY = re.compile(rb'name="request_key"[^>]*value="([0-9a-f-]{36})"')


@dataclass
class Done:
    """What one annotator saw. Seconds of each request; ``ended`` says why it was over early."""

    next_seconds: list[float] = field(default_factory=list)
    submit_seconds: list[float] = field(default_factory=list)
    ended: str = ""


class Browser:
    def __init__(self, port: int, session: str) -> None:
        self.address = ("127.0.0.1", port)
        self.headers = (
            f"Host: 127.0.0.1:{port}\r\nCookie: sessionid={session}; csrftoken={CSRF}\r\nX-CSRFToken: {CSRF}\r\n"
            "HX-Request: true\r\n"
        )
        self.socket: socket.socket | None = None

    def get(self, path: str) -> tuple[int, bytes]:
        return self._ask(f"GET {path} HTTP/1.1\r\n{self.headers}\r\n".encode())

    def post(self, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
        body = urlencode(fields)
        form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        return self._ask(f"POST {path} HTTP/1.1\r\n{self.headers}{form}\r\n{body}".encode())

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=60)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)
        return self._answer()

    def _answer(self) -> tuple[int, bytes]:
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._more()
        head, _, body = read.partition(b"\r\n\r\n")
        head = head.lower()
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        status = int(head.split(None, 2)[1])
        if length is None and status != 204:
            raise ConnectionError(f"An answer without a length: {head[:300]!r}")
        while len(body) < (int(length[1]) if length else 0):
            body += self._more()
        return status, body

    def _more(self) -> bytes:
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("The server ended the connection.")
        return part


def annotate(browser: Browser, slug: str, cycles: int, start: threading.Barrier) -> Done:
    done = Done()
    browser.get(f"/projects/{slug}/annotate/")  # the first page: connections are made, templates are read
    start.wait(60)
    for _ in range(cycles):
        began = time.perf_counter()
        status, page = browser.get(f"/projects/{slug}/annotate/")
        came = time.perf_counter()
        submit, key = SUBMIT.search(page), KEY.search(page)
        if status != 200 or not submit or not key:
            done.ended = f"{status} for the next one: {'nothing left' if status == 200 else page[:200]!r}"
            break
        fields = {
            "request_key": key[1].decode(), "rank_A": "1", "rank_B": "2", "strength_1": "better",
            "seconds_spent": "20", "background": "1",
        }  # fmt: skip
        sent = time.perf_counter()
        status, reason = browser.post(submit[1].decode(), fields)
        kept = time.perf_counter()
        if status != 204:
            done.ended = f"{status} for an answer: {reason[:200]!r}"
            break
        done.next_seconds.append(came - began)
        done.submit_seconds.append(kept - sent)
    return done


def find_nothing(browser: Browser, slug: str, cycles: int) -> list[float]:
    """Seconds of each look of somebody for whom nothing is left."""
    seconds = []
    browser.get(f"/projects/{slug}/guidelines/")  # connections are made
    for _ in range(cycles):
        began = time.perf_counter()
        status, page = browser.get(f"/projects/{slug}/annotate/")
        seconds.append(time.perf_counter() - began)
        if status != 200 or SUBMIT.search(page):
            raise SystemExit(f"{status}, and something was left: {page[:200]!r}")
    return seconds


def main() -> None:
    task = json.load(sys.stdin)
    if task.get("is_nothing_left"):
        json.dump(find_nothing(Browser(task["port"], task["sessions"][0]), task["slug"], task["cycles"]), sys.stdout)
        return
    results: list[Done] = [Done(ended="it failed")] * len(task["sessions"])
    start = threading.Barrier(len(results) + 1)

    def work(number: int, session: str) -> None:
        try:
            results[number] = annotate(Browser(task["port"], session), task["slug"], task["cycles"], start)
        except Exception as error:  # told to whoever started us
            results[number] = Done(ended=repr(error))
            start.abort()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(task["sessions"])]
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):
        start.wait(120)
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    json.dump({"seconds": seconds, "annotators": [vars(result) for result in results]}, sys.stdout)


if __name__ == "__main__":
    main()
