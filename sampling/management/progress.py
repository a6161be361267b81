"""How a command of this project looks on the shell: an example under --help, a bar, and one line at the end."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, DjangoHelpFormatter
from tqdm import tqdm


class _HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leaves the example on its line, to be copied."""


class ShellCommand(BaseCommand):
    """A command with an ``example`` that ``--help`` shows as it stands."""

    example = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> argparse.ArgumentParser:
        epilog = f"example:\n  {self.example}"
        return super().create_parser(prog_name, subcommand, epilog=epilog, formatter_class=_HelpFormatter, **kwargs)


def bar(*, total: int | None, unit: str, scale: bool = False, phase: str | None = None) -> tqdm:
    """A bar with rate and remaining time on stderr; silent where stderr is not a terminal, as in a log."""
    hidden = not sys.stderr.isatty()
    return tqdm(total=total, unit=unit, unit_scale=scale, desc=phase, disable=hidden, dynamic_ncols=True)


def advance(progress: tqdm, done: int, *, total: int | None = None, phase: str = "") -> None:
    """Set a bar to ``done``, whatever it showed before."""
    if total is not None:
        progress.total = total
    if phase:
        progress.set_description_str(phase, refresh=False)
    progress.update(done - progress.n)
    progress.refresh()
