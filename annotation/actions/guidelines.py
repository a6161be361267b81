"""Who has read which version of the guidelines."""

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q

from annotation.models import GuidelinesVersion, Membership, Project


def mark_guidelines_read(*, project: Project, user: AbstractBaseUser, version: GuidelinesVersion) -> bool:
    """Keep the newest version that a member says they have read; whether it was newer than what they had read."""
    if version.project_id != project.pk:
        raise ValueError(f"Guidelines version {version.pk} is of another project.")
    members = Membership.objects.filter(project=project, user=user.pk)
    older = Q(guidelines_read__isnull=True) | Q(guidelines_read__number__lt=version.number)
    return bool(members.filter(older).update(guidelines_read=version))
