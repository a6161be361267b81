"""A prompt's messages as they are shown: each under its role, as HTML that may stand in our page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from annotation.rendering.markdown import Rendered, render


@dataclass(frozen=True)
class Turn:
    role: str
    text: Rendered


def conversation(messages: Iterable[Mapping[str, str]]) -> list[Turn]:
    return [Turn(message["role"], render(message["content"])) for message in messages]
