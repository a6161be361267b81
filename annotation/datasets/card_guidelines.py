"""The guidelines that judgments were given by, as the card of an export quotes them."""

import hashlib
import re
from dataclasses import dataclass

from annotation.models import DatasetSnapshot, GuidelinesVersion

LONGEST = 20_000  # characters of one version; no guidelines that people read before judging are longer
MOST = 10  # versions, the newest of each project first
_FENCES = re.compile(r"`{3,}")


@dataclass(frozen=True)
class Quoted:
    """``title``: "Version 3 of demo"; ``text``: fenced, so that nothing in it is Markdown of the card."""

    title: str
    text: str
    is_cut: bool


def quoted_guidelines(snapshot: DatasetSnapshot) -> tuple[list[Quoted], int]:
    """Each version's text, and how many more versions there are; nothing of a snapshot from before it was kept.

    A text is known by its hash, which is frozen with the snapshot: what is quoted is what was read then.
    """
    frozen = [tuple(version) for version in snapshot.settings.get("guidelines", [])]
    newest = sorted(frozen, key=lambda version: (-version[1], version[0]))[:MOST]
    found = GuidelinesVersion.objects.filter(project__in=snapshot.projects.all(), number__in=[n for _, n, _ in newest])
    texts = {hashlib.sha256(text.encode()).hexdigest(): text for text in found.values_list("text", flat=True)}
    is_of_several = len({slug for slug, _, _ in frozen}) > 1
    quoted = [
        _quoted(f"Version {number}{f' of {slug}' if is_of_several else ''}", texts[digest])
        for slug, number, digest in sorted(newest)
        if texts.get(digest, "").strip()
    ]
    return quoted, len(frozen) - len(newest)


def _quoted(title: str, text: str) -> Quoted:
    shown = "\n".join(text[:LONGEST].splitlines())  # one kind of line end, whoever typed it
    fence = "`" * max([2, *map(len, _FENCES.findall(shown))])
    return Quoted(title, f"{fence}`text\n{shown}\n{fence}`", len(text) > LONGEST)
