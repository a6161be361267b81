"""Samples completions, here and now, without a worker."""

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from sampling import actions
from sampling.actions import NothingToSample
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.management.commands.register_model import model_named
from sampling.management.progress import ShellCommand, advance, bar
from sampling.models import PromptSet, SamplingRun, Split

PARAMETERS = ("n", "temperature", "top_p", "max_tokens", "seed", "split", "prompt_limit", "name")


class Command(ShellCommand):
    help = "Let one or more models answer the prompts of a set. Ctrl-C keeps what is sampled; --run goes on with it."
    example = "manage.py sample --set everyday --model smollm2 --n 4 --max-tokens 128"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--set", dest="prompt_set", help="name of the prompt set")
        parser.add_argument("--model", action="append", default=[], help="name of a model; may be given several times")
        parser.add_argument("--run", type=int, help="go on with this run, unless it is finished or running")
        parser.add_argument("--n", type=int, default=4, help="completions per prompt and model (default 4)")
        parser.add_argument("--temperature", type=float, default=1.0, help="default 1.0")
        parser.add_argument("--top-p", type=float, default=1.0, help="default 1.0")
        parser.add_argument("--max-tokens", type=int, default=256, help="default 256")
        parser.add_argument("--seed", type=int, default=17, help="default 17")
        parser.add_argument("--split", choices=Split.values, default="", help="only this split (default: both)")
        parser.add_argument("--limit", type=int, dest="prompt_limit", help="only the first so many prompts")
        parser.add_argument("--name", default="", help="name of the run")

    def handle(self, *, run: int | None, prompt_set: str | None, model: list[str], **options: Any) -> None:
        sampling_run = self._earlier(run) if run else self._new(prompt_set, model, options)
        try:
            with bar(total=sampling_run.total, unit="completion") as progress:
                actions.execute_sampling_run(
                    run=sampling_run,
                    on_progress=lambda done, total, phase: advance(progress, done, total=total, phase=phase),
                )
        except StaleState:
            raise CommandError(f"Run {sampling_run.pk} is being done by a worker. Watch it on its page.") from None
        except KeyboardInterrupt:
            raise CommandError(
                f"Cancelled. Its {sampling_run.done} completions are kept; "
                f"manage.py sample --run {sampling_run.pk} goes on with it."
            ) from None
        self._say_how_it_ended(sampling_run)

    def _say_how_it_ended(self, run: SamplingRun) -> None:
        if run.state != TaskState.FINISHED:
            so_far = f"with {run.done} of {run.total} completions"
            raise CommandError(f"Run {run.pk} {run.get_state_display()} {so_far}. {run.failure}".strip())
        speed = f", {run.tokens_per_second:.0f} tokens/s" if run.tokens_per_second else ""
        left_out = f", {len(run.skipped)} prompts left out" if run.skipped else ""
        self.stdout.write(f'Run {run.pk} finished: {run.done} completions of "{run.prompt_set}"{left_out}{speed}.')

    def _earlier(self, pk: int) -> SamplingRun:
        run = SamplingRun.objects.filter(pk=pk).first()
        if run is None:
            raise CommandError(f"There is no sampling run {pk}.")
        try:
            run.reclaim()
        except StaleState:
            raise CommandError(f"Run {pk} is {run.why_not_reclaimed()}.") from None
        return run

    def _new(self, set_name: str | None, models: list[str], options: dict[str, Any]) -> SamplingRun:
        if not set_name or not models:
            raise CommandError("Give --set and --model for a new run, or --run for an earlier one.")
        prompt_set = PromptSet.objects.filter(name=set_name).first()
        if prompt_set is None:
            names = ", ".join(PromptSet.objects.values_list("name", flat=True)[:20]) or "none yet; see import_prompts"
            raise CommandError(f'There is no prompt set "{set_name}". There are: {names}.')
        try:
            return actions.create_sampling_run(
                prompt_set=prompt_set,
                policies=[model_named(name) for name in models],
                request_key=uuid.uuid4(),
                enqueue=False,  # this process does the work
                **{name: options[name] for name in PARAMETERS},
            )
        except NothingToSample as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(
                " ".join(f"{name}: {' '.join(said)}" for name, said in error.message_dict.items())
            ) from None
