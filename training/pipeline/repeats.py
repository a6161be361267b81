"""Whether a text says the same over and over. No torch: pages ask it too."""

from collections import Counter


def repeats_itself(text: str, *, words: int = 4, times: int = 3) -> bool:
    """Whether some run of four words comes three times or more."""
    said = text.lower().split()
    runs = Counter(tuple(said[i : i + words]) for i in range(len(said) - words + 1))
    return max(runs.values(), default=0) >= times
