"""The administration's view: what it may change."""

import pytest
from django.urls import reverse
from django.utils import timezone

from sampling.models import ModelRole, ModelVersion


@pytest.fixture
def version(db):
    return ModelVersion.objects.create(name="withheld", role=ModelRole.POLICY, location="org/withheld")


def test_nothing_is_published_without_a_record(admin_client, version):
    address = reverse("admin:sampling_modelversion_change", args=[version.pk])
    assert "published_at" not in admin_client.get(address).context["adminform"].form.fields
    now = timezone.now()
    told = {"name": "renamed", "notes": "", "published_at_0": f"{now:%Y-%m-%d}", "published_at_1": f"{now:%H:%M:%S}"}
    assert admin_client.post(address, told).status_code == 302
    version.refresh_from_db()
    assert (version.name, version.published_at) == ("renamed", None)
