"""What a program's time went into, by the names of its phases: pure work, or what surrounds it.

One table for all programs, because only beside each other can it be seen that they are judged alike. Work is what
somebody would pay for; all else is overhead, and so is what nobody has named here: a new phase never flatters the
figures by being forgotten.
"""

import re
from enum import StrEnum


class Kind(StrEnum):
    """What a phase counts as; the values are what pages say."""

    WORK = "work"
    STARTING = "starting Python and importing"
    LOADING = "loading models and data"
    ENGINE = "starting an engine"
    KEEPING = "writing data, registering, judging at the gate"
    OTHER = "other"


# The program's own, which nobody reports: a worker has started it, it imports, it has not said anything, it ends.
STARTING = "starting Python"
IMPORTING = "importing"
PREPARING = "preparing"
ENDING = "ending Python"
# A worker's own, before, between and after programs.
WRITING_DATA = "writing the data"
STAGES = "stages"  # the worker follows a program, whose directory has the phases
REGISTERING = "registering the checkpoint"
GATE = "gate and model card"

# A phase is looked up by what stands after its last colon ("candidates at temperature 1: sampling"), else by how it
# begins ("measuring the old policy: everyday"); the longest beginning counts.
KINDS = {
    "training": Kind.WORK,
    "computing the reference": Kind.WORK,
    "probing": Kind.WORK,
    "saving": Kind.WORK,
    "sampling": Kind.WORK,
    "scoring": Kind.WORK,
    "judging": Kind.WORK,
    "measuring": Kind.WORK,
    "checking": Kind.WORK,
    STARTING: Kind.STARTING,
    IMPORTING: Kind.STARTING,
    ENDING: Kind.STARTING,
    PREPARING: Kind.LOADING,
    "loading": Kind.LOADING,
    "reading the prompts": Kind.LOADING,
    # Who samples in a child says for whom, and nothing else until the child's engine is up.
    "starting the engine": Kind.ENGINE,
    "candidates at temperature": Kind.ENGINE,
    "the new policy": Kind.ENGINE,
    "the old policy": Kind.ENGINE,
    "the base": Kind.ENGINE,
    "the newest published policy": Kind.ENGINE,
    "the judge": Kind.ENGINE,
    WRITING_DATA: Kind.KEEPING,
    REGISTERING: Kind.KEEPING,
    GATE: Kind.KEEPING,
}
COUNTS = re.compile(r": [\d,]+ of [\d,]+( \w+)*$")


def kind_of(phase: str) -> Kind:
    """What a phase counts as; OTHER for a name that is not in the table."""
    tail = phase.rpartition(": ")[2]
    if tail in KINDS:
        return KINDS[tail]
    beginnings = [name for name in KINDS if phase.startswith(name)]
    return KINDS[max(beginnings, key=len)] if beginnings else Kind.OTHER


def without_counts(phase: str) -> str:
    """ "measuring: 3 of 9 texts" is the phase "measuring" with its progress."""
    return COUNTS.sub("", phase)
