"""Invitation links: make one, use it. Only a link's hash is kept; each step is put on record."""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation.actions.history import record
from annotation.actions.members import add_member, one_change_at_a_time
from annotation.actions.refusals import InvitationRefused
from annotation.models import Invitation, Membership, Project, ProjectChange, Role

RANKS = (Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER)  # who is more keeps it when joining as less


@transaction.atomic
def create_invitation(
    *,
    project: Project,
    role: str,
    expires_at: datetime,
    max_uses: int = 1,
    groups: Iterable[str] = (),
    request_key: uuid.UUID,
    by: AbstractBaseUser | None = None,
) -> tuple[Invitation, str]:
    """The invitation and the link's secret part, which is nowhere else. The same ``request_key`` is the same link."""
    # Of the request, by the site's own key: so a double click makes one link, and nobody else can make it.
    token = salted_hmac("annotation.invitation", f"{project.pk}:{request_key}", algorithm="sha256").hexdigest()[:48]
    invitation, is_new = Invitation.objects.get_or_create(
        token_hash=_hash(token),
        defaults={
            "project": project, "role": Role(role), "groups": sorted(set(groups)), "max_uses": max_uses,
            "expires_at": expires_at, "created_by": by,
        },
    )  # fmt: skip
    if is_new:
        record(
            project=project, by=by, what="invitation", subject=f"invitation {invitation.pk}",
            after={
                "role": str(role), "groups": list(invitation.groups), "uses": max_uses,
                "valid_until": f"{expires_at.astimezone(UTC):%d %b %Y, %H:%M} UTC",
            },
        )  # fmt: skip
    return invitation, token


def invitation_of(token: str) -> Invitation | None:
    return Invitation.objects.select_related("project", "created_by").filter(token_hash=_hash(token)).first()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def must_be_usable(invitation: Invitation, user: AbstractBaseUser | None = None) -> None:
    """Raise InvitationRefused unless somebody may still join by it, and where a ``user`` is given, unless they may."""
    if invitation.revoked_at is not None:
        raise InvitationRefused("This invitation was taken back.")
    if invitation.expires_at <= timezone.now():
        raise InvitationRefused(f"This invitation ran out on {invitation.expires_at:%d %B %Y at %H:%M} UTC.")
    if invitation.uses >= invitation.max_uses:
        raise InvitationRefused(
            "This invitation was used by somebody already."
            if invitation.max_uses == 1
            else f"This invitation was used {invitation.uses} times, which is as often as it may be."
        )
    if invitation.created_by and not _may_invite(invitation.created_by, invitation.project):
        raise InvitationRefused("Who made this invitation does not manage the project any more.")
    if user is not None and _had_more_since(invitation, user):
        raise InvitationRefused("A manager changed what you may do here after this invitation was made.")


def _may_invite(user: AbstractBaseUser, project: Project) -> bool:
    manages = project.memberships.filter(user=user, role=Role.MANAGER)
    return user.is_active and (user.is_staff or manages.exists())


def _had_more_since(invitation: Invitation, user: AbstractBaseUser) -> bool:
    """Whether this user was removed, or was made less, since it was made: an older link must not undo that.

    The record says so; of who is no member any more there is nothing else.
    """
    since = ProjectChange.objects.filter(
        project=invitation.project, what="membership", subject=user.get_username(), at__gte=invitation.created_at
    )
    return any(_is_less(before, after) for before, after in since.values_list("before", "after"))


def _is_less(before: dict[str, Any] | None, after: dict[str, Any] | None) -> bool:
    if before is None or after is None:
        return after is None
    return RANKS.index(after["role"]) < RANKS.index(before["role"]) or not set(before["groups"]) <= set(after["groups"])


def would_change(invitation: Invitation, user: AbstractBaseUser) -> bool:
    """Whether joining by it gives this user anything that they do not have in the project."""
    found = Membership.objects.filter(project=invitation.project_id, user=user).first()
    return found is None or _joined(found, invitation) != (found.role, sorted(found.groups))


def _joined(earlier: Membership | None, invitation: Invitation) -> tuple[str, list[str]]:
    """Role and groups after joining: never less than before."""
    if earlier is None:
        return invitation.role, sorted(invitation.groups)
    role = max(Role(earlier.role), Role(invitation.role), key=RANKS.index)
    return role.value, sorted({*earlier.groups, *invitation.groups})


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: AbstractBaseUser) -> Membership:
    """Make the user a member. Joining twice is joining once and costs one use. Raises InvitationRefused."""
    one_change_at_a_time(invitation.project)
    # Locked: two people at once must not both take the last use.
    links = Invitation.objects.select_for_update(of=["self"])
    invitation = links.select_related("project", "created_by").get(pk=invitation.pk)
    earlier = Membership.objects.filter(project=invitation.project, user=user).first()
    if earlier is not None and not would_change(invitation, user):
        return earlier
    must_be_usable(invitation, user)
    role, groups = _joined(earlier, invitation)
    Invitation.objects.filter(pk=invitation.pk).update(uses=F("uses") + 1)
    record(
        project=invitation.project, by=user, what="invitation", subject=f"invitation {invitation.pk}",
        before={"used": invitation.uses}, after={"used": invitation.uses + 1},
    )  # fmt: skip
    kind = {"kind": earlier.kind} if earlier else {}
    return add_member(project=invitation.project, user=user, role=role, groups=groups, by=user, **kind)
