"""Who judged elsewhere, as users of ours that stand for them: a pseudonym, nobody's password, never active.

The name that the source has is stored nowhere. A pseudonym is a keyed hash of it (HMAC-SHA256 under SECRET_KEY) and of
the project: the same name in the same project is the same annotator in any file, and in another project somebody else.
With another SECRET_KEY the names of a later import are others: whoever must change it keeps the old one for imports.
"""

from collections.abc import Iterable

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.crypto import salted_hmac

from annotation.models import Judgment, Project, WithdrawnWork

PREFIX = "imported-"
SALT = "annotation.importing.annotators"
DIGITS = 12  # hexadecimal: two of a hundred thousand annotators of a project are mixed up in one case of 50,000


def pseudonym(project: Project, name: str) -> str:
    return PREFIX + salted_hmac(SALT, f"{project.pk}:{name}", algorithm="sha256").hexdigest()[:DIGITS]


def ids_of(project: Project, names: Iterable[str]) -> dict[str, int]:
    """The users who stand for these names in this project, made where there are none. Three statements at most."""
    pseudonyms = {name: pseudonym(project, name) for name in sorted(set(names))}
    found = _by_username(pseudonyms.values())
    if missing := sorted(set(pseudonyms.values()) - found.keys()):
        User.objects.bulk_create(
            (User(username=username, password=make_password(None), is_active=False) for username in missing),
            ignore_conflicts=True,
        )
        found |= _by_username(missing)
    return {name: found[username] for name, username in pseudonyms.items()}


def _by_username(usernames: Iterable[str]) -> dict[str, int]:
    return dict(User.objects.filter(username__in=list(usernames)).values_list("username", "pk"))


def stand_ins() -> QuerySet[User]:
    """Whoever stands for somebody who judged elsewhere."""
    return User.objects.filter(username__startswith=PREFIX, is_active=False)


def remove_unused(ids: Iterable[int]) -> None:
    """Delete those of these stand-ins who have no judgment left. Whose work is withdrawn stays, that it stays so."""
    kept_by = (
        Judgment.objects.filter(annotator=OuterRef("pk")),
        WithdrawnWork.objects.filter(annotator=OuterRef("pk")),
    )
    unused = stand_ins().filter(pk__in=list(ids))
    for rows in kept_by:
        unused = unused.filter(~Exists(rows))
    unused.delete()
