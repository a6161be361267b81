"""Simulated annotators at work: each signs in and judges over HTTP, page by page, as a browser does.

They see what a person sees: the conversation and the completions in the page, blinded and shuffled. Their
rules are in simulated.py. The database is touched to make their accounts and to count what is left, never to
judge: every judgment passes sign-in, CSRF check, lease and form, and is recorded as simulated.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import httpx
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.actions import add_member
from annotation.models import Assignment, AssignmentState, JudgeKind, Project, Rationale, Role
from annotation.rules.ranking import Strength
from annotation.simulated.annotators import ANNOTATORS, Ranking, rank
from annotation.simulated.page_reader import Form, Page, read_page

SEED = 17
TIMEOUT = httpx.Timeout(60.0)  # a laptop that also runs vLLM answers late
NEGLIGIBLY = "negligibly_better"


class SimulatedAnnotatorFailed(Exception):
    """The site did not let a simulated annotator work. The message has the page's words."""


def names() -> list[str]:
    """The accounts of the simulated annotators."""
    return list(ANNOTATORS)


def annotate(
    *,
    project: Project,
    url: str,
    seed: int = SEED,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Let every simulated annotator judge what is open in ``project`` at the site ``url``.

    Returns how many judgments they made; goes on where an earlier call stopped. ``on_progress`` is told
    (judgments made, judgments expected). Raises SimulatedAnnotatorFailed.
    """
    _check_what_is_asked(project)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request would drown the progress
    expected = left_to_judge(project)
    stop = threading.Event()
    start = reverse("annotation:annotate", args=[project.slug])
    with accounts(project) as passwords, ThreadPoolExecutor(len(passwords)) as pool:
        levels = [str(level) for level in project.scale.levels]
        annotators = [
            HttpAnnotator(name=name, url=url, seed=seed, allow_ties=project.allow_ties, levels=levels)
            for name in passwords
        ]
        running = [
            pool.submit(annotator.work, start=start, password=passwords[annotator.name], stop=stop)
            for annotator in annotators
        ]
        try:
            unfinished = set(running)
            while unfinished:
                finished, unfinished = wait(unfinished, timeout=0.2)
                judged = sum(annotator.judged for annotator in annotators)
                if on_progress is not None:
                    on_progress(judged, max(expected, judged))
                for each in finished:
                    each.result()  # raises what the thread raised
        finally:
            stop.set()  # Ctrl-C and a failure end the others after the comparison at hand
    return judged


def _check_what_is_asked(project: Project) -> None:
    """They rank and say how much better; what else must be answered they cannot."""
    beyond_them = {
        "a safety mark for each completion": project.ask_safety,
        f"ratings ({', '.join(aspect.label for aspect in project.asked_aspects)})": bool(project.aspects),
        "a rationale with every answer": project.rationale == Rationale.REQUIRED,
    }
    if asked := [what for what, is_asked in beyond_them.items() if is_asked]:
        raise SimulatedAnnotatorFailed(
            f'Project "{project}" asks for {" and ".join(asked)}, which simulated annotators cannot give. '
            "Turn that off in the project's settings, or let people judge."
        )


def left_to_judge(project: Project) -> int:
    """How many judgments the simulated annotators can still make: at most the open slots."""
    closed = [AssignmentState.SUBMITTED, AssignmentState.SKIPPED]
    comparisons = project.comparisons.work().count()
    done = Assignment.objects.filter(
        comparison__in=project.comparisons.work(), annotator__username__in=names(), state__in=closed
    ).count()
    open_slots = project.slots.open().count()
    return min(open_slots, comparisons * len(ANNOTATORS) - done)


@contextmanager
def accounts(project: Project) -> Iterator[dict[str, str]]:
    """Username -> password of accounts that are members of ``project`` and sign in only while this lasts.

    The passwords are random and live in this process alone; afterwards the accounts have none.
    """
    users = {name: _account(name) for name in names()}
    passwords = {name: secrets.token_urlsafe(24) for name in users}
    try:
        for name, user in users.items():
            add_member(project=project, user=user, role=Role.ANNOTATOR, kind=JudgeKind.SIMULATED)
            user.set_password(passwords[name])
            user.save(update_fields=["password"])
        yield passwords
    finally:
        for user in users.values():
            user.set_unusable_password()
            user.save(update_fields=["password"])


def _account(name: str):
    user, _ = get_user_model().objects.get_or_create(username=name)
    is_privileged = user.is_staff or user.is_superuser
    if is_privileged or user.memberships.exclude(kind=JudgeKind.SIMULATED).exists():
        raise SimulatedAnnotatorFailed(
            f'The account "{name}" belongs to a person or has more rights than an annotator. Simulated '
            "annotators need that name: rename the account, or make its memberships simulated."
        )
    return user


class HttpAnnotator:
    """One simulated annotator with a session of its own. Knows addresses and pages, not tables."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        seed: int = SEED,
        allow_ties: bool = True,
        levels: Sequence[str] = tuple(Strength),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self.seed = seed
        self.allow_ties = allow_ties
        self.levels = levels  # the strengths on offer, strongest first
        self.judged = 0
        self.client = httpx.Client(
            base_url=url, follow_redirects=True, timeout=TIMEOUT, transport=transport, trust_env=False
        )

    def work(self, *, start: str, password: str, stop: threading.Event) -> int:
        """Sign in, then judge from the page ``start`` on until nothing is left or ``stop`` is set."""
        with self.client:
            page = self.sign_in(start, password)
            while not stop.is_set() and (form := self._answer_form(page)) is not None:
                opened = time.monotonic()
                answer = self.answer(page, form)
                answer["seconds_spent"] = f"{time.monotonic() - opened:.2f}"
                page = self._send(form, answer)
                self.judged += 1
                if page.form_with("request_key") is None:  # feedback on a training item, or nothing is left
                    page = self._read(self._request("GET", start))
        return self.judged

    def sign_in(self, start: str, password: str) -> Page:
        """Ask for ``start``, which leads to the sign-in page, fill that in, and come back to ``start``."""
        page = self._read(self._request("GET", start))
        form = page.form_with("password")
        if form is None:
            raise SimulatedAnnotatorFailed(f"{start} showed no sign-in form, but: {_said(page)}")
        page = self._send(form, {**form.fields, "username": self.name, "password": password})
        if page.form_with("password") is not None:
            raise SimulatedAnnotatorFailed(f"{self.name} could not sign in: {_said(page)}")
        return page

    def answer(self, page: Page, form: Form) -> dict[str, str]:
        """The form as a browser would send it when the completions of ``page`` are ranked by the rules."""
        letters = list(page.completions)
        ranking = rank(self.name, page.turns, [page.completions[letter] for letter in letters], seed=self.seed)
        if not self.allow_ties:
            ranking = without_ties(ranking)
        answer = dict(form.fields)
        for place, group in enumerate(ranking.groups, start=1):
            for index in group:
                answer[f"rank_{letters[index]}"] = str(place)
        for gap, strength in enumerate(ranking.strengths, start=1):
            if f"strength_{gap}" in form.fields:  # not every project asks
                answer[f"strength_{gap}"] = strength if strength in self.levels else self.levels[-1]
        return answer

    def _answer_form(self, page: Page) -> Form | None:
        """The form to rank with; None when the page says that nothing is left."""
        form = page.form_with("request_key")
        if form is None and page.form_with("password") is not None:
            raise SimulatedAnnotatorFailed(f"{self.name} was signed out by the site. Start again to go on.")
        if form is not None and (len(page.completions) < 2 or not page.turns):
            raise SimulatedAnnotatorFailed(
                f"{form.action} shows {len(page.completions)} completions and {len(page.turns)} turns in its "
                "raw texts; a ranking needs two and one. Was the page's template changed?"
            )
        return form

    def _send(self, form: Form, fields: dict[str, str]) -> Page:
        # An empty action means the page itself; the address is the one after redirects.
        return self._read(self._request("POST", form.action or self.address, data=fields))

    def _request(self, method: str, address: str, **more) -> httpx.Response:
        headers = {"Referer": self.address} if method == "POST" else {}
        try:
            response = self.client.request(method, address, headers=headers, **more)
        except httpx.TransportError as error:
            raise SimulatedAnnotatorFailed(
                f"{method} {address} got no answer ({error}). Is the site running at {self.client.base_url}?"
            ) from error
        self.address = str(response.url)
        return response

    def _read(self, response: httpx.Response) -> Page:
        page = read_page(response.text)
        if response.status_code >= 400:
            raise SimulatedAnnotatorFailed(
                f"{response.request.method} {response.request.url.path} answered {response.status_code} to "
                f"{self.name}: {_said(page)}"
            )
        return page


def without_ties(ranking: Ranking) -> Ranking:
    """The same order with every tie broken, as little as can be said: negligibly better."""
    groups: list[list[int]] = []
    strengths: list[str] = []
    for group, strength_above in zip(ranking.groups, ["", *ranking.strengths], strict=True):
        for place, index in enumerate(group):
            if groups:
                strengths.append(NEGLIGIBLY if place else strength_above)
            groups.append([index])
    return Ranking(groups, strengths)


def _said(page: Page, limit: int = 300) -> str:
    """The page's own words: its alerts where it has any, else how it begins."""
    words = " ".join(page.alerts) or page.words
    return words if len(words) <= limit else f"{words[:limit]}…"
