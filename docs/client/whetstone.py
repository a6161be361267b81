"""A client for Whetstone's API, in one file: copy it beside your notebook. It needs httpx and nothing else.

    from whetstone import Whetstone

    with Whetstone("https://whetstone.example.org", "wst_...") as site:
        run = site.sampling_runs.wait(site.sampling_runs.launch(prompt_set="june", policies=["smollm2"]))

Without arguments, ``Whetstone()`` reads WHETSTONE_URL and WHETSTONE_TOKEN. A token is made in the browser, under "API
tokens"; it may do what its scopes say, within what its user may do.

- Rows come as plain dictionaries (typed, for editors and mypy); times are ISO 8601 texts. ``all()`` is an iterator that
  fetches page after page; a filter that there is not is refused by the site, with the list of those there are.
- A request that got no answer, or 429, 502 or 503, is sent again, with growing pauses. Whatever changes something
  carries an Idempotency-Key, the same on each attempt: it is carried out once.
- ``wait()`` only looks: Ctrl-C, or its timeout, ends the waiting and never the work.

Errors, all of them WhetstoneError:

    ApiError          the site refused; .status, .detail (what is wrong, and the remedy), .errors by field
    NotReachable      no answer, however often asked
    TaskFailed        what was waited for failed or was cancelled; .task, .failure
    StillRunning      the timeout of a ``wait`` is over (also a TimeoutError)
    DownloadBroken    a file is not what the site says that it is
    BadSignature      a webhook's delivery is not the site's, or an old one sent again
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, TypedDict, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

__version__ = "1.0"

RETRIED = frozenset({429, 502, 503})
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # seconds; each pause is drawn from the upper half of twice the one before
TIMEOUT_SECONDS = 60.0  # of one attempt: connecting, or a silence while reading
PAGE_SIZE = 200  # rows fetched at once
BULK_ROWS, BULK_BYTES = 1000, 8_000_000  # less than the site takes in one request
CHUNK = 1 << 20  # bytes
WEBHOOK_TOLERANCE = 300  # seconds between our clock and that of a delivery

Json = dict[str, Any]
Id = int | str
Filter = str | int | float | bool | None
Split = Literal["train", "eval"]
What = Literal["prompts", "completions", "judgments"]
Kind = Literal["person", "simulated", "model", "imported"]


# --- errors -----------------------------------------------------------------------------------------------------


class WhetstoneError(Exception):
    """Everything that this file raises on purpose."""


class NotReachable(WhetstoneError):
    """No answer came, or none that is the site's. Is the address right, and the site running?"""


class ApiError(WhetstoneError):
    """The site refused; RFC 9457 (problem details) says why."""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        self.status = status
        self.type = str(problem.get("type", "about:blank"))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail") or self.title or f"HTTP {status}")
        self.errors: dict[str, Any] = dict(problem.get("errors") or {})
        super().__init__(f"{status}: {self.detail}{_by_field(self.errors)}")


