"""The lineage as a picture: boxes in columns, what came first on the left, and lines. No rows, no markup."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BOX_WIDTH, BOX_HEIGHT = 168, 44
GAP_X, GAP_Y = 56, 18
MARGIN = 8
LANE = 10  # between two lines that run below the boxes
MOST_CHARACTERS = 24  # what fits into a box


@dataclass(frozen=True)
class Node:
    key: str
    kind: str  # "policy", "reward", "snapshot" or "demonstrations": its colour, and a word in the box
    label: str
    href: str


@dataclass(frozen=True)
class Box:
    node: Node
    x: float
    y: float
    width = BOX_WIDTH
    height = BOX_HEIGHT

    @property
    def text_x(self) -> float:
        return self.x + 10

    @property
    def label_y(self) -> float:
        return self.y + 18

    @property
    def kind_y(self) -> float:
        return self.y + 34

    @property
    def label(self) -> str:
        """With an end cut off in the middle: the ends of names tell rounds and stages apart."""
        text = self.node.label
        if len(text) <= MOST_CHARACTERS:
            return text
        half = (MOST_CHARACTERS - 1) // 2
        return f"{text[:half]}…{text[-half:]}"


@dataclass(frozen=True)
class Line:
    path: str
    words: str  # "demo-1-sft: chosen by demo-1-reward", for a tooltip


@dataclass(frozen=True)
class Picture:
    boxes: list[Box]
    lines: list[Line]
    width: float
    height: float


def picture_of(nodes: Iterable[Node], edges: Mapping[tuple[str, str], str]) -> Picture:
    """Lay out a graph without circles: each node one column to the right of the last that it comes of.

    ``edges``: (before, after) -> how the one came of the other.
    """
    by_key = {node.key: node for node in nodes}
    befores: dict[str, list[str]] = {key: [] for key in by_key}
    for before, after in edges:
        befores[after].append(before)
    columns: dict[str, int] = {}

    def column(key: str) -> int:
        if key not in columns:
            columns[key] = 1 + max((column(before) for before in befores[key]), default=-1)
        return columns[key]

    for key in by_key:
        column(key)
    columns = _moved_to_use(befores, columns)
    boxes = _boxes(by_key, columns)
    bottom = max((box.y for box in boxes.values()), default=0) + BOX_HEIGHT
    lines, lanes = [], 0
    for (before, after), how in edges.items():
        detours = columns[after] - columns[before] > 1  # else it would run behind the boxes between
        lanes += detours
        lane = bottom + lanes * LANE if detours else None
        words = f"{by_key[after].label}: {how} {by_key[before].label}"
        lines.append(Line(_path(boxes[before], boxes[after], lane), words))
    return Picture(
        boxes=list(boxes.values()),
        lines=lines,
        width=max((box.x for box in boxes.values()), default=0) + BOX_WIDTH + MARGIN,
        height=bottom + lanes * LANE + MARGIN,
    )


def _moved_to_use(befores: Mapping[str, list[str]], columns: dict[str, int]) -> dict[str, int]:
    """What comes of nothing, such as a snapshot, stands right before what first uses it."""
    first_use: dict[str, int] = {}
    for after, keys in befores.items():
        for key in keys:
            first_use[key] = min(first_use.get(key, columns[after]), columns[after])
    return {
        key: max(place, first_use[key] - 1) if not befores[key] and key in first_use else place
        for key, place in columns.items()
    }


def _boxes(by_key: Mapping[str, Node], columns: Mapping[str, int]) -> dict[str, Box]:
    taken: dict[int, int] = {}
    boxes = {}
    for key, node in by_key.items():
        row = taken.get(columns[key], 0)
        taken[columns[key]] = row + 1
        x = MARGIN + columns[key] * (BOX_WIDTH + GAP_X)
        boxes[key] = Box(node, x, MARGIN + row * (BOX_HEIGHT + GAP_Y))
    return boxes


def _path(before: Box, after: Box, lane: float | None) -> str:
    """From the right edge of the one to the left edge of the other; by ``lane``, a height below all boxes, if any."""
    x1, y1 = before.x + BOX_WIDTH, before.y + BOX_HEIGHT / 2
    x2, y2 = after.x, after.y + BOX_HEIGHT / 2
    bend = GAP_X / 2
    if lane is None:
        return f"M{x1} {y1} C{x1 + bend} {y1}, {x2 - bend} {y2}, {x2} {y2}"
    down = f"M{x1} {y1} C{x1 + bend} {y1}, {x1} {lane}, {x1 + bend} {lane}"
    return f"{down} L{x2 - bend} {lane} C{x2} {lane}, {x2 - bend} {y2}, {x2} {y2}"
