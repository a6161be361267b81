"""Which rows a user may see through the API: by the same rules as the pages. What is not among them is not found."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import REVIEWING, may_manage, may_review
from annotation.models import Membership, Project, Role
from sampling.rest.views import Resource

User = AbstractBaseUser | AnonymousUser
Projects = Callable[[User], QuerySet[Project]]


def projects(user: User, roles: Iterable[str] = Role.values) -> QuerySet[Project]:
    """Every project for staff, else those in which the user has one of these roles."""
    if user.is_staff:
        return Project.objects.all()
    return Project.objects.filter(pk__in=Membership.objects.filter(user=user.pk, role__in=roles).values("project"))


def reviewed(user: User) -> QuerySet[Project]:
    return projects(user, REVIEWING)


def managed(user: User) -> QuerySet[Project]:
    return projects(user, [Role.MANAGER])


def must_manage(request: Request, project: Project) -> None:
    if not may_manage(request.user, project):
        raise PermissionDenied("Only a manager of this project may do this.")


def must_review(request: Request, project: Project) -> None:
    if not may_review(request.user, project):
        raise PermissionDenied("Only a reviewer or a manager of this project may do this.")


def to_filter_by(among: Projects = projects) -> Callable[[Request | None], QuerySet[Project]]:
    """For a filter's choices: the projects that the asker may name."""

    def choices(request: Request | None) -> QuerySet[Project]:
        return among(request.user) if request is not None and request.user.is_authenticated else Project.objects.none()

    return choices


class ProjectResource(Resource):
    """Rows that belong to projects: ``project_path`` leads to theirs, ``seen_in`` says of which projects."""

    project_path = "project"
    seen_in = staticmethod(managed)

    def get_queryset(self) -> QuerySet:
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False) or self.request.user.is_staff:
            return rows
        return rows.filter(**{f"{self.project_path}__in": self.seen_in(self.request.user).values("pk")})

    def asked(self, serializer: type[serializers.Serializer]) -> dict[str, Any]:
        """What was sent, checked."""
        found = serializer(data=self.request.data, context=self.get_serializer_context())
        found.is_valid(raise_exception=True)
        return dict(found.validated_data)


class ManagedProject(serializers.PrimaryKeyRelatedField):
    """A project that the asker manages, by its id."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("queryset", Project.objects.all())
        super().__init__(pk_field=serializers.IntegerField(), **kwargs)

    def get_queryset(self) -> QuerySet[Project]:
        request = self.context.get("request")
        return managed(request.user) if request is not None else super().get_queryset()
