"""Lays out which model came from which as rows and columns of a picture. Knows parents and nothing else of a model.

A version's main heir stays in its column, side branches step to the right, so that a hundred rounds are one straight
line and not a hundred columns.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

ROW_HEIGHT = 34
COLUMN_WIDTH = 22
LABEL_WIDTH = 420  # forty characters and what is said beside them


class Version(Protocol):
    """What the layout needs to know of a model version."""

    pk: int
    parent_id: int | None


@dataclass(frozen=True)
class Node:
    """One version in the picture: its place, and the line to its parent (empty for an imported one)."""

    version: Version
    row: int
    column: int
    line: str

    @property
    def x(self) -> int:
        return self.column * COLUMN_WIDTH + COLUMN_WIDTH // 2

    @property
    def y(self) -> int:
        return self.row * ROW_HEIGHT + ROW_HEIGHT // 2


@dataclass(frozen=True)
class Lineage:
    """The whole picture."""

    nodes: list[Node]

    @property
    def height(self) -> int:
        return len(self.nodes) * ROW_HEIGHT

    @property
    def width(self) -> int:
        return self.label_x + LABEL_WIDTH

    @property
    def label_x(self) -> int:
        return (max((node.column for node in self.nodes), default=0) + 1) * COLUMN_WIDTH + 8


def lay_out(versions: Iterable[Version]) -> Lineage:
    """Place every version below its parent. A version whose parent is not among them stands as an imported one."""
    by_id = {version.pk: version for version in versions}
    children: dict[int | None, list[Version]] = defaultdict(list)
    for pk in sorted(by_id):
        parent = by_id[pk].parent_id
        children[parent if parent in by_id else None].append(by_id[pk])
    heights = _heights(by_id, children)
    nodes: list[Node] = []
    places: dict[int, Node] = {}
    # Not recursive: the line of heirs is as long as the project is old. (version, column), next one last.
    waiting = [(root, 0) for root in reversed(children[None])]
    while waiting:
        version, column = waiting.pop()
        node = Node(version, len(nodes), column, _line(places.get(version.parent_id), len(nodes), column))
        nodes.append(node)
        places[version.pk] = node
        heirs = sorted(children[version.pk], key=lambda child: (heights[child.pk], child.pk))
        if heirs:
            waiting.append((heirs[-1], column))  # the longest line: below all side branches
            waiting += [(side, column + 1) for side in reversed(heirs[:-1])]
    return Lineage(nodes)


def _heights(by_id: dict[int, Version], children: dict[int | None, list[Version]]) -> dict[int, int]:
    """How many generations follow each version. A parent is older than its children, so its id is smaller."""
    heights: dict[int, int] = {}
    for pk in sorted(by_id, reverse=True):
        heights[pk] = max((heights.get(child.pk, 0) + 1 for child in children[pk]), default=0)
    return heights


def _line(parent: Node | None, row: int, column: int) -> str:
    if parent is None:
        return ""
    here = Node(parent.version, row, column, "")
    if column == parent.column:
        return f"M{parent.x} {parent.y} V{here.y}"
    return f"M{parent.x} {parent.y} V{here.y - 8} Q{parent.x} {here.y} {parent.x + 8} {here.y} H{here.x}"
