"""How far along the queue each annotator has looked, so that no claim looks at all that they have had already.

In the memory of a process: each web process has its own, and one that forgets begins again. No database here.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

HEAD = 200  # open slots at the beginning that are looked at by every claim
WINDOW = 4_000  # open slots in one look further on: 4 to 7 ms where all of them are one's own
LOOKS = 6  # windows that one claim may look at
REST_SECONDS = 60  # between two passes over what lies behind an annotator
REMEMBERED = 20_000  # annotators in projects

clock = time.monotonic


class Place(NamedTuple):
    """A slot's place in the order of open slots: the highest priority first."""

    priority: int
    number: int
    slot: int

    def is_before(self, other: "Place") -> bool:
        return (-self.priority, *self[1:]) < (-other.priority, *other[1:])


@dataclass
class Whereabouts:
    """Where one annotator goes on in one project.

    ``ahead`` is the frontier: whatever stood before it was theirs, with others, or came back since. Passes from the
    beginning up to it find the latter; ``behind`` is how far the pass has come that is under way.
    """

    ahead: Place | None = None
    behind: Place | None = None
    next_pass: float = field(
        default_factory=lambda: clock()
    )  # at once: what was before this process began is not known
    is_unfinished: bool = False  # the last claim stopped before it had looked at everything

    def is_due(self) -> bool:
        """Whether something behind the frontier is to be looked at now."""
        return self.behind is not None or clock() >= self.next_pass

    def passed(self) -> None:
        """What lies behind was looked through: not again for a while."""
        self.behind = None
        self.next_pass = clock() + REST_SECONDS


_known: OrderedDict[tuple[int, int], Whereabouts] = OrderedDict()


def of(project_id: int, annotator_id: int) -> Whereabouts:
    """What this process remembers of this annotator in this project, beginning anew where that is nothing."""
    key = (project_id, annotator_id)
    found = _known.setdefault(key, Whereabouts())
    _known.move_to_end(key)
    while len(_known) > REMEMBERED:
        _known.popitem(last=False)
    return found
