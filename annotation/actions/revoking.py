"""Take invitation links back: one of them, or all that somebody made who may not invite any more."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from annotation.actions.history import record
from annotation.models import Invitation, Project


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, by: AbstractBaseUser | None = None) -> None:
    """Nobody joins by it from now on; who has joined stays. Twice is once."""
    if Invitation.objects.filter(pk=invitation.pk, revoked_at__isnull=True).update(revoked_at=Now()):
        record(
            project=invitation.project, by=by, what="invitation", subject=f"invitation {invitation.pk}",
            before="open", after="taken back",
        )  # fmt: skip


def revoke_invitations_of(*, project: Project, maker: AbstractBaseUser, by: AbstractBaseUser | None) -> None:
    """For who manages the project no longer: by a link they would be back, or somebody would in their name."""
    if maker.is_staff:  # who manages every project, member or not
        return
    still_open = Invitation.objects.filter(
        project=project, created_by=maker.pk, revoked_at__isnull=True, expires_at__gt=Now(), uses__lt=F("max_uses")
    )
    for invitation in still_open.select_related("project"):
        revoke_invitation(invitation=invitation, by=by)
