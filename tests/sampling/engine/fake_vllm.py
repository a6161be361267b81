"""A stand-in for `vllm serve`: what Whetstone uses of its interface, without a model.

`check_contract` states what is used; test_endpoints.py runs it on this, and on the real one (slow).
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Reply = Callable[[dict], tuple[int, dict]]


def echo(body: dict) -> tuple[int, dict]:
    """A completion that is decided by prompt and seed, as a real one is."""
    return completion(f"{len(body['prompt'])} tokens, seed {body['seed']}", tokens=3)


def completion(text: str, *, tokens: int, finish_reason: str = "stop") -> tuple[int, dict]:
    choice = {"index": 0, "text": text, "finish_reason": finish_reason}
    return 200, {"choices": [choice], "usage": {"completion_tokens": tokens}}


class FakeVllm:
    """Serves one model on the loopback interface for as long as the `with` lasts."""

    def __init__(self, model: str, reply: Reply = echo) -> None:
        self.bodies: list[dict] = []
        self.reply = reply
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(200, {"data": [{"id": model, "root": model}]} if self.path == "/v1/models" else {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.bodies.append(body)
                if body["model"] != model:
                    message = f"The model `{body['model']}` does not exist."
                    self.answer(404, {"error": {"message": message}})
                else:
                    self.answer(*fake.reply(body))

            def answer(self, status: int, content: dict) -> None:
                payload = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeVllm":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def check_contract(url: str, model: str, token_ids: list[int]) -> None:
    """What sampling.engine.endpoints relies on, of the fake and of the real one alike."""
    with httpx.Client(timeout=60) as client:
        served = client.get(f"{url}/v1/models").json()["data"]
        assert [entry["root"] for entry in served] == [model]
        name = served[0]["id"]
        body = {
            "model": name,
            "prompt": token_ids,
            "max_tokens": 4,
            "temperature": 1.0,
            "top_p": 1.0,
            "seed": 2**48,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        answers = [client.post(f"{url}/v1/completions", json=body) for _ in range(2)]
        for answer in answers:
            assert answer.status_code == 200
            assert answer.json()["choices"][0]["finish_reason"] in ("stop", "length")
            assert 1 <= answer.json()["usage"]["completion_tokens"] <= 4
        first, second = (answer.json()["choices"][0]["text"] for answer in answers)
        assert first == second  # the seed decides
        refused = client.post(f"{url}/v1/completions", json=body | {"model": "another"})
        assert refused.status_code == 404
        assert "does not exist" in refused.json()["error"]["message"]
