"""manage.py import_judgments: judgments made elsewhere, from the shell."""

import json

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Comparison, Judgment, Project
from sampling.importing.actions import DataImport

pytestmark = pytest.mark.django_db


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"{number}?", "chosen": f"yes {number}", "rejected": "no"} for number in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_it_brings_judgments_into_a_project(pairs, project, capsys):
    call_command("import_judgments", str(pairs), "--set", "elsewhere", "--project", project.slug)
    out = capsys.readouterr().out
    assert "3 prompts, 6 completions, 3 comparisons, 3 judgments added" in out
    assert set(Comparison.objects.values_list("project", flat=True)) == {project.pk}
    assert {judgment.kind for judgment in Judgment.objects.all()} == {"imported"}

    call_command("import_judgments", str(pairs), "--set", "elsewhere", "--project", project.slug)
    assert "no judgments added" in capsys.readouterr().out
    assert Judgment.objects.count() == 3


def test_it_makes_a_project_that_fits(pairs, capsys):
    call_command("import_judgments", str(pairs), "--set", "elsewhere", "--new-project", "Elsewhere")
    assert Project.objects.get().comparisons.count() == 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Choose a project, or give a name"),
        (["--project", "none"], 'no project "none". Projects: '),
        (["--project", "capitals", "--new-project", "x"], "one of the two"),
    ],
)
def test_it_says_which_project_it_needs(pairs, project, argv, message):
    with pytest.raises(CommandError) as refused:
        call_command("import_judgments", str(pairs), "--set", "elsewhere", *argv)
    assert message in str(refused.value)
    assert not DataImport.objects.exists()
