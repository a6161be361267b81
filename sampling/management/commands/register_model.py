"""Makes a checkpoint known under a name."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from sampling import actions
from sampling.checkpoints import ModelNotUsable
from sampling.management.progress import ShellCommand, advance, bar
from sampling.models import ModelRole, ModelVersion


class Command(ShellCommand):
    help = "Register a model: a directory with config.json and *.safetensors, or a hub id."
    example = "manage.py register_model --name smollm2 --location var/models/smollm2"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="how people call it here")
        parser.add_argument("--location", required=True, help="a directory, or a hub id such as org/name")
        parser.add_argument("--role", choices=ModelRole.values, default=ModelRole.POLICY, help="default: policy")
        parser.add_argument("--parent", help="name of the version that it was trained from")
        parser.add_argument("--unpublished", action="store_true", help="a policy that may not write candidates yet")
        parser.add_argument("--notes", default="")

    def handle(
        self,
        *,
        name: str,
        location: str,
        role: str,
        parent: str | None,
        unpublished: bool,
        notes: str,
        **options: Any,
    ) -> None:
        with bar(total=None, unit="B", scale=True) as progress:
            try:
                version = actions.register_model(
                    name=name,
                    location=location,
                    role=role,
                    parent=model_named(parent) if parent else None,
                    publish=not unpublished,
                    notes=notes,
                    on_progress=lambda done, total: advance(progress, done, total=total),
                )
            except (ModelNotUsable, ValidationError) as error:
                raise CommandError(" ".join(getattr(error, "messages", [str(error)]))) from None
        weights = f"weights {version.content_hash[:12]}" if version.content_hash else "a hub id"
        self.stdout.write(f"{version.get_role_display()} {version.name} is registered: {version.location} ({weights}).")


def model_named(name: str) -> ModelVersion:
    """The version of that name; an error that lists the names there are."""
    version = ModelVersion.objects.filter(name=name).first()
    if version is None:
        names = ", ".join(ModelVersion.objects.values_list("name", flat=True)[:20]) or "none yet; see register_model"
        raise CommandError(f'There is no model "{name}". There are: {names}.')
    return version
