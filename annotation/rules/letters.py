"""Letters for the completions of a comparison where several people speak of them. Pure: no database here.

An annotator's letters are the places of their own order of display. A reviewer, a history and a known answer need one
naming for everybody, and a blind one: in the order of the ids one policy's completions would often be the first. So
the order is drawn once and for all from a hash of the comparison's content.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase


def fixed_letters(content_key: str, completion_ids: Iterable[int]) -> dict[int, str]:
    """Completion id -> letter, A first: the same whenever it is asked, and unrelated to who wrote what."""

    def drawn(pk: int) -> bytes:
        return hashlib.sha256(f"{content_key}:{pk}".encode()).digest()

    return dict(zip(sorted(completion_ids, key=drawn), ascii_uppercase, strict=False))


def in_letters(groups: Sequence[Sequence[int]], letters: Mapping[int, str]) -> str:
    """``B > A = C``: best first, tied ones in the letters' order."""
    return " > ".join(" = ".join(sorted(letters.get(pk, "?") for pk in group)) for group in groups)
