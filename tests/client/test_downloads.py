"""Files come whole or not at all: what broke off goes on, what changed begins anew, what is damaged is thrown away."""

import hashlib

import httpx
import pytest

from annotation.datasets.downloads import asked_range
from tests.client.client import whetstone

CONTENT = b"0123456789"
HASH = hashlib.sha256(CONTENT).hexdigest()


class Torn(httpx.SyncByteStream):
    """Breaks off behind these bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self):
        yield self.content
        raise httpx.ReadError("the connection was lost")


class Files:
    """A site with one file, that breaks off after so many bytes of each answer, in this order, and then no more."""

    def __init__(self, *breaks: int, content: bytes = CONTENT) -> None:
        self.breaks, self.content, self.ranges = list(breaks), content, []
        self.client = whetstone.Whetstone(
            "https://whetstone.example.org", "wst_x", transport=httpx.MockTransport(self._answer), sleep=self._pause,
            retries=2,
        )  # fmt: skip
        self.pauses, self.changed = 0, b""

    def _pause(self, seconds: float) -> None:
        self.pauses += 1

    def _answer(self, request: httpx.Request) -> httpx.Response:
        header = request.headers.get("Range", "")
        self.ranges.append(header)
        if self.changed and header:
            self.content = self.changed
        etag = f'"{hashlib.sha256(self.content).hexdigest()}"'
        if request.headers.get("If-Range", etag) != etag:
            header = ""
        first, last = (asked_range(header, len(self.content)) if header else None) or (0, len(self.content) - 1)
        sent = self.content[first : last + 1]
        status = 206 if header else 200
        if self.breaks:
            return httpx.Response(status, stream=Torn(sent[: self.breaks.pop(0)]))
        return httpx.Response(status, content=sent)

    def fetch(self, to, content: bytes = CONTENT):
        """Of which the site said before that it is this."""
        sha256 = hashlib.sha256(content).hexdigest()
        return self.client.models._http.save("file", to, size=len(content), sha256=sha256)


def test_a_download_that_breaks_off_goes_on_where_it_was(tmp_path):
    """3 bytes, then 4 from the third on, then the rest from the seventh on."""
    site = Files(3, 4)
    assert site.fetch(tmp_path / "new" / "train.jsonl").read_bytes() == CONTENT
    assert site.ranges == ["", "bytes=3-", "bytes=7-"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["train.jsonl"]


def test_progress_makes_the_client_patient_and_none_does_not(tmp_path):
    assert Files(1, 1, 1, 1, 1, 1).fetch(tmp_path / "patient").read_bytes() == CONTENT
    with pytest.raises(whetstone.NotReachable, match="the connection was lost"):
        Files(0, 0, 0, 0).fetch(tmp_path / "not")


def test_a_later_call_goes_on_with_what_an_earlier_one_left(tmp_path):
    with pytest.raises(whetstone.NotReachable):
        Files(6, 0, 0, 0).fetch(tmp_path / "file")
    assert (tmp_path / f"file.{HASH[:12]}.part").read_bytes() == CONTENT[:6]

    site = Files()
    assert site.fetch(tmp_path / "file").read_bytes() == CONTENT
    assert site.ranges == ["bytes=6-"]


def test_what_is_left_of_another_file_is_not_gone_on_with(tmp_path):
    with pytest.raises(whetstone.NotReachable):
        Files(6, 0, 0, 0).fetch(tmp_path / "file")
    site = Files(content=b"something else")
    assert site.fetch(tmp_path / "file", b"something else").read_bytes() == b"something else"
    assert site.ranges == [""]


def test_a_file_that_changes_in_the_middle_is_fetched_from_its_beginning(tmp_path):
    """The site then answers with the whole instead of the rest; here it is not what was announced, and thrown away."""
    site = Files(6)
    site.changed = b"something else"
    with pytest.raises(whetstone.DownloadBroken, match="14 bytes"):
        site.fetch(tmp_path / "file")


def test_a_damaged_file_is_thrown_away(tmp_path):
    with pytest.raises(whetstone.DownloadBroken, match="file arrived damaged"):
        Files(content=b"0123456788").fetch(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_not_fetched_again(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    site = Files()
    site.fetch(tmp_path / "file")
    assert site.ranges == []


def test_a_refused_download_says_why_and_leaves_nothing(tmp_path):
    def refuse(request):
        return httpx.Response(404, json={"detail": "This export has no such file."})

    site = whetstone.Whetstone("https://example.org", "wst_x", transport=httpx.MockTransport(refuse))
    with pytest.raises(whetstone.ApiError, match="no such file"):
        site.models._http.save("file", tmp_path / "file", size=10, sha256=HASH)
    assert list(tmp_path.iterdir()) == []


def test_a_busy_site_is_asked_again_for_a_file_too(tmp_path):
    answers = [httpx.Response(503), httpx.Response(200, content=CONTENT)]
    transport = httpx.MockTransport(lambda request: answers.pop(0))
    site = whetstone.Whetstone("https://example.org", "wst_x", transport=transport, sleep=lambda seconds: None)
    assert site.models._http.save("file", tmp_path / "file", size=10, sha256=HASH).read_bytes() == CONTENT