class TaskFailed(WhetstoneError):
    """What was waited for ended otherwise than finished."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self.task = task
        self.failure = str(task.get("failure") or "")
        super().__init__(self.failure or f"{task.get('name') or task['id']} was {task['state']}.")


class StillRunning(WhetstoneError, TimeoutError):
    """It goes on; ``wait`` for it again, with a longer timeout."""

    def __init__(self, task: Mapping[str, Any], seconds: float) -> None:
        self.task = task
        super().__init__(f"It is {task['state']} still after {seconds:g} seconds, and goes on. Wait for it again.")


class DownloadBroken(WhetstoneError):
    """What came is not the file that the site has."""


class BadSignature(WhetstoneError):
    """Do not believe this delivery."""


def _by_field(errors: Mapping[str, Any]) -> str:
    told = []
    for field, said in errors.items():
        words = "; ".join(map(str, said)) if isinstance(said, list) else json.dumps(said, ensure_ascii=False)
        told.append(f"\n  {field}: {words}")
    return "".join(told)


# --- requests, pages, waiting, downloads ------------------------------------------------------------------------


class _Http:
    """Sends requests below /api/, again where that is safe, and raises what is wrong."""

    def __init__(self, client: httpx.Client, retries: int, sleep: Callable[[float], None]) -> None:
        self.client, self.retries, self.sleep = client, retries, sleep

    def get(self, path: str, **query: Filter) -> Any:
        return _content(self.request("GET", path, params=_query(query)))

    def post(self, path: str, content: Mapping[str, Any] | None = None, **more: Any) -> Any:
        return _content(self.request("POST", path, json=dict(content or {}), **more))

    def patch(self, path: str, content: Mapping[str, Any]) -> Any:
        return _content(self.request("PATCH", path, json=dict(content)))

    def delete(self, path: str) -> None:
        self.request("DELETE", path)

    def request(self, method: str, path: str, *, idempotency_key: str = "", **more: Any) -> httpx.Response:
        """One answer below 400. Raises ApiError or NotReachable."""
        headers = dict(more.pop("headers", {}))
        if method != "GET":
            headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        is_repeated = False
        for attempt in range(self.retries + 1):
            is_last = attempt == self.retries
            try:
                answer = self.client.request(method, path, headers=headers, **more)
            except httpx.TransportError as error:
                if is_last:
                    raise _unreachable(self.client, error) from error
                is_repeated = True
                self.pause(attempt)
                continue
            # An attempt whose answer was lost may be at work still: then the site says 409 to the next one.
            again = answer.status_code in RETRIED or (is_repeated and answer.status_code == httpx.codes.CONFLICT)
            if not again or is_last:
                return _checked(answer)
            is_repeated = True
            self.pause(attempt, answer)
        raise AssertionError("the last attempt returns or raises")

    def pause(self, attempt: int, answer: httpx.Response | None = None) -> None:
        """Growing, and not in step with others who wait; or as long as the site asks for."""
        told = answer.headers.get("Retry-After", "") if answer is not None else ""
        longest: float = min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE)
        drawn = random.uniform(longest / 2, longest)  # noqa: S311 (nothing secret)
        self.sleep(min(float(told), LONGEST_PAUSE) if told.isdigit() else drawn)

    def pages(self, path: str, filters: Mapping[str, Filter]) -> Iterator[Any]:
        query = {"page_size": str(PAGE_SIZE), **_query(filters)}
        while True:
            page = _content(self.request("GET", path, params=query))
            yield from page["results"]
            if not page["next"]:
                return
            # Only its query: the token is never sent to an address that came in an answer.
            query = dict(parse_qsl(urlsplit(page["next"]).query))

    def in_bulk(self, path: str, content: Mapping[str, Any], rows: Iterable[Json]) -> list[RowResult]:
        """As many requests as it takes, each with a part of the rows; ``index`` counts over all of them."""
        results: list[RowResult] = []
        for begin, some in _parts(rows):
            for result in self.post(path, {**content, "rows": some})["results"]:
                result["index"] += begin
                results.append(cast(RowResult, result))
        return results

    def save(self, path: str, to: Path, *, size: int, sha256: str) -> Path:
        """Write what is at ``path`` into the file ``to``; what broke off is gone on with, also by a later call.

        Until it is whole its name ends with its hash and ``.part``. Raises DownloadBroken, ApiError, NotReachable.
        """
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.is_file() and _sha256(to) == sha256:
            return to
        part = to.with_name(f"{to.name}.{sha256[:12]}.part")  # by its hash: it is never gone on with as another file
        part.touch()
        in_vain = 0
        while (before := part.stat().st_size) < size:
            try:
                self._append(path, part, before, sha256)
                break
            except ApiError:
                if not before:
                    part.unlink()
                raise
            except httpx.TransportError as error:
                in_vain = 0 if part.stat().st_size > before else in_vain + 1
                if in_vain > self.retries:
                    raise _unreachable(self.client, error) from error
                self.pause(in_vain)
            except _ComeLater as later:
                in_vain += 1
                if in_vain > self.retries:
                    raise ApiError(_problem(later.answer), later.answer.status_code) from None
                self.pause(in_vain, later.answer)
        found = part.stat().st_size
        if found != size or _sha256(part) != sha256:
            part.unlink()
            raise DownloadBroken(f"{to.name} arrived damaged ({found:,} bytes) and was thrown away. Download it again.")
        return part.replace(to)

    def _append(self, path: str, part: Path, begin: int, sha256: str) -> None:
        headers = {"Accept-Encoding": "identity"}
        if begin:
            headers |= {"Range": f"bytes={begin}-", "If-Range": f'"{sha256}"'}  # the hash is the file's ETag
        with self.client.stream("GET", path, headers=headers) as answer:
            if answer.status_code in RETRIED:
                answer.read()
                raise _ComeLater(answer)
            if answer.status_code >= 300:
                answer.read()
                _checked(answer)
            is_rest = answer.status_code == httpx.codes.PARTIAL_CONTENT
            with part.open("ab" if is_rest else "wb") as file:
                for piece in answer.iter_bytes():  # as they arrive: a tear loses none of them
                    file.write(piece)


class _ComeLater(Exception):
    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_redirect:
        raise NotReachable(
            f"{answer.request.url} leads to {answer.headers.get('Location')}. Give the address that it leads to, "
            "https:// where the site is served so."
        )
    if answer.is_error:
        raise ApiError(_problem(answer), answer.status_code)
    return answer


def _problem(answer: httpx.Response) -> Json:
    try:
        said = answer.json()
    except ValueError:  # a proxy's page, or nothing
        said = None
    return said if isinstance(said, dict) else {"detail": f"{answer.status_code} {answer.reason_phrase}"}


def _content(answer: httpx.Response) -> Any:
    if answer.status_code == httpx.codes.NO_CONTENT or not answer.content:
        return None
    try:
        return answer.json()
    except ValueError as error:
        raise NotReachable(
            f"{answer.request.url} did not answer with JSON, so it is not Whetstone's API. Give the site's address, as "
            "in https://whetstone.example.org."
        ) from error


def _unreachable(client: httpx.Client, error: httpx.TransportError) -> NotReachable:
    said = str(error) or type(error).__name__
    return NotReachable(f"{client.base_url} gave no answer ({said}). Is the address right, and the site running?")


def _query(given: Mapping[str, Filter]) -> dict[str, str]:
    as_text = {True: "true", False: "false"}
    return {
        name: as_text[value] if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def _given(**asked: Any) -> Json:
    """Without what was left out, for which the site has its own values; days and keys as texts."""
    return {
        name: value if isinstance(value, str | int | float | list | dict) else _as_json(value)
        for name, value in asked.items()
        if value is not None
    }


def _as_json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) else str(value)


def _parts(rows: Iterable[Json]) -> Iterator[tuple[int, list[Json]]]:
    """(index of the first, rows), by what a request may hold."""
    begin, some, size = 0, list[Json](), 0
    for index, row in enumerate(rows):
        length = len(json.dumps(row))
        if some and (len(some) == BULK_ROWS or size + length > BULK_BYTES):
            yield begin, some
            begin, some, size = index, [], 0
        some.append(row)
        size += length
    if some:
        yield begin, some


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def _id(row: Mapping[str, Any] | Id) -> Id:
    """Wherever a row is asked for, its id will do."""
    return cast(Id, row["id"]) if isinstance(row, Mapping) else row


Row = TypeVar("Row")
Task = TypeVar("Task", bound=Mapping[str, Any])


class _Rows(Generic[Row]):
    """What there is of one kind."""

    path = ""

    def __init__(self, http: _Http) -> None:
        self._http = http

    def all(self, **filters: Filter) -> Iterator[Row]:
        """Every one that fits, newest first, fetched page after page. Raises ApiError (400) for an unknown filter."""
        return self._http.pages(self.path, filters)

    def one(self, **filters: Filter) -> Row:
        """The newest that fits, as in ``one(name="june")``. Raises LookupError where there is none."""
        for row in self.all(page_size=1, **filters):
            return row
        asked = ", ".join(f"{name}={value!r}" for name, value in filters.items())
        raise LookupError(f"There is nothing at {self.path} with {asked}, or you may not see it.")

    def get(self, id: Id) -> Row:
        """Raises ApiError (404) where there is none, or you may not see it."""
        return cast(Row, self._http.get(f"{self.path}{id}/"))

    def _do(self, row: Mapping[str, Any] | Id, action: str, content: Mapping[str, Any] | None = None) -> Any:
        return self._http.post(f"{self.path}{_id(row)}/{action}/", content)


def _wait(
    http: _Http, look: Callable[[], Task], on_progress: Callable[[Task], object] | None, timeout: float | None
) -> Task:
    """Look until it is over. ``timeout`` in seconds. Raises TaskFailed, StillRunning, ApiError, NotReachable."""
    begun, pause = time.monotonic(), 0.25
    while True:
        task = look()
        if on_progress is not None:
            on_progress(task)
        match task["state"]:
            case "finished":
                return task
            case "failed" | "cancelled":
                raise TaskFailed(task)
        if timeout is not None and time.monotonic() - begun + pause > timeout:
            raise StillRunning(task, timeout)
        http.sleep(pause)
        pause = min(pause * 1.5, 5.0)


class _Tasks(_Rows[Task]):
    """Work that a worker of the site does, in seconds to hours."""

    def wait(
        self,
        task: Mapping[str, Any] | Id,
        *,
        on_progress: Callable[[Task], object] | None = None,
        timeout: float | None = None,
    ) -> Task:
        """The task once it is finished. ``on_progress`` gets it at each look: see its state, phase, done and total.

        ``timeout`` in seconds. Raises TaskFailed, StillRunning; Ctrl-C ends the waiting alone.
        """
        return _wait(self._http, lambda: self.get(_id(task)), on_progress, timeout)

    def cancel(self, task: Mapping[str, Any] | Id) -> Task:
        """Ask for its end, which comes within seconds. Raises ApiError (409) where it is over already."""
        return cast(Task, self._do(task, "cancel"))

    def retry(self, task: Mapping[str, Any] | Id) -> Task:
        """Queue a failed or cancelled one again; it goes on where it stopped. Raises ApiError (409)."""
        return cast(Task, self._do(task, "retry"))


# --- what the site's answers look like --------------------------------------------------------------------------


class Message(TypedDict):
    role: str  # "system", "user" or "assistant"
    content: str


class PromptSet(TypedDict):
    id: int
    name: str
    train_count: int
    eval_count: int
    created_at: str


class Prompt(TypedDict):
    id: int
    prompt_set: int
    messages: list[Message]
    split: Split
    metadata: Json
    content_hash: str
    data_import: int | None


class RowResult(TypedDict, total=False):
    """Of one row of a bulk request; ``index`` counts over all that was given."""

    index: int
    status: str  # "created", "known", "changed" or "rejected"
    id: Any
    errors: Json  # of a rejected row, by field


class Import(TypedDict):
    id: int
    what: str  # "prompts", "completions" or "judgments"
    doing: str  # "look", "import" or "undo": what a worker does with it, or did last
    state: str
    phase: str
    done: int
    total: int
    failure: str
    name: str
    page: str
    prompt_set: str
    source_kind: str
    is_uploaded: bool
    source_hash: str
    next_row: int
    prompts_added: int
    completions_added: int
    comparisons_added: int
    judgments_added: int
    known_count: int
    rejected_count: int
    filtered_count: int
    undone_at: str | None
    request_key: str
    created_at: str
    created_by: str | None
    started_at: str | None
    finished_at: str | None


class ImportFull(Import):
    """With how its source is read, and what the last look through it found: format, columns, first rows, counts."""

    options: Json
    seen: Json


class LeftOut(TypedDict):
    data_import: int
    line: int  # 1 for the first
    why: str  # "rejected" or "filtered"
    reason: str
    content: str


class FilterSet(TypedDict):
    id: int
    name: str
    steps: list[Json]
    created_at: str
    created_by: str | None


class Curation(TypedDict):
    """Filters over a prompt set; ``report`` says what each removes, ``made`` is the set that was kept."""

    id: int
    prompt_set: str
    steps: list[Json]
    seed: int
    new_name: str
    made: str | None
    report: Json
    page: str
    state: str
    phase: str
    done: int
    total: int
    failure: str
    request_key: str
    created_at: str
    started_at: str | None
    finished_at: str | None


class Model(TypedDict):
    """A version of a policy or of a reward model. It never changes."""

    id: int
    name: str
    role: str
    parent: str | None
    location: str
    content_hash: str
    published_at: str | None
    notes: str
    completion_count: int
    created_at: str


class SamplingRun(TypedDict):
    id: int
    name: str
    prompt_set: int
    split: str
    prompt_limit: int | None
    policies: list[str]
    n: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    state: str
    phase: str
    done: int
    total: int
    failure: str
    tokens_per_second: float | None
    skipped: list[Json]
    request_key: str
    created_at: str
    started_at: str | None
    finished_at: str | None


class Completion(TypedDict):
    id: int
    origin: str  # "sampled", "edit" or "imported"
    run: int | None
    prompt: int
    model_version: str | None
    written_by_model: str
    edit_of: int | None
    index: int
    text: str
    tokens: int | None
    finish_reason: str
    data_import: int | None
    created_at: str


class Project(TypedDict):
    """What every member of a project may see."""

    id: int
    name: str
    slug: str
    page: str
    preset: str
    completions_per_comparison: int
    allow_ties: bool
    strength_scale: str
    ask_safety: bool
    aspects: list[Json]
    defects: list[Json]
    rationale: str
    allow_all_bad: bool
    allow_edits: bool
    show_length: bool
    lease_seconds: int
    is_paused: bool
    guidelines: str
    guidelines_version: int | None
    created_at: str


class ProjectSettings(TypedDict):
    """Everything that a manager sets."""

    id: int
    name: str
    slug: str
    preset: str
    completions_per_comparison: int
    allow_ties: bool
    strength_scale: str
    allow_all_bad: bool
    ask_safety: bool
    aspects: list[Json]
    defects: list[Json]
    rationale: str
    allow_edits: bool
    show_length: bool
    overlap: int
    overlap_percent: int
    lease_seconds: int
    gold_percent: int
    qualification_percent: int
    is_paused: bool
    created_at: str


class Counted(TypedDict):
    comparisons: int
    wanted: int
    filled: int
    open: int
    imported: int
    at: str


class Opened(TypedDict):
    opened: int
    already_open: int
    skipped: int  # prompts with fewer than two different completions


class ShownCompletion(TypedDict):
    letter: str
    text: str
    words: int | None  # where the project shows lengths


class Answer(TypedDict):
    """A judgment, by the letters under which its completions were shown."""

    ranking: list[list[str]]
    strengths: list[str]
    marks: dict[str, Json]
    all_bad: bool
    edit: Json | None
    rationale: str
    seconds_spent: float | None
    revision: int
    at: str


class Assignment(TypedDict):
    """A comparison as its annotator sees it: blind."""

    id: str
    project: int
    kind: str  # "work", "training" (feedback follows) or "review"
    state: str
    page: str
    messages: list[Message]
    completions: list[ShownCompletion]
    draft: Json | None
    answer: Answer | None


class OwnAnswer(TypedDict):
    id: str
    project: int
    kind: str
    state: str
    page: str
    at: str
    prompt: str
    ranking: str
    strengths: str
    revision: int | None
    rationale: str
    skip_reason: str
    flag: str
    resolution: str


class Comparison(TypedDict):
    id: int
    project: int
    page: str
    prompt: int
    asks: str
    purpose: str
    group: str
    priority: int
    wanted: int
    judgments: int
    imported: int
    decisions: int
    flags: int
    skips: int
    disagreement: float
    withdrawn_at: str | None
    data_import: int | None
    created_at: str


class Lettered(TypedDict):
    letter: str
    text: str
    completion: int | None  # where policies were asked for
    policy: str | None


class JudgedInLetters(TypedDict):
    id: int
    annotator: str  # a pseudonym
    kind: str
    is_decision: bool
    ranking: list[list[str]]  # "A+" is the annotator's own edit of A
    strengths: list[str]
    marks: dict[str, Json]
    edits: dict[str, str]
    all_bad: bool
    rationale: str
    seconds_spent: float | None
    revision: int
    created_at: str


class ComparisonFull(Comparison):
    """With its completions and every judgment, in letters that are the same for everybody."""

    messages: list[Message]
    completions: list[Lettered]
    given: list[JudgedInLetters]
    known_ranking: list[list[str]] | None
    explanation: str


class Quality(TypedDict):
    judgments: int
    computed_at: str | None
    requested_at: str | None
    is_being_computed: bool
    error: str
    content: Json


class OwnFlag(TypedDict):
    note: str
    created_at: str


class Feedback(TypedDict):
    """One's answer to a training item beside the known one; ``right`` pairs of ``total``."""

    yours: list[list[str]]
    known: list[list[str]]
    right: int
    total: int
    explanation: str


