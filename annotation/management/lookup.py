"""Find what a command's arguments name, or say what there is."""

from django.core.management.base import CommandError

from annotation.models import DatasetSnapshot, Project


def project_by_slug(slug: str) -> Project:
    """Raises CommandError that lists the slugs that there are."""
    found = Project.objects.filter(slug=slug).first()
    if found is None:
        slugs = ", ".join(Project.objects.values_list("slug", flat=True)) or "none; make one in the browser"
        raise CommandError(f'There is no project "{slug}". Projects: {slugs}.')
    return found


def snapshot_by_name(project: str, name: str) -> DatasetSnapshot:
    """Raises CommandError that lists the project's snapshots."""
    found = project_by_slug(project)
    snapshot = found.snapshots.filter(name=name).first()
    if snapshot is None:
        names = ", ".join(found.snapshots.values_list("name", flat=True)) or "none; freeze one first"
        raise CommandError(f'Project "{project}" has no snapshot "{name}". Snapshots: {names}.')
    return snapshot
