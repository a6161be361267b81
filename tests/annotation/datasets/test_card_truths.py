"""What the card says of whose preferences these are, by which guidelines and which rule; and an export of nothing."""

import pytest

from annotation.datasets import card_guidelines
from annotation.datasets.choice import Choice
from annotation.datasets.exports import ExportRefused, write_export
from annotation.datasets.freezing import freeze
from annotation.models import JudgeKind
from annotation.rules.aggregation import Aggregation
from annotation.rules.ranking import Strength
from tests.annotation.judged import judge, make_comparison, make_project

pytestmark = pytest.mark.django_db


def frozen(*projects, **more):
    ids = tuple(project.pk for project in projects)
    choice = Choice(**{"name": "june", "project_ids": ids, "kinds": (JudgeKind.PERSON,)} | more)
    return freeze(choice=choice, project=projects[0])


def card_of(snapshot, tmp_path, **more):
    return write_export(snapshot=snapshot, directory=tmp_path / "out", **more).files[-1].read_text()


def guided(project, number, text, annotator="alice"):
    version = project.guidelines_versions.create(number=number, text=text)
    judge(make_comparison(project, ["Yes.", "No."]), annotator, [[0], [1]], guidelines_version=version)
    return version


def test_the_guidelines_are_on_the_card_word_for_word_and_nothing_in_them_is_its_markdown(project, tmp_path):
    guided(project, 1, "# Be fair\r\n```python\nprint()\n```\n<b>always</b>")
    guided(project, 2, "Be kind.")
    card = card_of(frozen(project), tmp_path)
    assert "### Version 1\n\n````text\n# Be fair\n```python\nprint()\n```\n<b>always</b>\n````\n" in card
    assert "### Version 2\n\n```text\nBe kind.\n```\n" in card


def test_guidelines_are_quoted_up_to_a_length_and_a_number_and_the_card_says_so(project, tmp_path, monkeypatch):
    monkeypatch.setattr(card_guidelines, "LONGEST", 4)
    monkeypatch.setattr(card_guidelines, "MOST", 1)
    guided(project, 1, "Older.")
    guided(project, 2, "Newer.")
    card = card_of(frozen(project), tmp_path)
    assert "```text\nNewe\n```\n\nCut here" in card
    assert "1 older version is not quoted." in card
    assert "Olde" not in card


def test_guidelines_that_are_not_what_they_were_are_not_quoted(project, tmp_path):
    version = guided(project, 1, "Be fair.")
    snapshot = frozen(project)
    version.text = "Be quick."
    version.save()
    assert "Be quick." not in card_of(snapshot, tmp_path)


def test_the_card_of_several_projects_says_whose_preferences_and_guidelines_these_are(project, tmp_path):
    other = make_project("Other")
    guided(project, 1, "Be fair.")
    guided(other, 1, "Be kind.", "bob")
    card = card_of(frozen(project, other), tmp_path)
    assert "those of 2 annotators in 2 projects, each under the guidelines of its own, and of nobody else" in card
    assert "### Version 1 of other\n\n```text\nBe kind.\n```" in card
    alone = write_export(snapshot=frozen(other, name="alone"), directory=tmp_path / "alone").files[-1].read_text()
    assert "those of 1 annotator in one project, under its guidelines, and of nobody else" in alone


@pytest.mark.parametrize("layout", ["trl_preference", "helpsteer3", "sft"])
def test_the_card_of_weighed_votes_does_not_speak_of_a_majority(project, tmp_path, layout):
    for number in range(3):
        comparison = make_comparison(project, [f"Yes {number}.", f"No {number}."])
        for name in ("alice", "bob", "charlie"):
            judge(comparison, name, [[0], [1]])
    snapshot = frozen(project, aggregation=Aggregation.DAWID_SKENE)
    card = card_of(snapshot, tmp_path, layout=layout, rows="majority").split("## Rows")[1].split("| column |")[0]
    assert "is estimated to be right" in card
    assert not any(words in card for words in ("most agree", "majority", "more than half of the annotators"))


def test_an_export_without_a_row_is_refused_with_the_reason_and_leaves_nothing(project, tmp_path):
    comparison = make_comparison(project, ["Yes.", "No."])
    judge(comparison, "alice", [[0], [1]], ["slightly_better"])
    snapshot = frozen(project, min_strength=Strength.BETTER)
    for rows in ("judgment", "majority"):
        with pytest.raises(ExportRefused, match=r"no row in the layout TRL preference.*1 not strong enough.*freeze"):
            write_export(snapshot=snapshot, directory=tmp_path / "out", rows=rows)
    assert list(tmp_path.iterdir()) == []
    assert write_export(snapshot=snapshot, directory=tmp_path / "out", layout="rankings").counts["train"] == 1