class Member(TypedDict):
    id: int
    project: int
    username: str
    role: str
    kind: str
    groups: list[str]
    qualification: str
    guidelines_read: int | None
    joined_at: str


class Invitation(TypedDict):
    id: int
    project: int
    role: str
    groups: list[str]
    max_uses: int
    uses: int
    expires_at: str
    revoked_at: str | None
    created_at: str
    created_by: str | None


class InvitationMade(Invitation):
    link: str  # shown this once


class Flag(TypedDict):
    id: int
    project: int
    comparison: int
    raised_by: str
    note: str
    created_at: str
    resolved_at: str | None
    resolved_by: str | None
    resolution: str


class Guidelines(TypedDict):
    id: int
    project: int
    number: int
    text: str
    created_at: str
    created_by: str | None


class Judgment(TypedDict):
    id: int
    project: int
    comparison: int
    annotator: str  # a pseudonym, the same in every export
    kind: str
    is_decision: bool
    ranking: list[list[int]]  # ids of completions, best first
    strengths: list[str]
    marks: dict[str, Json]  # by completion's id
    all_bad: bool
    rationale: str
    seconds_spent: float | None
    guidelines_version: int | None
    revision: int
    supersedes: int | None
    is_current: bool
    data_import: int | None
    source: Json
    created_at: str


class FoundNow(TypedDict):
    judgments: int
    comparisons: int
    annotators: int
    comparisons_train: int
    comparisons_eval: int
    decisions: int
    prompts_train: int
    prompts_eval: int


class PairsNow(TypedDict):
    train: int
    eval: int
    ties: int
    conflicts: int
    unsafe: int
    disputed: int
    weak: int


class Preview(TypedDict):
    """What would be frozen now: kept pairs by split, dropped ones by the reason."""

    found: FoundNow
    pairs: PairsNow
    sampled: int  # comparisons that the pairs are estimated from; 0: all were counted
    left_out: dict[str, int]
    nothing: str  # why there is nothing to freeze


class SnapshotShort(TypedDict):
    id: int
    project: int
    projects: list[int]
    name: str
    page: str
    kinds: list[str]
    content_hash: str
    hash_scheme: int
    counts: Json
    has_withdrawn: bool
    request_key: str
    created_at: str
    created_by: str | None


class Snapshot(SnapshotShort):
    """A frozen dataset, with what it was frozen by."""

    choice: Json | None
    guidelines: list[Any]
    withdrawn_annotators: int
    withdrawn_judgments: int


class Freeze(TypedDict):
    """A snapshot in the making."""

    id: int
    project: int
    name: str
    page: str
    address: str
    asked: Json
    snapshot: int | None
    state: str
    phase: str
    done: int
    total: int
    failure: str
    request_key: str
    created_at: str
    started_at: str | None
    finished_at: str | None


class ExportFile(TypedDict):
    name: str
    bytes: int
    sha256: str
    rows: int | None
    address: str


class Export(TypedDict):
    """A snapshot as files. ``is_ready``: they can be downloaded now."""

    id: int
    project: int
    snapshot: int
    page: str
    layout: str
    rows: str
    file_type: str
    has_rationales: bool
    licence: str
    hub_id: str
    is_private: bool
    state: str
    phase: str
    done: int
    total: int
    failure: str
    is_ready: bool
    files: list[ExportFile]
    request_key: str
    created_at: str
    started_at: str | None
    finished_at: str | None


class Withdrawal(TypedDict):
    id: int
    annotator: str
    reason: str
    at: str
    by: str | None
    judgments: int


class SnapshotNamed(TypedDict):
    id: int
    name: str
    project: str


class RoundShort(TypedDict):
    id: int
    name: str
    url: str
    page: str
    state: str
    phase: str
    done: int
    total: int
    failure: str
    number: int
    recipe: str
    base_policy: str
    snapshot: SnapshotNamed
    policy: str | None
    is_published: bool
    win_rate: float | None
    win_rate_low: float | None
    win_rate_high: float | None
    has_withdrawn: bool
    created_at: str
    started_at: str | None
    finished_at: str | None


