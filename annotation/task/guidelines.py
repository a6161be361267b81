"""The guidelines as an annotator meets them: the version in force, and what changed since they last read them."""

from functools import lru_cache
from typing import Any

from annotation.models import Membership, Project
from annotation.rendering.characters import spell_out
from annotation.rendering.markdown import render
from annotation.rules.diff import Piece, word_diff


def guidelines_shown(project: Project, membership: Membership | None) -> dict[str, Any] | None:
    """For the page: html, version, whether it is new to this member, and the changes; None where there is no text.

    Whoever is no member (staff) reads along and is not asked whether they have.
    """
    version = project.guidelines_version
    if version is None or not version.text:
        return None
    is_new = membership is not None and membership.guidelines_read_id != version.pk
    earlier = membership.guidelines_read if is_new else None
    return {
        "html": render(version.text).html,
        "version": version.number,
        "is_new": is_new,
        "changes": list(changes_between(earlier.text, version.text)) if earlier else None,
    }


@lru_cache(maxsize=64)
def changes_between(old: str, new: str) -> tuple[Piece, ...]:
    """Word by word, of the markdown as it was written. Kept: the same two are asked for with every comparison."""
    return tuple(word_diff(spell_out(old), spell_out(new)))
