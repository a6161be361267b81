"""manage.py import_demonstrations."""

import io

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tulu.jsonl"
    path.write_text('{"prompt": "Why?", "completion": "So."}\nbad\n{"prompt": "How?", "completion": "So."}\n')
    return path


def run(file, name="tulu") -> tuple[str, str]:
    out, told = io.StringIO(), io.StringIO()
    call_command("import_demonstrations", str(file), name=name, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def test_it_says_what_it_did_and_lists_the_bad_lines(file):
    out, told = run(file)
    assert out == '2 conversations in "tulu", 1 lines left out.\n'
    assert told.startswith("line 2: Not JSON")


def test_the_same_file_twice_is_one_set(file):
    run(file)
    assert run(file, name="other")[0].startswith('2 conversations in "tulu" (imported before, as "tulu")')


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        run(tmp_path / "nowhere.jsonl")


def test_a_file_without_a_conversation_is_told(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(CommandError, match="The file is empty"):
        run(tmp_path / "empty.jsonl")