class StageProgress(TypedDict):
    done: float | None
    total: float | None
    unit: str | None
    phase: str | None


class Stage(TypedDict):
    kind: str
    label: str
    state: str
    attempts: int
    started_at: str | None
    finished_at: str | None
    seconds: float | None
    progress: StageProgress
    failure: str
    result: Json | None
    model: str | None


class PhaseTimed(TypedDict):
    phase: str
    kind: str
    seconds: float


class StageTimed(TypedDict):
    """What a stage's time went into; ``stage`` is empty for what the round does outside its stages."""

    stage: str
    attempts: int
    seconds: float
    work_seconds: float
    phases: list[PhaseTimed]


class Timing(TypedDict):
    """Where a round's time went; ``ratio`` is that of the wall time to the pure work."""

    wall_seconds: float
    work_seconds: float
    ratio: float | None
    waiting_seconds: float
    stages: list[StageTimed]


class Round(RoundShort):
    """A round with its stages, results and gate."""

    seed: int
    changes: Json
    resolved_recipe: Json
    previous: str | None
    cloned_from: str | None
    demonstrations: str | None
    gate: Json | None
    overruled_by: str | None
    overruled_at: str | None
    overrule_reason: str
    people: list[Json]
    request_key: str
    created_by: str | None
    stages: list[Stage]
    timing: Timing | None


class Estimate(TypedDict):
    seconds: float
    rounds_measured: int
    seconds_by_stage: dict[str, float]
    disk_bytes: float
    disk_bytes_while_training: float
    disk_free_bytes: float


class Check(TypedDict):
    """What was found when the data of a round was looked at; ``problems`` are those that a launch is refused with."""

    id: int
    state: str
    phase: str
    failure: str
    problems: dict[str, list[str]]
    result: Json | None
    warnings: list[str]
    estimate: Estimate | None
    dropped_page: str


class Recipe(TypedDict):
    name: str
    description: str
    text: str


class DemonstrationSet(TypedDict):
    id: int
    name: str
    file_name: str
    content_hash: str
    rows: int
    rejected: list[Json]
    rejected_count: int
    created_at: str


class BlindTest(TypedDict):
    id: int
    round: int
    opponent: str
    project: str
    prompts: int
    judged: int
    alike: int
    wins: int
    ties: int
    losses: int
    win_rate: float | None
    low: float | None
    high: float | None


class Learned(TypedDict):
    learned_from: str
    versions: list[Json]


class Token(TypedDict):
    id: int
    name: str
    beginning: str
    scopes: list[str]
    expires_at: str
    revoked_at: str | None
    last_used_at: str | None
    created_at: str


class Webhook(TypedDict):
    id: int
    url: str
    events: list[str]
    is_active: bool
    secret: str
    created_at: str


class Delivery(TypedDict):
    id: str
    webhook: int
    event: str
    payload: Json
    state: str
    attempts: int
    next_attempt_at: str
    last_status: int | None
    last_error: str
    created_at: str
    delivered_at: str | None


# --- prompts, imports, models, sampling -------------------------------------------------------------------------


class PromptSets(_Rows[PromptSet]):
    """``site.prompt_sets``. Filter: name."""

    path = "prompt-sets/"

    def create(self, name: str) -> PromptSet:
        """An empty one. Raises ApiError (400) where the name is taken."""
        return cast(PromptSet, self._http.post(self.path, {"name": name}))


class Prompts(_Rows[Prompt]):
    """``site.prompts``. They never change. Filters: prompt_set, split, content_hash, data_import."""

    path = "prompts/"

    def add(self, prompt_set: str, rows: Iterable[str | Mapping[str, Any]]) -> list[RowResult]:
        """Add any number to the set of this name; what it has already is ``known``, what is bad ``rejected``.

        Each row is a text, or ``{"messages": [...], "split": "train", "metadata": {...}}``. One bad row stops none
        of the others: look for ``rejected`` in the results. Raises ApiError where the set is not there.
        """
        wanted = (
            {"messages": [{"role": "user", "content": row}]} if isinstance(row, str) else dict(row) for row in rows
        )
        return self._http.in_bulk(f"{self.path}bulk/", {"prompt_set": prompt_set}, wanted)


class Imports(_Rows[Import]):
    """``site.imports``: files and datasets of others. Filters: what, doing, state, prompt_set, source_hash.

    First looked through, which brings nothing in; then brought in, batch by batch; undone as a whole. ``bring_in`` does
    the first two.
    """

    path = "imports/"

    def get(self, id: Id) -> ImportFull:
        """With what the last look found, in ``seen``."""
        return cast(ImportFull, self._http.get(f"{self.path}{id}/"))

    def create(
        self,
        source: str | Path,
        *,
        what: What,
        prompt_set: str,
        comes_from: Literal["upload", "hub", "incoming", "pasted"] = "upload",
        options: Mapping[str, Any] | None = None,
        request_key: uuid.UUID | None = None,
    ) -> ImportFull:
        """Have ``source`` looked through: a file here, which is uploaded; a hub's dataset; or what lies in the site's
        folder for imports; or the lines themselves.

        ``options``: format, mapping, eval_percent, steps (filters), store ... as the API's documentation has them. The
        prompt set is made where there is none. Raises ApiError (400).
        """
        key = request_key or uuid.uuid4()
        asked = {"what": what, "prompt_set": prompt_set}
        if comes_from != "upload":
            name = {"hub": "hub_id"}.get(comes_from, comes_from)
            content = asked | _given(options=options, request_key=key) | {name: str(source)}
            return cast(ImportFull, self._http.post(self.path, content))
        told = asked | ({"options": json.dumps(options)} if options else {})
        with Path(source).open("rb") as file:
            # Read from its beginning on each attempt: httpx rewinds it.
            answer = self._http.request(
                "POST",
                self.path,
                idempotency_key=str(key),  # an upload has no other: the site knows it for a day
                data=told,
                files={"file": (Path(source).name, file)},
            )
        return cast(ImportFull, _content(answer))

    def bring_in(
        self,
        source: str | Path,
        *,
        what: What,
        prompt_set: str,
        comes_from: Literal["upload", "hub", "incoming", "pasted"] = "upload",
        options: Mapping[str, Any] | None = None,
        request_key: uuid.UUID | None = None,
        on_progress: Callable[[ImportFull], object] | None = None,
        timeout: float | None = None,
    ) -> ImportFull:
        """Look through it, then bring it in, and wait: for who needs no preview. See ``rejected_count`` afterwards.

        Raises ApiError (409) where no format fits its rows, TaskFailed, StillRunning (then: `start` or `wait`).
        """
        made = self.create(
            source, what=what, prompt_set=prompt_set, comes_from=comes_from, options=options, request_key=request_key
        )
        if made["doing"] == "look":
            self.wait(made, on_progress=on_progress, timeout=timeout)
            self.start(made)
        return self.wait(made, on_progress=on_progress, timeout=timeout)

    def wait(
        self,
        data_import: Mapping[str, Any] | Id,
        *,
        on_progress: Callable[[ImportFull], object] | None = None,
        timeout: float | None = None,
    ) -> ImportFull:
        """The import once what it is ``doing`` is finished. Raises TaskFailed, StillRunning."""
        return _wait(self._http, lambda: self.get(_id(data_import)), on_progress, timeout)

    def change(self, data_import: Mapping[str, Any] | Id, options: Mapping[str, Any]) -> ImportFull:
        """Read the source in another way: it is looked through again. Raises ApiError (400, 409)."""
        return cast(ImportFull, self._http.patch(f"{self.path}{_id(data_import)}/", {"options": dict(options)}))

    def start(self, data_import: Mapping[str, Any] | Id) -> ImportFull:
        """Bring it in as it was looked through. Raises ApiError (409) while it is worked on."""
        return cast(ImportFull, self._do(data_import, "start"))

    def cancel(self, data_import: Mapping[str, Any] | Id) -> ImportFull:
        """Ask for an end. What is brought in already stays: `retry` goes on, `undo` takes it out."""
        return cast(ImportFull, self._do(data_import, "cancel"))

    def retry(self, data_import: Mapping[str, Any] | Id) -> ImportFull:
        """Go on with what failed or was cancelled, where it stopped. Raises ApiError (409)."""
        return cast(ImportFull, self._do(data_import, "retry"))

    def undo(self, data_import: Mapping[str, Any] | Id) -> ImportFull:
        """Take all out again that it brought; wait for it. TaskFailed then, where something was made of it."""
        return cast(ImportFull, self._do(data_import, "undo"))

    def rejects(
        self, data_import: Mapping[str, Any] | Id, why: Literal["rejected", "filtered"] | None = None
    ) -> Iterator[LeftOut]:
        """Every row that was left out: line, why, reason, content."""
        return self._http.pages("left-out-rows/", {"data_import": _id(data_import), "why": why})

    def save_rejects(self, data_import: Mapping[str, Any] | Id, to: str | Path) -> Path:
        """The same, as a file of JSON Lines."""
        to = Path(to)
        with to.open("w", encoding="utf-8") as file:
            for row in self.rejects(data_import):
                kept = {name: row[name] for name in ("line", "why", "reason", "content")}
                file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        return to


