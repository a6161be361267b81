"""What annotators want a manager to look at. Resolving it is the managers' side."""

from django.contrib.auth.models import AbstractBaseUser

from annotation.actions.refusals import AnswerRefused, NotYours
from annotation.models import Assignment, Flag

NOTE_CHARACTERS = Flag._meta.get_field("note").max_length


def raise_flag(*, assignment: Assignment, annotator: AbstractBaseUser, note: str) -> Flag:
    """Flag the comparison of one's own assignment. While the flag is open, another note takes the place of the first.

    Raises AnswerRefused for a note that says nothing or too much.
    """
    if assignment.annotator_id != annotator.pk:
        raise NotYours(f"Assignment {assignment.pk} belongs to another annotator.")
    note = note.strip()
    if not note:
        raise AnswerRefused("Say what is wrong, so that a manager can act on it.")
    if len(note) > NOTE_CHARACTERS:
        raise AnswerRefused(f"Your note has {len(note)} characters; use at most {NOTE_CHARACTERS}.")
    if "\x00" in note:  # PostgreSQL keeps none
        raise AnswerRefused("Your note holds a character that cannot be kept (U+0000). Take it out.")
    # update_or_create locks the row it finds, and starts anew where a double click made one first.
    flag, _ = Flag.objects.update_or_create(
        comparison_id=assignment.comparison_id, raised_by_id=annotator.pk, resolved_at=None, defaults={"note": note}
    )
    return flag
