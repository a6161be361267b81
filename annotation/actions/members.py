"""Who belongs to a project, and as what. Each change is put on record."""

from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.actions.history import record
from annotation.models import JudgeKind, Membership, Project, Qualification, Role


@transaction.atomic
def add_member(
    *,
    project: Project,
    user: AbstractBaseUser,
    role: str,
    kind: str = JudgeKind.PERSON,
    groups: Iterable[str] | None = None,
    by: AbstractBaseUser | None = None,
) -> Membership:
    """Add a member, or change the role, the kind and, where given, the groups of one."""
    earlier = Membership.objects.filter(project=project, user=user).first()
    defaults = {"role": Role(role), "kind": JudgeKind(kind)}
    if groups is not None:
        defaults["groups"] = sorted(set(groups))
    membership, _ = Membership.objects.update_or_create(project=project, user=user, defaults=defaults)
    record(
        project=project, by=by, what="membership", subject=user.get_username(),
        before=_on_record(earlier), after=_on_record(membership),
    )  # fmt: skip
    return membership


@transaction.atomic
def remove_member(*, project: Project, user: AbstractBaseUser, by: AbstractBaseUser | None = None) -> None:
    """Take a membership away. Judgments stay; what was held comes back when its lease ends."""
    for membership in Membership.objects.filter(project=project, user=user):
        membership.delete()
        record(project=project, by=by, what="membership", subject=user.get_username(), before=_on_record(membership))


@transaction.atomic
def set_qualification(*, membership: Membership, state: str, by: AbstractBaseUser | None = None) -> None:
    """Pass, fail or waive a member, or let them begin anew. ``by`` None: their own answers decided."""
    before, membership.qualification = membership.qualification, Qualification(state)
    membership.save(update_fields=["qualification"])
    record(
        project=membership.project, by=by, what="qualification", subject=membership.user.get_username(),
        before=before, after=membership.qualification,
    )  # fmt: skip


def _on_record(membership: Membership | None) -> dict | None:
    if membership is None:
        return None
    return {"role": str(membership.role), "kind": str(membership.kind), "groups": list(membership.groups)}