class FilterSets(_Rows[FilterSet]):
    """``site.filter_sets``: filters under a name, to be run again. Filter: name."""

    path = "filter-sets/"

    def create(self, name: str, steps: Sequence[Mapping[str, Any]]) -> FilterSet:
        """``steps`` in their order: {"filter": key, ...}. Raises ApiError (400)."""
        return cast(FilterSet, self._http.post(self.path, {"name": name, "steps": [dict(step) for step in steps]}))

    def delete(self, filter_set: Mapping[str, Any] | Id) -> None:
        """What ran with it keeps the filters that it ran with."""
        self._http.delete(f"{self.path}{_id(filter_set)}/")


class Curations(_Tasks[Curation]):
    """``site.curations``: filters run over a prompt set, then kept as another set. Filters: of, state."""

    path = "curations/"

    def run(
        self,
        prompt_set: str,
        steps: Sequence[Mapping[str, Any]],
        *,
        new_name: str = "",
        seed: int = 17,
        request_key: uuid.UUID | None = None,
    ) -> Curation:
        """Queue filters: to see what they remove (``report``), or with a new name to keep what they leave."""
        asked = _given(
            prompt_set=prompt_set, steps=[dict(step) for step in steps], new_name=new_name, seed=seed,
            request_key=request_key,
        )  # fmt: skip
        return cast(Curation, self._http.post(self.path, asked))

    def keep(self, curation: Mapping[str, Any] | Id, new_name: str) -> Curation:
        """Keep what the filters leave as a new set. Raises ApiError (400, 409 before it is looked through)."""
        return cast(Curation, self._do(curation, "keep", {"new_name": new_name}))


class Models(_Rows[Model]):
    """``site.models``: versions of policies and reward models. Filters: name, role, is_published."""

    path = "models/"

    def register(
        self,
        name: str,
        location: str,
        *,
        role: Literal["policy", "reward"] = "policy",
        parent: str | None = None,
        publish: bool = True,
        notes: str = "",
    ) -> Model:
        """``location``: a directory on the machines of the site's workers, or a hub id.

        The same name, place and weights again is the same version. Raises ApiError (400) for what is no checkpoint.
        """
        asked = {"name": name, "location": location, "role": role, "parent": parent, "publish": publish, "notes": notes}
        return cast(Model, self._http.post(self.path, asked))


class SamplingRuns(_Tasks[SamplingRun]):
    """``site.sampling_runs``: n completions per prompt of a set, of each policy. Filters: prompt_set, state."""

    path = "sampling-runs/"

    def launch(
        self,
        *,
        prompt_set: str,
        policies: Sequence[str],
        n: int = 4,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        split: Split | Literal[""] = "",
        prompt_limit: int | None = None,
        seed: int = 17,
        name: str = "",
        request_key: uuid.UUID | None = None,
    ) -> SamplingRun:
        """Queue one. The same ``request_key`` again gives the run that is there. Raises ApiError (400)."""
        asked = _given(
            prompt_set=prompt_set, policies=policies, n=n, temperature=temperature, top_p=top_p, max_tokens=max_tokens,
            split=split, prompt_limit=prompt_limit, seed=seed, name=name, request_key=request_key,
        )  # fmt: skip
        return cast(SamplingRun, self._http.post(self.path, asked))


class Completions(_Rows[Completion]):
    """``site.completions``. Filters: prompt, run, model_version, origin, data_import."""

    path = "completions/"


# --- annotation -------------------------------------------------------------------------------------------------


class Projects(_Rows[Project]):
    """``site.projects``: those that you are a member of; for staff all. Filters: name, slug, is_paused."""

    path = "projects/"

    def create(self, name: str, *, preset: str = "", guidelines: str = "", **settings: Any) -> ProjectSettings:
        """By a preset, or by settings of its own (the keys of ProjectSettings). Whoever makes it manages it; for staff.

        Raises ApiError (400).
        """
        asked = {"name": name, "preset": preset, "guidelines": guidelines, **settings}
        return cast(ProjectSettings, self._http.post(self.path, asked))

    def settings(self, project: Mapping[str, Any] | Id) -> ProjectSettings:
        """For its managers, else ApiError (403)."""
        return cast(ProjectSettings, self._http.get(f"{self.path}{_id(project)}/settings/"))

    def change(self, project: Mapping[str, Any] | Id, **settings: Any) -> ProjectSettings:
        """What is left out stays. Raises ApiError (400, 403)."""
        return cast(ProjectSettings, self._http.patch(f"{self.path}{_id(project)}/settings/", settings))

    def pause(self, project: Mapping[str, Any] | Id, *, is_paused: bool = True) -> Project:
        """While it is paused nothing new is handed out. Raises ApiError (403)."""
        return cast(Project, self._do(project, "pause", {"is_paused": is_paused}))

    def progress(self, project: Mapping[str, Any] | Id) -> Counted:
        """How much work there is, and how much is done; for reviewers and managers."""
        return cast(Counted, self._http.get(f"{self.path}{_id(project)}/progress/"))

    def open_comparisons(
        self,
        project: Mapping[str, Any] | Id,
        *,
        run: Mapping[str, Any] | Id | None = None,
        data_import: Mapping[str, Any] | Id | None = None,
        k: int | None = None,
        split: Split | Literal[""] = "",
        priority: int = 0,
        group: str = "",
    ) -> Opened:
        """Give it work: the completions of a sampling run, or of an import, by prompt, ``k`` in each comparison.

        What is open already is not opened again. Raises ApiError (400, 403).
        """
        source = {"run": run, "data_import": data_import}
        named = {name: _id(row) for name, row in source.items() if row is not None}
        asked = _given(k=k, split=split, priority=priority, group=group)
        return cast(Opened, self._do(project, "open-comparisons", named | asked))

    def quality(self, project: Mapping[str, Any] | Id) -> Quality:
        """Agreement and annotators' figures as they were last computed, in ``content``."""
        return cast(Quality, self._http.get(f"{self.path}{_id(project)}/quality/"))

    def compute_quality(self, project: Mapping[str, Any] | Id) -> Quality:
        """Ask for new figures. Asking twice is asking once."""
        return cast(Quality, self._do(project, "quality"))


