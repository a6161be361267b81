"""One annotator's work taken out of use, and back again. On record in every project that they have judged in."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.actions.history import record
from annotation.models import Project, WithdrawnWork

WHAT = "withdrawn work"
REASON_CHARACTERS = WithdrawnWork._meta.get_field("reason").max_length


class WithdrawalRefused(Exception):
    """The reason is missing, too long, or holds what cannot be kept."""


@transaction.atomic
def withdraw_work(*, annotator: AbstractBaseUser, reason: str, by: AbstractBaseUser | None = None) -> WithdrawnWork:
    """From now on nothing that they have judged, or judge later, becomes data.

    Their judgments stay on record, because frozen snapshots hold them; those, and the versions that learned from them,
    are marked wherever they are shown. What is withdrawn already stays as it is. Raises WithdrawalRefused.
    """
    reason = reason.strip()
    if not reason:
        raise WithdrawalRefused("Say why: it goes on record.")
    if len(reason) > REASON_CHARACTERS:
        raise WithdrawalRefused(f"The reason has {len(reason)} characters; use at most {REASON_CHARACTERS}.")
    if "\x00" in reason:  # PostgreSQL keeps none
        raise WithdrawalRefused("The reason holds a character that cannot be kept (U+0000). Take it out.")
    work, is_new = WithdrawnWork.objects.get_or_create(annotator=annotator, defaults={"reason": reason, "by": by})
    if is_new:
        for project in projects_of(annotator):
            record(project=project, by=by, what=WHAT, subject=annotator.get_username(), after={"reason": reason})
    return work


@transaction.atomic
def restore_work(*, annotator: AbstractBaseUser, by: AbstractBaseUser | None = None) -> bool:
    """Take a withdrawal back: their judgments become data again, and no snapshot is marked. False: there was none."""
    work = WithdrawnWork.objects.select_for_update().filter(annotator=annotator).first()
    if work is None:
        return False
    work.delete()
    for project in projects_of(annotator):
        record(project=project, by=by, what=WHAT, subject=annotator.get_username(), before={"reason": work.reason})
    return True


def projects_of(annotator: AbstractBaseUser):
    """Those that they have judged in."""
    return Project.objects.filter(comparisons__judgments__annotator=annotator).distinct().order_by("name")
