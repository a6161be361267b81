"""Which ids were seen, a bit each: a million prompts are an eighth of a megabyte, where a set takes sixty."""

from collections import defaultdict

_BITS = 1 << 15  # ids of one page: 4 kB


class SeenIds:
    """A set of ids that lie close together, as a table's do. No id can be taken out again."""

    def __init__(self) -> None:
        self._pages: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(_BITS // 8))

    def add(self, pk: int) -> None:
        self._pages[pk // _BITS][pk % _BITS // 8] |= 1 << pk % 8

    def __contains__(self, pk: int) -> bool:
        page = self._pages.get(pk // _BITS)
        return page is not None and bool(page[pk % _BITS // 8] >> pk % 8 & 1)
