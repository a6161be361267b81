"""What the client sends, sends again, and makes of bad answers: against a server that is made up."""

import httpx
import pytest

from tests.client.client import whetstone

URL = "https://whetstone.example.org"


class Site:
    """Answers in this order, the last one again and again; keeps what was asked and how long was paused."""

    def __init__(self, *answers) -> None:
        self.answers, self.asked, self.pauses = list(answers), [], []
        self.client = whetstone.Whetstone(
            URL, "wst_x", transport=httpx.MockTransport(self._answer), sleep=self.pauses.append, retries=3
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("Idempotency-Key") for request in self.asked]


def page(*rows, next=None) -> httpx.Response:
    return httpx.Response(200, json={"results": list(rows), "next": next, "previous": None})


def problem(status: int, detail: str, **more) -> httpx.Response:
    content = {"type": "urn:whetstone:problem:x", "title": "No", "status": status, "detail": detail, **more}
    return httpx.Response(status, json=content, headers={"Content-Type": "application/problem+json"})


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_site_is_asked_again_after_growing_pauses(status):
    site = Site(*[httpx.Response(status)] * 3, httpx.Response(200, json={"id": 1}))

    assert site.client.models.get(1) == {"id": 1}

    # Each pause is drawn from the upper half of 0.5, 1, 2 seconds.
    assert [0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(site.pauses)] == [True] * 3
    assert {str(request.url) for request in site.asked} == {f"{URL}/api/models/1/"}
    assert site.asked[0].headers["Authorization"] == "Bearer wst_x"


def test_it_pauses_as_long_as_the_site_asks_for_but_not_for_ever():
    busy = [httpx.Response(503, headers={"Retry-After": seconds}) for seconds in ("7", "86400")]
    site = Site(*busy, httpx.Response(200, json={}))
    site.client.models.get(1)
    assert site.pauses == [7.0, 20.0]


def test_a_change_has_one_key_for_all_its_attempts_and_the_next_change_another():
    site = Site(httpx.ReadTimeout("slow"), httpx.Response(502), httpx.Response(201, json={"id": 1}))

    site.client.prompt_sets.create("june")
    site.client.prompt_sets.create("july")

    first, again, third, other = site.keys
    assert first == again == third != other
    assert None not in site.keys


def test_an_attempt_that_is_still_at_work_is_waited_for():
    """Its answer was lost, so the site says to the next attempt that the same request is being carried out."""
    site = Site(
        httpx.ReadTimeout("slow"), problem(409, "It is being carried out."), httpx.Response(201, json={"id": 1})
    )
    assert site.client.prompt_sets.create("june") == {"id": 1}


def test_so_it_is_behind_a_proxy_that_gave_up():
    site = Site(httpx.Response(502), problem(409, "It is being carried out."), httpx.Response(201, json={"id": 1}))
    assert site.client.prompt_sets.create("june") == {"id": 1}


def test_any_other_conflict_is_told_at_once():
    site = Site(problem(409, "The run is finished."))
    with pytest.raises(whetstone.ApiError, match="409: The run is finished") as refused:
        site.client.sampling_runs.cancel(1)
    assert (refused.value.status, len(site.asked)) == (409, 1)


def test_a_failure_of_the_site_is_not_asked_for_twice():
    site = Site(problem(500, "Something went wrong here."))
    with pytest.raises(whetstone.ApiError, match="Something went wrong"):
        site.client.models.get(1)
    assert len(site.asked) == 1


def test_a_refusal_names_each_field():
    site = Site(problem(400, "The input is not usable.", errors={"n": ["At most 64."], "policies": ["None is there."]}))
    with pytest.raises(whetstone.ApiError) as refused:
        site.client.sampling_runs.launch(prompt_set="june", policies=[], n=65)
    assert refused.value.errors == {"n": ["At most 64."], "policies": ["None is there."]}
    assert str(refused.value) == "400: The input is not usable.\n  n: At most 64.\n  policies: None is there."


def test_what_a_proxy_says_instead_is_told_in_its_words():
    with pytest.raises(whetstone.ApiError, match="502 Bad Gateway"):
        Site(httpx.Response(502, html="<h1>Bad Gateway</h1>")).client.models.get(1)


def test_no_answer_at_all_names_the_address():
    site = Site(httpx.ConnectError("refused"))
    with pytest.raises(whetstone.NotReachable, match=f"{URL}.*refused.*Is the address right"):
        site.client.models.get(1)
    assert len(site.asked) == 1 + 3


def test_another_website_is_not_taken_for_the_api():
    with pytest.raises(whetstone.NotReachable, match="not Whetstone's API"):
        Site(httpx.Response(200, html="<h1>Welcome</h1>")).client.models.get(1)


