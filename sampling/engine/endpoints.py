"""Running `vllm serve` endpoints, used instead of an engine in this process.

Completions are spread over all endpoints that serve the policy. One that stops answering is set aside for a
while and its completions go to the others. Knows HTTP and vLLM's OpenAI-compatible interface, and nothing
of files.

On a CPU, start an endpoint with `--no-enable-chunked-prefill`: vLLM 0.32 fails there on a seed and a
divided prompt.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

import httpx

from sampling.engine.requests import Completion, Request, Settings
from sampling.engine.run_dir import RunDirError

IN_FLIGHT_PER_ENDPOINT = 64
SET_ASIDE_SECONDS = 5.0
PATIENCE_SECONDS = 60.0  # without any endpoint that answers: long enough for one to be started again
TIMEOUT = httpx.Timeout(600, connect=5)


class Endpoints:
    """The endpoints that serve one policy, taken in turn."""

    def __init__(
        self, model_names: dict[str, str], client: httpx.Client, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._model_names = model_names  # url -> the name by which that endpoint knows the policy
        self._client = client
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._aside_until = dict.fromkeys(model_names, 0.0)
        self._problems: dict[str, str] = {}  # url -> the last thing that went wrong there
        self._turn = 0
        self._giving_up = threading.Event()

    @classmethod
    def connect(
        cls, urls: Sequence[str], model: str, *, served_as: str = "", patience_seconds: float = PATIENCE_SECONDS
    ) -> "Endpoints":
        """Ask each endpoint what it serves; raise `RunDirError` unless at least one serves `model`.

        It may serve it under the directory or hub id itself, or under `served_as`, the policy's own name.
        """
        client = _client(len(urls))
        names, problems = {}, []
        for url in (url.rstrip("/").removesuffix("/v1") for url in urls):
            try:
                names[url] = _served_name(client, url, model, served_as)
            except (httpx.HTTPError, RunDirError) as error:
                problems.append(_why(url, error))
        if not names:
            client.close()
            raise RunDirError("No vLLM endpoint can be used. " + " ".join(problems))
        for problem in problems:
            print(f"Going on without it: {problem}")
        return cls(names, client, patience_seconds=patience_seconds)

    def complete(self, settings: Settings, requests: list[Request]) -> Iterator[Completion]:
        """Yield each completion as soon as it ends, in whatever order that is."""
        waiting = iter(requests)
        width = IN_FLIGHT_PER_ENDPOINT * len(self._model_names)
        with ThreadPoolExecutor(width, thread_name_prefix="endpoint") as pool:
            running: set[Future[Completion]] = set()
            try:
                while True:
                    for request in islice(waiting, width - len(running)):
                        running.add(pool.submit(self._complete_one, settings, request))
                    if not running:
                        return
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in sorted(ended, key=_failed):  # what has ended well is kept whatever follows
                        yield future.result()
            finally:
                self._giving_up.set()  # after an error, the other threads have nobody to wait for
                pool.shutdown(cancel_futures=True)
                self._client.close()

    def _complete_one(self, settings: Settings, request: Request) -> Completion:
        deadline = time.monotonic() + self._patience_seconds
        while not self._giving_up.is_set():
            url = self._next_url()
            if url is not None:
                try:
                    return self._ask(url, settings, request)
                except httpx.HTTPError as error:
                    self._problems[url] = _why(url, error)
                    self._aside_until[url] = time.monotonic() + SET_ASIDE_SECONDS
            elif time.monotonic() >= deadline:
                break
            else:
                self._giving_up.wait(0.2)
        raise RunDirError(
            f"No vLLM endpoint answers any more. {' '.join(self._problems.values())} Start one again, then retry: "
            "only what is missing is sampled."
        )

    def _next_url(self) -> str | None:
        """Return the next endpoint that is not set aside, or None."""
        with self._lock:
            urls = list(self._model_names)
            for _ in urls:
                self._turn = (self._turn + 1) % len(urls)
                if self._aside_until[urls[self._turn]] <= time.monotonic():
                    return urls[self._turn]
        return None

    def _ask(self, url: str, settings: Settings, request: Request) -> Completion:
        body = {
            "model": self._model_names[url],
            "prompt": request.token_ids,
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": request.seed,
            # Otherwise the endpoint takes the model's own defaults for these, which an engine here does not.
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        response = self._client.post(f"{url}/v1/completions", json=body)
        if response.status_code in (408, 429) or response.status_code >= 500:
            response.raise_for_status()  # it may do better later, or another one may
        if response.is_error:
            raise RunDirError(f"{url} refuses a completion ({response.status_code}): {_message(response)}")
        answer = response.json()
        choice = answer["choices"][0]
        tokens = answer["usage"]["completion_tokens"]
        return Completion(request.prompt_id, request.index, choice["text"], tokens, choice["finish_reason"])


def _failed(future: Future) -> bool:
    return future.exception() is not None


def _client(endpoints: int) -> httpx.Client:
    key = os.environ.get("VLLM_API_KEY")  # the variable that vllm serve itself reads
    width = IN_FLIGHT_PER_ENDPOINT * endpoints
    return httpx.Client(
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=width, max_keepalive_connections=width),
        headers={"Authorization": f"Bearer {key}"} if key else {},
        # A proxy that the environment names is for other machines.
        mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
    )


def _served_name(client: httpx.Client, url: str, model: str, served_as: str) -> str:
    """Return the name by which an endpoint serves `model`, or refuse: never sample another policy
    unnoticed. The directory's own name says nothing: every trained policy lies in one called checkpoint.
    """
    response = client.get(f"{url}/v1/models", timeout=10)
    response.raise_for_status()
    served = response.json()["data"]
    for entry in served:
        if model in (entry["id"], entry.get("root")) or (served_as and entry["id"] == served_as):
            return entry["id"]
    names = ", ".join(entry["id"] for entry in served)
    or_named = f", and where it lies elsewhere there with --served-model-name {served_as}" if served_as else ""
    raise RunDirError(f"{url} serves {names}, not {model}: start it with that model{or_named}.")


def _why(url: str, error: Exception) -> str:
    if isinstance(error, RunDirError):
        return str(error)
    if isinstance(error, httpx.HTTPStatusError):
        return f"{url} answers {error.response.status_code}: {_message(error.response)}."
    return f"{url} does not answer ({error or type(error).__name__})."


def _message(response: httpx.Response) -> Any:
    try:
        return response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return response.text[:300].strip() or response.reason_phrase