class Assignments(_Rows[OwnAnswer]):
    """``site.assignments``: your own work as an annotator. ``all``: what you did; filters: project, show."""

    path = "assignments/"

    def next(self, project: Mapping[str, Any] | Id) -> Assignment | None:
        """The comparison that you hold in this project, else the next one, now yours; None where none is left."""
        found = self._http.post(f"projects/{_id(project)}/claim/")
        return cast(Assignment | None, found["assignment"])

    def show(self, assignment: Mapping[str, Any] | Id) -> Assignment:
        """It as it is shown to you, with your answer."""
        return cast(Assignment, self._http.get(f"{self.path}{_id(assignment)}/"))

    def submit(
        self,
        assignment: Mapping[str, Any] | Id,
        ranking: Sequence[Sequence[str]],
        *,
        strengths: Sequence[str] | None = None,
        marks: Mapping[str, Any] | None = None,
        all_bad: bool = False,
        edit: Mapping[str, str] | None = None,
        rationale: str = "",
        seconds_spent: float | None = None,
        based_on: int | None = None,
        request_key: uuid.UUID | None = None,
    ) -> Assignment:
        """Answer, or correct your answer. ``ranking``: groups of letters, best first, as in [["B"], ["A", "C"]].

        Those of one group are tied. ``strengths``: one between each two groups, such as "better". ``edit``: {"of": "A",
        "text": "..."}, placed in the ranking as "edit". ``based_on``: the revision that you know of; a newer one is not
        replaced (409). Raises ApiError: 400 for an answer that the project does not take, 409 where it is not yours.
        """
        groups = [list(group) for group in ranking]
        asked = _given(
            ranking=groups, strengths=strengths, marks=marks, all_bad=all_bad, edit=edit, rationale=rationale,
            seconds_spent=seconds_spent, based_on=based_on, request_key=request_key or uuid.uuid4(),
        )  # fmt: skip
        return cast(Assignment, self._do(assignment, "submit", asked))

    def skip(self, assignment: Mapping[str, Any] | Id, reason: str = "") -> Assignment:
        """Give it back to the others. Raises ApiError (409) where it is not yours any more."""
        return cast(Assignment, self._do(assignment, "skip", {"reason": reason}))

    def flag(self, assignment: Mapping[str, Any] | Id, note: str) -> OwnFlag:
        """Tell the managers what is wrong with it."""
        return cast(OwnFlag, self._do(assignment, "flag", {"note": note}))

    def renew(self, assignment: Mapping[str, Any] | Id) -> None:
        """Hold it for another lease. Raises ApiError (409) where somebody else has it by now."""
        self._do(assignment, "renew")

    def feedback(self, assignment: Mapping[str, Any] | Id) -> Feedback:
        """Of a training item that you answered: your answer beside the known one."""
        return cast(Feedback, self._http.get(f"{self.path}{_id(assignment)}/feedback/"))


class Comparisons(_Rows[Comparison]):
    """``site.comparisons``: of projects that you review or manage.

    Filters: project, state, text, prompt, data_import, purpose, group.
    """

    path = "comparisons/"

    def show(self, comparison: Mapping[str, Any] | Id, *, policies: bool = False) -> ComparisonFull:
        """With its completions and every judgment, in letters; ``policies``: and who wrote what, for managers."""
        return cast(ComparisonFull, self._http.get(f"{self.path}{_id(comparison)}/{'policies/' if policies else ''}"))

    def prioritise(
        self, project: Mapping[str, Any] | Id, comparisons: Iterable[Mapping[str, Any] | Id], priority: int
    ) -> int:
        """Let these come sooner (higher) or later; how many were changed."""
        ids, changed = [_id(each) for each in comparisons], 0
        for begin in range(0, len(ids), BULK_ROWS):
            asked = {"project": _id(project), "comparisons": ids[begin : begin + BULK_ROWS], "priority": priority}
            changed += int(self._http.post(f"{self.path}priorities/", asked)["changed"])
        return changed

    def ask_another(self, comparison: Mapping[str, Any] | Id, wanted: int) -> ComparisonFull:
        """Let it have so many judgments in all. Raises ApiError (409)."""
        return cast(ComparisonFull, self._do(comparison, "ask-another", {"wanted": wanted}))

    def decide(self, comparison: Mapping[str, Any] | Id) -> Assignment:
        """Open your decision as a reviewer; submit it as any other assignment. Raises ApiError (409)."""
        return cast(Assignment, self._do(comparison, "decide"))

    def withdraw(self, comparison: Mapping[str, Any] | Id, reason: str) -> ComparisonFull:
        """Take it out of the queue and out of new snapshots. What was judged stays on record."""
        return cast(ComparisonFull, self._do(comparison, "withdraw", {"reason": reason}))

    def restore(self, comparison: Mapping[str, Any] | Id, reason: str) -> ComparisonFull:
        """Undo a withdrawal."""
        return cast(ComparisonFull, self._do(comparison, "restore", {"reason": reason}))


class Members(_Rows[Member]):
    """``site.members``: of projects that you manage. Filters: project, username, role, kind, qualification."""

    path = "members/"

    def add(
        self,
        project: Mapping[str, Any] | Id,
        username: str,
        *,
        role: Literal["annotator", "reviewer", "manager"] = "annotator",
        kind: Literal["person", "simulated", "model"] = "person",
        groups: Sequence[str] | None = None,
    ) -> Member:
        """Add an account; one that is a member already is changed. Raises ApiError (400, 409)."""
        asked = _given(project=_id(project), username=username, role=role, kind=kind, groups=groups)
        return cast(Member, self._http.post(self.path, asked))

    def change(self, member: Mapping[str, Any] | Id, **changes: Any) -> Member:
        """role, kind, groups; what is left out stays. Raises ApiError (400, 409)."""
        return cast(Member, self._http.patch(f"{self.path}{_id(member)}/", changes))

    def remove(self, member: Mapping[str, Any] | Id) -> None:
        """Take the membership away. What they judged stays. Raises ApiError (409)."""
        self._http.delete(f"{self.path}{_id(member)}/")


class Invitations(_Rows[Invitation]):
    """``site.invitations``: links by which people join. Filters: project, role, is_revoked."""

    path = "invitations/"

    def create(
        self,
        project: Mapping[str, Any] | Id,
        *,
        role: str = "annotator",
        max_uses: int = 1,
        days: int = 7,
        groups: Sequence[str] = (),
        request_key: uuid.UUID | None = None,
    ) -> InvitationMade:
        """Make a link; this answer alone shows it."""
        asked = _given(
            project=_id(project), role=role, max_uses=max_uses, days=days, groups=groups,
            request_key=request_key or uuid.uuid4(),
        )  # fmt: skip
        return cast(InvitationMade, self._http.post(self.path, asked))

    def revoke(self, invitation: Mapping[str, Any] | Id) -> Invitation:
        """Nobody joins by it any more; who has joined stays."""
        return cast(Invitation, self._do(invitation, "revoke"))


class Flags(_Rows[Flag]):
    """``site.flags``: what annotators want the managers to look at. Filters: project, comparison, is_resolved."""

    path = "flags/"

    def resolve(self, flag: Mapping[str, Any] | Id, resolution: str) -> Flag:
        """Close it with a word to who raised it."""
        return cast(Flag, self._do(flag, "resolve", {"resolution": resolution}))


class GuidelinesVersions(_Rows[Guidelines]):
    """``site.guidelines``: one is never edited, a change is another version. Filters: project, number."""

    path = "guidelines/"

    def publish(self, project: Mapping[str, Any] | Id, text: str) -> Guidelines:
        """Put a new version (markdown) into force; the text that is in force already stays the version that it is."""
        return cast(Guidelines, self._http.post(self.path, {"project": _id(project), "text": text}))

    def read(self, guidelines: Mapping[str, Any] | Id) -> None:
        """Say that you have read this version."""
        self._do(guidelines, "read")


class Judgments(_Rows[Judgment]):
    """``site.judgments``: of projects that you manage; none is ever changed.

    Filters: project, comparison, data_import, kind, is_decision, is_current, since, until (ISO 8601 times).
    """

    path = "judgments/"

    def add(
        self, project: Mapping[str, Any] | Id, prompt_set: str, rows: Iterable[Mapping[str, Any]], *, format: str = ""
    ) -> list[RowResult]:
        """Keep judgments that were given elsewhere, in any format that imports read. For staff.

        Each part of up to 1,000 rows is an import of its own. Raises ApiError (400) where no format fits.
        """
        content = {"project": _id(project), "prompt_set": prompt_set, "format": format}
        return self._http.in_bulk(f"{self.path}bulk/", content, map(dict, rows))


# --- datasets ---------------------------------------------------------------------------------------------------


