"""Invitation links: make one, use it, take it back. Only a link's hash is kept; each step is put on record."""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation.actions.history import record
from annotation.actions.members import add_member, one_change_at_a_time
from annotation.actions.refusals import InvitationRefused
from annotation.models import Invitation, Membership, Project, Role

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


def must_be_usable(invitation: Invitation) -> None:
    """Raise InvitationRefused unless somebody may still join by it."""
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
    invitation = Invitation.objects.select_for_update(of=["self"]).select_related("project").get(pk=invitation.pk)
    earlier = Membership.objects.filter(project=invitation.project, user=user).first()
    if earlier is not None and not would_change(invitation, user):
        return earlier
    must_be_usable(invitation)
    role, groups = _joined(earlier, invitation)
    Invitation.objects.filter(pk=invitation.pk).update(uses=F("uses") + 1)
    record(
        project=invitation.project, by=user, what="invitation", subject=f"invitation {invitation.pk}",
        before={"used": invitation.uses}, after={"used": invitation.uses + 1},
    )  # fmt: skip
    kind = {"kind": earlier.kind} if earlier else {}
    return add_member(project=invitation.project, user=user, role=role, groups=groups, by=user, **kind)


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, by: AbstractBaseUser | None = None) -> None:
    """Nobody joins by it from now on; who has joined stays. Twice is once."""
    if Invitation.objects.filter(pk=invitation.pk, revoked_at__isnull=True).update(revoked_at=Now()):
        record(
            project=invitation.project, by=by, what="invitation", subject=f"invitation {invitation.pk}",
            before="open", after="taken back",
        )  # fmt: skip
