"""The table at the end of the demo. Pure: it turns figures into lines of text."""

from collections.abc import Sequence

Rows = Sequence[tuple[str, str]]


def render(title: str, rows: Rows) -> str:
    """Two columns under a title, as wide as they need to be."""
    left = max(len(name) for name, _ in rows)
    right = max(len(value) for _, value in rows)
    line = "+" + "-" * (left + 2) + "+" + "-" * (right + 2) + "+"
    body = [f"| {name:<{left}} | {value:<{right}} |" for name, value in rows]
    return "\n".join([title, line, *body, line])