class Snapshots(_Rows[SnapshotShort]):
    """``site.snapshots``: frozen datasets. Filters: project, name, content_hash."""

    path = "snapshots/"

    def get(self, id: Id) -> Snapshot:
        """With what it was frozen by."""
        return cast(Snapshot, self._http.get(f"{self.path}{id}/"))

    def preview(self, project: Mapping[str, Any] | Id, kinds: Sequence[Kind] = ("person",), **choice: Any) -> Preview:
        """The counts of what `freeze` would freeze now; ``choice`` as there."""
        return cast(Preview, self._http.post(f"{self.path}preview/", _chosen(project, kinds, choice)))

    def freeze(
        self,
        project: Mapping[str, Any] | Id,
        name: str,
        kinds: Sequence[Kind] = ("person",),
        *,
        projects: Sequence[Mapping[str, Any] | Id] | None = None,
        since: date | str | None = None,
        until: date | str | None = None,
        reviewed_only: bool = False,
        agreement_threshold: float = 0.5,
        min_strength: str | None = None,
        one_row_per: Literal["judgment", "pair"] = "judgment",
        aggregation: Literal["majority", "dawid_skene"] = "majority",
        request_key: uuid.UUID | None = None,
        on_progress: Callable[[Freeze], object] | None = None,
        timeout: float | None = None,
    ) -> Snapshot:
        """Freeze what this choice means now, and wait for it.

        Days in UTC, both included. The same ``request_key`` again gives the snapshot that is there. Raises ApiError
        (400: a name that is taken, nothing to freeze), TaskFailed, StillRunning (then: ``site.freezes.wait``).
        """
        choice: Json = {
            "projects": projects, "since": since, "until": until, "reviewed_only": reviewed_only,
            "agreement_threshold": agreement_threshold, "min_strength": min_strength, "one_row_per": one_row_per,
            "aggregation": aggregation, "name": name, "request_key": request_key,
        }  # fmt: skip
        answer = self._http.request("POST", self.path, json=_chosen(project, kinds, choice))
        made = _content(answer)
        if answer.status_code == httpx.codes.ACCEPTED:  # a worker makes it
            task = Freezes(self._http).wait(made, on_progress=on_progress, timeout=timeout)
            return self.get(cast(int, task["snapshot"]))
        return cast(Snapshot, made)

    def verify(self, snapshot: Mapping[str, Any] | Id) -> bool:
        """Whether its hash is still that of what is in the site's tables. Raises ApiError (409) for a large one."""
        return bool(self._do(snapshot, "verify")["is_unchanged"])


def _chosen(project: Mapping[str, Any] | Id, kinds: Sequence[str], choice: Mapping[str, Any]) -> Json:
    asked = _given(project=_id(project), kinds=kinds, **choice)
    if projects := choice.get("projects"):
        asked["projects"] = [_id(each) for each in projects]
    return asked


class Freezes(_Tasks[Freeze]):
    """``site.freezes``: snapshots in the making. Filters: project, state."""

    path = "freezes/"


class Exports(_Tasks[Export]):
    """``site.exports``: snapshots as files. Filters: project, snapshot, layout, state."""

    path = "exports/"

    def create(
        self,
        snapshot: Mapping[str, Any] | Id,
        *,
        layout: str = "trl_preference",
        rows: Literal["judgment", "majority"] = "judgment",
        file_type: Literal["jsonl", "parquet"] = "jsonl",
        has_rationales: bool = False,
        licence: str = "",
        request_key: uuid.UUID | None = None,
    ) -> Export:
        """Ask for the files of this view: those there are, or new ones. Raises ApiError (400), with the layouts."""
        asked = _given(
            snapshot=_id(snapshot), layout=layout, rows=rows, file_type=file_type, has_rationales=has_rationales,
            licence=licence, request_key=request_key,
        )  # fmt: skip
        return cast(Export, self._http.post(self.path, asked))

    def download(self, export: Mapping[str, Any] | Id, directory: str | Path) -> Path:
        """Every file of a finished export into ``directory``, which ``datasets.load_dataset`` then reads.

        What broke off goes on where it was, also by a later call; what is there already is not fetched again. Each file
        is held to its SHA-256. Raises DownloadBroken, NotReachable, ApiError; WhetstoneError before it is finished.
        """
        row, directory = self.get(_id(export)), Path(directory)
        if not row["is_ready"]:
            raise WhetstoneError(f"This export has no files now: it is {row['state']}. Wait for it first.")
        for file in row["files"]:
            if file["name"] != Path(file["name"]).name:
                raise DownloadBroken(f"{file['name']!r} is no name of a file.")
            if not file["name"].endswith(".zip"):  # the same once more
                path = f"{self.path}{row['id']}/files/{quote(file['name'])}/"
                self._http.save(path, directory / file["name"], size=file["bytes"], sha256=file["sha256"])
        return directory

    def push(self, export: Mapping[str, Any] | Id, hub_id: str, *, is_private: bool = True) -> Export:
        """The same view, pushed to a hub: an export of its own; wait for it. Raises ApiError (400)."""
        return cast(Export, self._do(export, "push", {"hub_id": hub_id, "is_private": is_private}))


class Withdrawals(_Rows[Withdrawal]):
    """``site.withdrawals``: annotators whose work becomes no data any more. For staff."""

    path = "withdrawals/"

    def create(self, annotator: str, reason: str) -> Withdrawal:
        """By username. Snapshots and models that hold their work are marked. Raises ApiError (400)."""
        return cast(Withdrawal, self._http.post(self.path, {"annotator": annotator, "reason": reason}))

    def take_back(self, withdrawal: Mapping[str, Any] | Id) -> None:
        """Their judgments become data again."""
        self._http.delete(f"{self.path}{_id(withdrawal)}/")


# --- training ---------------------------------------------------------------------------------------------------


class Rounds(_Rows[RoundShort]):
    """``site.rounds``: from frozen judgments to a better policy. Filters: name, state, snapshot, base_policy."""

    path = "rounds/"

    def get(self, id: Id) -> Round:
        """With its stages, results and gate."""
        return cast(Round, self._http.get(f"{self.path}{id}/"))

    def launch(
        self,
        name: str,
        *,
        base_policy: str | int | None = None,
        snapshot: str | int | None = None,
        recipe: str | None = None,
        changes: Mapping[str, Any] | str | None = None,
        previous: str | int | None = None,
        demonstrations: str | int | None = None,
        cloned_from: str | int | None = None,
        seed: int | None = None,
        request_key: uuid.UUID | None = None,
    ) -> Round:
        """Queue one. Names or ids; with ``previous``, what is left out is as in that round.

        ``changes`` of the recipe, by section: {"dpo": {"beta": 0.2}}. Raises ApiError (400): what a launch is refused
        with, by field, in ``errors``; `check` says it before.
        """
        asked = _given(
            name=name, base_policy=base_policy, snapshot=snapshot, recipe=recipe, changes=changes, previous=previous,
            demonstrations=demonstrations, cloned_from=cloned_from, seed=seed, request_key=request_key,
        )  # fmt: skip
        return cast(Round, self._http.post(self.path, asked))

    def check(
        self,
        *,
        base_policy: str | int | None = None,
        snapshot: str | int | None = None,
        recipe: str | None = None,
        changes: Mapping[str, Any] | str | None = None,
        previous: str | int | None = None,
        demonstrations: str | int | None = None,
        on_progress: Callable[[Check], object] | None = None,
        timeout: float | None = None,
    ) -> Check:
        """Have the data of such a round looked at, and wait: ``problems``, ``warnings``, ``estimate``.

        Raises ApiError (400) for inputs that there are not, TaskFailed where the check itself failed, StillRunning.
        """
        asked = _given(
            base_policy=base_policy, snapshot=snapshot, recipe=recipe, changes=changes, previous=previous,
            demonstrations=demonstrations,
        )  # fmt: skip
        # A new key each time: the same question is asked again to hear how far it is.
        return _wait(
            self._http, lambda: cast(Check, self._http.post(f"{self.path}check/", asked)), on_progress, timeout
        )

    def wait(
        self,
        round: Mapping[str, Any] | Id,
        *,
        on_progress: Callable[[Round], object] | None = None,
        timeout: float | None = None,
    ) -> Round:
        """The round once it is finished; ``on_progress`` gets it at each look. Raises TaskFailed, StillRunning."""
        return _wait(self._http, lambda: self.get(_id(round)), on_progress, timeout)

    def cancel(self, round: Mapping[str, Any] | Id) -> Round:
        """Ask for it to stop; finished stages are kept. Raises ApiError (409) where it is over."""
        return cast(Round, self._do(round, "cancel"))

    def retry(self, round: Mapping[str, Any] | Id) -> Round:
        """Queue a failed or cancelled one again; it goes on in the middle of a stage. Raises ApiError (409)."""
        return cast(Round, self._do(round, "retry"))

    def overrule(self, round: Mapping[str, Any] | Id, reason: str) -> Round:
        """Publish a policy that its gate withheld; the reason stays on record. Raises ApiError (403, 409)."""
        return cast(Round, self._do(round, "overrule", {"reason": reason}))

    def curves(self, round: Mapping[str, Any] | Id, stage: str) -> list[dict[str, float]]:
        """What a stage ("reward_model", "dpo" ...) measured at each logged step so far: loss, rewards and the rest."""
        return cast(list[dict[str, float]], self._http.get(f"{self.path}{_id(round)}/stages/{stage}/metrics/")["steps"])

    def log(self, round: Mapping[str, Any] | Id, stage: str) -> str:
        """The end of what a stage's program wrote."""
        return cast(str, self._http.get(f"{self.path}{_id(round)}/stages/{stage}/log/")["tail"])


