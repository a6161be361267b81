"""Every phase that a program of ours reports is in the table that says what it counts as."""

import ast
from pathlib import Path

import pytest

from sampling.engine.phases import Kind, kind_of

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = sorted(path for folder in ("sampling/engine", "training/pipeline") for path in (ROOT / folder).rglob("*.py"))
VARIABLE = "x"


def phases_in(path: Path) -> list[str]:
    """The texts that are given as `phase=` or to `say(...)`, what varies in them replaced by one letter."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    given = [word.value for call in calls for word in call.keywords if word.arg == "phase"]
    # A method: what is called `say` and is none may print.
    saying = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "say"]
    given += [call.args[0] for call in saying if call.args]
    return [text for node in given if (text := _text(node)) and not text.startswith(VARIABLE)]


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(part.value if isinstance(part, ast.Constant) else VARIABLE for part in values)
        case _:
            return ""


@pytest.mark.parametrize("path", [path for path in PROGRAMS if phases_in(path)], ids=lambda path: path.stem)
def test_what_a_program_says_that_it_does_counts_as_something(path):
    assert [phase for phase in phases_in(path) if kind_of(phase) == Kind.OTHER] == []


def test_the_phases_are_found():
    found = {phase for path in PROGRAMS for phase in phases_in(path)}
    assert {"training", "saving", "scoring", "sampling", "starting the engine", "checking x"} <= found
