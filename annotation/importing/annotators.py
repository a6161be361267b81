"""Who judged elsewhere, as users of ours that stand for them: a pseudonym, nobody's password, never active.

A pseudonym is a keyed hash of the source's name (HMAC-SHA256 under PSEUDONYM_KEY) and of the project: the same name in
the same project is the same annotator in any file, and in another project somebody else. The name itself is kept
with no judgment, and in what is shown and left out of a source the columns that are known to hold it are replaced, as
are columns that were mapped to it (sampling/importing/hiding.py). It stays in an uploaded file until that is deleted
(forgetting.py), and wherever somebody wrote it into a text: a rationale, a completion, metadata, the reason why a row
was left out. With another PSEUDONYM_KEY the names of a later import are others: whoever must change it keeps the old
one for imports.
"""

import re
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.crypto import constant_time_compare, salted_hmac

from annotation.models import Judgment, Project, WithdrawnWork

PREFIX = "imported-"
SALT = "annotation.importing.annotators"
DIGITS = 12  # hexadecimal: two of a hundred thousand annotators of a project are mixed up in one case of 50,000


NAMED = "named:"  # how a name of the source begins here, so that it is none of those of people without a name
STAND_IN = re.compile(rf"(?:{NAMED})?{PREFIX}([0-9a-f]{{12}})-([0-9a-f]{{12}})")


def pseudonym(project: Project, name: str) -> str:
    """Of a name; or the one that a stand-in of this project's rows says."""
    if (found := STAND_IN.fullmatch(name)) and constant_time_compare(_seal(project, found[1]), found[2]):
        return PREFIX + found[1]
    return PREFIX + _hash(SALT, project, name)


def stand_in(project: Project, name: str) -> str:
    """For rows that are kept as left out: imported again into this project, they are the same annotator's."""
    digits = pseudonym(project, NAMED + name).removeprefix(PREFIX)
    return f"{PREFIX}{digits}-{_seal(project, digits)}"


def _seal(project: Project, digits: str) -> str:
    """That this project's pseudonym was given here: elsewhere, the same text is a name like any other."""
    return _hash(f"{SALT}.stand_in", project, digits)


def _hash(salt: str, project: Project, text: str) -> str:
    said = f"{project.pk}:{text}"
    return salted_hmac(salt, said, secret=settings.PSEUDONYM_KEY, algorithm="sha256").hexdigest()[:DIGITS]


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
