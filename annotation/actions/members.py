"""Who belongs to a project, and as what. Each change is put on record."""

from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.actions.history import record
from annotation.actions.refusals import LastManager
from annotation.actions.revoking import revoke_invitations_of
from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    JudgeKind,
    Membership,
    Project,
    Qualification,
    Role,
)


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
    """Add a member, or change the role, the kind and, where given, the groups of one.

    Who stops managing has their open invitations taken back. Who comes back after a removal qualifies anew. Raises
    LastManager where that would leave the project without a manager.
    """
    one_change_at_a_time(project)
    earlier = Membership.objects.filter(project=project, user=user).first()
    if earlier and role != Role.MANAGER:
        _must_not_be_last_manager(earlier)
    defaults = {"role": Role(role), "kind": JudgeKind(kind)}
    if groups is not None:
        defaults["groups"] = sorted(set(groups))
    membership, _ = Membership.objects.update_or_create(project=project, user=user, defaults=defaults)
    record(
        project=project, by=by, what="membership", subject=user.get_username(),
        before=_on_record(earlier), after=_on_record(membership),
    )  # fmt: skip
    if earlier is None:
        _take_back_answers(membership)
    elif role != Role.MANAGER:
        revoke_invitations_of(project=project, maker=user, by=by)
    return membership


@transaction.atomic
def remove_member(*, project: Project, user: AbstractBaseUser, by: AbstractBaseUser | None = None) -> None:
    """Take a membership away. Judgments stay; what was held comes back when its lease ends. Their open
    invitations are taken back.

    Raises LastManager where that would leave the project without a manager.
    """
    one_change_at_a_time(project)
    for membership in Membership.objects.filter(project=project, user=user):
        _must_not_be_last_manager(membership)
        membership.delete()
        record(project=project, by=by, what="membership", subject=user.get_username(), before=_on_record(membership))
        revoke_invitations_of(project=project, maker=user, by=by)


def one_change_at_a_time(project: Project) -> None:
    """Let other changes of members wait: two managers who remove each other would both be the last but one."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _must_not_be_last_manager(membership: Membership) -> None:
    if membership.role != Role.MANAGER:
        return
    others = Membership.objects.filter(project=membership.project_id, role=Role.MANAGER).exclude(pk=membership.pk)
    if not others.exists():
        raise LastManager(
            f"{membership.user.get_username()} is the only manager of this project. Make somebody else a manager first."
        )


@transaction.atomic
def set_qualification(*, membership: Membership, state: str, by: AbstractBaseUser | None = None) -> None:
    """Pass, fail or waive a member, or let them begin anew. ``by`` None: their own answers decided."""
    # Locked: of two who decide at once, the second one's record begins with what the first one said.
    locked = Membership.objects.select_for_update(no_key=True)
    before = locked.values_list("qualification", flat=True).get(pk=membership.pk)
    membership.qualification = Qualification(state)
    membership.save(update_fields=["qualification"])
    record(
        project=membership.project, by=by, what="qualification", subject=membership.user.get_username(),
        before=before, after=membership.qualification,
    )  # fmt: skip
    if membership.qualification == Qualification.PENDING:
        _take_back_answers(membership)


def _take_back_answers(membership: Membership) -> None:
    """For a new attempt: the judgments stay on record, but the items count as not answered and come again."""
    Assignment.objects.filter(
        comparison__project=membership.project_id,
        annotator=membership.user_id,
        purpose=AssignmentPurpose.QUALIFICATION,
    ).update(state=AssignmentState.EXPIRED)


def _on_record(membership: Membership | None) -> dict | None:
    if membership is None:
        return None
    return {"role": str(membership.role), "kind": str(membership.kind), "groups": list(membership.groups)}