class Recipes:
    """``site.recipes``: the presets that a round may follow."""

    path = "recipes/"

    def __init__(self, http: _Http) -> None:
        self._http = http

    def all(self) -> list[Recipe]:
        return cast(list[Recipe], self._http.get(self.path))

    def get(self, name: str) -> Recipe:
        """Raises ApiError (404), with the names that there are."""
        return cast(Recipe, self._http.get(f"{self.path}{name}/"))


class Demonstrations(_Rows[DemonstrationSet]):
    """``site.demonstrations``: conversations to learn from by imitation. Filter: name."""

    path = "demonstration-sets/"

    def create(
        self, name: str, rows: Sequence[Mapping[str, Any]], *, request_key: uuid.UUID | None = None
    ) -> DemonstrationSet:
        """Of up to 10,000 ``{"messages": [...]}`` that end with the assistant; bad ones are in ``rejected``."""
        asked = _given(name=name, rows=[dict(row) for row in rows], request_key=request_key)
        return cast(DemonstrationSet, self._http.post(self.path, asked))


class BlindTests(_Rows[BlindTest]):
    """``site.blind_tests``: a round's policy against another, judged by people who are not told which is which."""

    path = "blind-tests/"

    def create(
        self, round: str | int, opponent: str | int, *, prompts: int | None = None, overlap: int = 1
    ) -> BlindTest:
        """Open one, in a project of its own. The same again is that one. Raises ApiError (400, 409)."""
        asked = _given(round=round, opponent=opponent, prompts=prompts, overlap=overlap)
        return cast(BlindTest, self._http.post(self.path, asked))


class Lineage:
    """``site.lineage``: from weights back to each click, and from a click to all weights that learned from it."""

    path = "lineage/"

    def __init__(self, http: _Http) -> None:
        self._http = http

    def of(self, model: Mapping[str, Any] | Id) -> Json:
        """A version's parents, rounds, stages, recipes, code, hardware, seeds, snapshots and counts of judgments."""
        return cast(Json, self._http.get(f"{self.path}{_id(model)}/"))

    def learned_from(self, what: Literal["judgment", "annotator", "prompt"], row: Mapping[str, Any] | Id) -> Learned:
        """Which versions learned from this one. Raises ApiError (404)."""
        return cast(Learned, self._http.get(f"{self.path}{_id(row)}/learned-from/{what}/"))


# --- tokens, webhooks -------------------------------------------------------------------------------------------


class Tokens(_Rows[Token]):
    """``site.tokens``: your own. They are made in the browser, so that none can make one that may do more."""

    path = "tokens/"

    def revoke(self, token: Mapping[str, Any] | Id) -> Token:
        """From now on it opens nothing: also the one that this client uses."""
        return cast(Token, self._do(token, "revoke"))


class Webhooks(_Rows[Webhook]):
    """``site.webhooks``: addresses that are told what happens. See `verify_webhook`. Filter: is_active."""

    path = "webhooks/"

    def create(self, url: str, events: Sequence[str]) -> Webhook:
        """``events`` such as "round.finished"; ``secret`` in the answer is what deliveries are verified with.

        Raises ApiError (400), with the events that there are.
        """
        return cast(Webhook, self._http.post(self.path, {"url": url, "events": list(events)}))

    def change(
        self,
        webhook: Mapping[str, Any] | Id,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        is_active: bool | None = None,
    ) -> Webhook:
        """What is left out stays."""
        asked = _given(url=url, events=events, is_active=is_active)
        return cast(Webhook, self._http.patch(f"{self.path}{_id(webhook)}/", asked))

    def delete(self, webhook: Mapping[str, Any] | Id) -> None:
        """With all that waited for it."""
        self._http.delete(f"{self.path}{_id(webhook)}/")

    def ping(self, webhook: Mapping[str, Any] | Id) -> Delivery:
        """Send a delivery that says nothing but hello."""
        return cast(Delivery, self._do(webhook, "ping"))


class Deliveries(_Rows[Delivery]):
    """``site.deliveries``: what was sent to webhooks, and what came of it. Filters: webhook, event, state."""

    path = "deliveries/"

    def again(self, delivery: Mapping[str, Any] | Id) -> Delivery:
        """Send it once more, now, under the same id."""
        return cast(Delivery, self._do(delivery, "again"))


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    now: float | None = None,
    tolerance: float = WEBHOOK_TOLERANCE,
) -> Json:
    """The delivery ``{"type", "timestamp", "data"}``, if it comes from the site that knows ``secret``, and just now.

    ``body`` as it came, before any parsing. A delivery may come twice: remember its ``webhook-id``. After Standard
    Webhooks 1.0.0. Raises BadSignature.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        message, at = found["webhook-id"], found["webhook-timestamp"]
        signatures = found["webhook-signature"].split()
        age = (time.time() if now is None else now) - int(at)
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except KeyError as missing:
        raise BadSignature(f"The header {missing} is missing: this is no delivery of Whetstone.") from None
    except (ValueError, binascii.Error):
        raise BadSignature("The timestamp is no number, or the secret is not the one that the site showed.") from None
    if abs(age) > tolerance:
        raise BadSignature(f"It was signed {age:.0f} seconds ago: an old one sent again, or a clock that is wrong.")
    digest = hmac.digest(key, b".".join([message.encode(), at.encode(), body]), hashlib.sha256)
    expected = f"v1,{base64.b64encode(digest).decode()}"
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in signatures):
        raise BadSignature("The signature does not fit the body and the secret.")
    return cast(Json, json.loads(body))


# --- the site ---------------------------------------------------------------------------------------------------


class Whetstone:
    """A site, by its address and a token of yours. Close it, or use it in a ``with``."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = 5,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``timeout`` in seconds, of one attempt; ``retries`` after the first one.

        Raises WhetstoneError without a token, and for what is no address.
        """
        url = url or os.environ.get("WHETSTONE_URL", "http://127.0.0.1:8000")
        if not url.startswith(("http://", "https://")):
            raise WhetstoneError(f'"{url}" is no address of a site. Give it as in https://whetstone.example.org.')
        token = token or os.environ.get("WHETSTONE_TOKEN", "")
        if not token:
            raise WhetstoneError(
                f'No token. Make one at {url.rstrip("/")}/tokens/ and give it as Whetstone(url, "wst_..."), or set '
                "WHETSTONE_TOKEN."
            )
        host = urlsplit(url).hostname or ""
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/",
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"whetstone-client/{__version__}"},
            timeout=timeout,
            transport=transport,
            follow_redirects=False,  # a POST would arrive as a GET, and the token elsewhere
            trust_env=host not in ("localhost", "127.0.0.1", "::1"),  # no proxy leads there
        )
        http = _Http(self._client, retries, sleep)
        self.prompt_sets = PromptSets(http)
        self.prompts = Prompts(http)
        self.imports = Imports(http)
        self.filter_sets = FilterSets(http)
        self.curations = Curations(http)
        self.models = Models(http)
        self.sampling_runs = SamplingRuns(http)
        self.completions = Completions(http)
        self.projects = Projects(http)
        self.comparisons = Comparisons(http)
        self.members = Members(http)
        self.invitations = Invitations(http)
        self.flags = Flags(http)
        self.assignments = Assignments(http)
        self.guidelines = GuidelinesVersions(http)
        self.judgments = Judgments(http)
        self.snapshots = Snapshots(http)
        self.freezes = Freezes(http)
        self.exports = Exports(http)
        self.withdrawals = Withdrawals(http)
        self.rounds = Rounds(http)
        self.recipes = Recipes(http)
        self.demonstrations = Demonstrations(http)
        self.blind_tests = BlindTests(http)
        self.lineage = Lineage(http)
        self.tokens = Tokens(http)
        self.webhooks = Webhooks(http)
        self.deliveries = Deliveries(http)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Whetstone:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Whetstone({str(self._client.base_url).removesuffix('/api/')!r})"
