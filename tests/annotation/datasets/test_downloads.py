"""Downloads that go on where they broke off."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from annotation.datasets.downloads import RangeNotSatisfiable, asked_range, file_response

CONTENT = bytes(range(256)) * 1000  # 256,000 bytes: several pieces
SHA = "ab" * 32


@pytest.fixture
def path(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(CONTENT)
    return tmp_path / "train.jsonl"


def answer(path, method="get", **headers):
    request = getattr(RequestFactory(), method)("/", headers={name.replace("_", "-"): v for name, v in headers.items()})
    return file_response(request, path, name="june, größer.jsonl", content_type="application/x-ndjson", sha256=SHA)


def test_the_whole_file_says_how_it_can_be_gone_on_with(path):
    response = answer(path)
    assert (response.status_code, response.getvalue()) == (200, CONTENT)
    assert response["Content-Length"] == "256000"
    assert (response["Accept-Ranges"], response["ETag"]) == ("bytes", f'"{SHA}"')
    assert "gr%C3%B6%C3%9Fer.jsonl" in response["Content-Disposition"]


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100000-", 100_000, 255_999), ("bytes=-10", 255_990, 255_999),
     ("bytes=255999-999999", 255_999, 255_999), ("bytes=-999999", 0, 255_999)],
)  # fmt: skip
def test_a_part_is_answered_with_that_part(path, header, first, last):
    response = answer(path, range=header)
    assert (response.status_code, response.getvalue()) == (206, CONTENT[first : last + 1])
    assert response["Content-Range"] == f"bytes {first}-{last}/256000"
    assert response["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("header", ["bytes=256000-", "bytes=-0", "bytes=999999-1000000"])
def test_a_part_behind_the_end_is_refused_with_the_size(path, header):
    response = answer(path, range=header)
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */256000")


@pytest.mark.parametrize(
    "header", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-9", "bytes=0-1,5-9", "bytes=" + "9" * 40]
)
def test_what_is_no_range_or_several_is_answered_with_the_whole(path, header):
    response = answer(path, range=header)
    assert (response.status_code, response.getvalue()) == (200, CONTENT)


def test_a_part_is_sent_only_of_the_file_that_the_reader_began_with(path):
    same = answer(path, range="bytes=10-19", if_range=f'"{SHA}"')
    assert (same.status_code, same.getvalue()) == (206, CONTENT[10:20])
    other = answer(path, range="bytes=10-19", if_range='"another"')
    assert (other.status_code, other.getvalue()) == (200, CONTENT)


def test_who_has_it_is_not_sent_it_again(path):
    response = answer(path, if_none_match=f'W/"{SHA}"')
    assert isinstance(response, HttpResponse)
    assert (response.status_code, response.content) == (304, b"")


def test_a_head_says_the_size_and_sends_nothing(path):
    for headers, status, length in (({}, 200, "256000"), ({"range": "bytes=0-9"}, 206, "10")):
        response = answer(path, "head", **headers)
        assert (response.status_code, response["Content-Length"], response.content) == (status, length, b"")


@pytest.mark.django_db  # the end of a response closes connections
def test_the_file_is_closed_when_the_reader_goes_away(path, monkeypatch):
    opened = path.open("rb")
    monkeypatch.setattr(type(path), "open", lambda *_: opened)
    response = answer(path)
    assert CONTENT.startswith(next(iter(response)))
    response.close()
    assert opened.closed


def test_of_an_empty_file_there_is_no_part():
    with pytest.raises(RangeNotSatisfiable):
        asked_range("bytes=0-", 0)
    with pytest.raises(RangeNotSatisfiable):
        asked_range("bytes=-5", 0)