def test_a_redirect_is_not_followed_with_the_token():
    moved = httpx.Response(301, headers={"Location": "https://elsewhere.example/api/models/1/"})
    with pytest.raises(whetstone.NotReachable, match="leads to https://elsewhere"):
        Site(moved).client.models.get(1)


def test_pages_are_followed_by_their_cursor_and_never_to_another_address():
    site = Site(
        page({"id": 3}, {"id": 2}, next="http://inside:8000/api/models/?cursor=abc%3D&role=policy&page_size=200"),
        page({"id": 1}),
    )
    assert [model["id"] for model in site.client.models.all(role="policy", is_published=True)] == [3, 2, 1]
    assert [str(request.url) for request in site.asked] == [
        f"{URL}/api/models/?page_size=200&role=policy&is_published=true",
        f"{URL}/api/models/?cursor=abc%3D&role=policy&page_size=200",
    ]


def test_rows_are_fetched_only_as_far_as_they_are_looked_at():
    site = Site(page({"id": 2}, next=f"{URL}/api/models/?cursor=a"))
    assert site.client.models.one(name="june") == {"id": 2}
    assert len(site.asked) == 1


def test_a_row_that_is_not_there_is_a_lookup_error():
    with pytest.raises(LookupError, match=r"nothing at models/ with name='june'"):
        Site(page()).client.models.one(name="june")


def test_many_rows_go_in_parts_and_keep_their_places():
    """2,500 rows: requests of 1,000, 1,000 and 500; the last row of each is bad: 999, 1,999 and 2,499."""

    def reject_the_last(request):
        rows = whetstone.json.loads(request.content)["rows"]
        return httpx.Response(200, json={"results": [{"index": len(rows) - 1, "status": "rejected"}], "counts": {}})

    site = Site(reject_the_last)
    results = site.client.prompts.add("june", (f"Prompt {number}" for number in range(2500)))
    assert [result["index"] for result in results] == [999, 1999, 2499]
    assert len(set(site.keys)) == 3


def test_long_rows_go_in_smaller_parts():
    """Three prompts of three million characters: two would pass eight million bytes with the third."""
    site = Site(lambda request: httpx.Response(200, json={"results": [], "counts": {}}))
    site.client.prompts.add("june", ["x" * 3_000_000] * 3)
    assert [len(whetstone.json.loads(request.content)["rows"]) for request in site.asked] == [2, 1]


def states(*rows):
    return [httpx.Response(200, json={"id": 1, "name": "june", "failure": "", **row}) for row in rows]


def test_waiting_tells_how_far_it_is():
    site = Site(*states({"state": "queued"}, {"state": "running", "done": 2}, {"state": "finished", "done": 4}))
    seen = []
    done = site.client.sampling_runs.wait(1, on_progress=lambda run: seen.append(run["state"]))
    assert done["done"] == 4
    assert seen == ["queued", "running", "finished"]


@pytest.mark.parametrize(
    ("row", "words"),
    [({"state": "failed", "failure": "No disk."}, "No disk."), ({"state": "cancelled"}, "june was cancelled.")],
)
def test_what_ends_badly_is_raised_in_the_words_of_the_site(row, words):
    with pytest.raises(whetstone.TaskFailed) as failed:
        Site(*states(row)).client.sampling_runs.wait({"id": 1})
    assert str(failed.value) == words
    assert failed.value.task["id"] == 1


def test_a_timeout_ends_the_waiting_and_nothing_else():
    site = Site(*states({"state": "running"}))
    with pytest.raises(TimeoutError, match="goes on"):
        site.client.sampling_runs.wait(1, timeout=0)
    assert {request.method for request in site.asked} == {"GET"}


def test_ctrl_c_ends_the_waiting_and_nothing_else():
    site = Site(*states({"state": "running"}))

    def interrupt(seconds):
        raise KeyboardInterrupt

    site.client.sampling_runs._http.sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        site.client.sampling_runs.wait(1)
    assert {request.method for request in site.asked} == {"GET"}


def test_address_and_token_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("WHETSTONE_URL", URL)
    monkeypatch.setenv("WHETSTONE_TOKEN", "wst_y")
    with whetstone.Whetstone() as site:
        assert repr(site) == f"Whetstone('{URL}')"
        assert site._client.headers["Authorization"] == "Bearer wst_y"


def test_without_a_token_it_says_where_they_are_made(monkeypatch):
    monkeypatch.delenv("WHETSTONE_TOKEN", raising=False)
    with pytest.raises(whetstone.WhetstoneError, match=f"{URL}/tokens/"):
        whetstone.Whetstone(URL)


def test_what_is_no_address_is_told_at_once():
    with pytest.raises(whetstone.WhetstoneError, match="no address of a site"):
        whetstone.Whetstone("localhost:8000", "wst_x")
