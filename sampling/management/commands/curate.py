"""Runs saved filters over a prompt set, here and now, without a worker."""

import json
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from sampling.curation import actions
from sampling.curation.actions import CurationFailed
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.management.progress import ShellCommand, advance, bar
from sampling.models import Curation, FilterSet, PromptSet


class Command(ShellCommand):
    help = (
        "Say what each filter removes of a prompt set and, with --into, keep what is left as a new set. Ctrl-C keeps "
        "what is copied; the same command again goes on with it."
    )
    example = "manage.py curate --set everyday --filters 'short English' --into 'everyday, short'"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--set", required=True, dest="prompt_set", help="name of the prompt set")
        filters = parser.add_mutually_exclusive_group(required=True)
        filters.add_argument("--filters", help="name of saved filters")
        filters.add_argument("--steps", type=Path, metavar="FILE", help='JSON: [{"filter": "turns", "most": 1}, ...]')
        parser.add_argument("--into", default="", metavar="NAME", help="name of the new set; without it, only look")
        parser.add_argument("--seed", type=int, default=17, help="default 17")

    def handle(
        self, *, prompt_set: str, filters: str | None, steps: Path | None, into: str, seed: int, **options: Any
    ) -> None:
        source = _named(PromptSet, "prompt set", prompt_set)
        told = _read(steps) if steps else _named(FilterSet, "set of filters", filters).steps
        curation = self._begun(source, told, into, seed)
        if curation.state != TaskState.FINISHED:
            self._run(curation)
        self._tell(curation)

    def _begun(self, source: PromptSet, steps: list[dict[str, Any]], into: str, seed: int) -> Curation:
        """A new run; or the one that these very words began before, if it was to be kept."""
        told = json.dumps([source.pk, steps, into, seed], sort_keys=True)
        key = uuid.uuid5(uuid.NAMESPACE_OID, told) if into else uuid.uuid4()
        try:
            return actions.create_curation(
                prompt_set=source, steps=steps, new_name=into, seed=seed, request_key=key, enqueue=False
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None

    def _run(self, curation: Curation) -> None:
        try:
            with bar(total=None, unit="prompt") as progress:
                actions.curate_now(
                    curation=curation,
                    on_progress=lambda now: advance(progress, now.done, total=now.total, phase=now.phase),
                )
        except CurationFailed as error:
            raise CommandError(str(error)) from None
        except StaleState:
            raise CommandError(f"It is {curation.why_not_reclaimed()}.") from None
        except KeyboardInterrupt:
            raise CommandError("Cancelled. The same command again goes on with it.") from None

    def _tell(self, curation: Curation) -> None:
        report = curation.report
        for step in report["filters"]:
            gist = f" ({step['gist']})" if step["gist"] else ""
            changed = f", changes {step['changed']:,}" if step["changed"] else ""
            self.stdout.write(f"{step['label']}{gist}: removes {step['removed']:,} of {step['seen']:,}{changed}")
        left = f"{report['left']:,} of {report['rows']:,} prompts are left"
        if curation.made is None:
            self.stdout.write(f"{left}; nothing was kept.")
            return
        same = f"; {report['same']:,} of them became equal to another" if report["same"] else ""
        self.stdout.write(f'{left}, kept as "{curation.made}"{same}.')


def _named(model: type, what: str, name: str | None) -> Any:
    found = model.objects.filter(name=name).first()
    if found is None:
        names = ", ".join(model.objects.values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f'There is no {what} "{name}". There are: {names}.')
    return found


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise CommandError(f"{file} is no JSON: {error}.") from None
