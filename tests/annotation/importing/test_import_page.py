"""What an import's own page knows of its judgments: the project that they are in, and what must be undone first."""

import pytest
from django.urls import reverse
from django.utils import timezone

from sampling.models import DataImport
from tests.annotation.importing.bring import an_import, bring, prefers, record

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def imported(project, name, *judgments, **store) -> DataImport:
    data_import = an_import(project, name, **store)
    stored = bring(data_import, [record(*judgments)])
    now = timezone.now()
    DataImport.objects.filter(pk=data_import.pk).update(
        doing="import", state="finished", started_at=now, finished_at=now, judgments_added=stored.judgments,
        comparisons_added=stored.comparisons,
    )  # fmt: skip
    data_import.refresh_from_db()
    return data_import


def page_of(client, data_import):
    return " ".join(client.get(data_import.get_absolute_url()).content.decode().split())


def test_judgments_of_comparisons_that_were_there_lead_to_their_project_too(staff, project):
    imported(project, "first.jsonl", prefers(0, 1, annotator="dora"))
    joined = imported(project, "second.jsonl", prefers(1, 0, annotator="erik"))
    assert (joined.comparisons_added, joined.judgments_added) == (0, 1)
    page = page_of(staff, joined)
    assert f'and the project <a href="{project.get_absolute_url()}">Capitals</a>' in page
    assert reverse("annotation:quality", args=[project.slug]) in page


def test_where_nothing_came_in_the_chosen_project_is_shown(staff, project):
    data_import = an_import(project)
    DataImport.objects.filter(pk=data_import.pk).update(state="finished", doing="look")
    assert f'and the project <a href="{project.get_absolute_url()}">Capitals</a>' in page_of(staff, data_import)


def test_a_refused_undo_leads_to_the_imports_that_are_to_be_undone_first(staff, project):
    first = imported(project, "<b>first</b>.jsonl", prefers(0, 1, annotator="dora", day=1))
    later = imported(project, "<b>later</b>.jsonl", prefers(1, 0, annotator="dora", day=2))
    link = f'<a href="{reverse("sampling:import_undo", args=[later.pk])}"><bdi>&lt;b&gt;later&lt;/b&gt;.jsonl</bdi></a>'
    assert "Undo first" not in page_of(staff, first)  # nobody asked
    undo = staff.get(reverse("sampling:import_undo", args=[first.pk])).content.decode()
    assert link in undo  # said before it is tried
    assert "Undo first" not in staff.get(reverse("sampling:import_undo", args=[later.pk])).content.decode()
    DataImport.objects.filter(pk=first.pk).update(failure="It was not undone. Later imports hold revisions.")
    assert link in page_of(staff, first)
