"""Takes an import out again: whole, or not at all where something was made of what it brought. What another import
needs too becomes that one's (handing_over.py); the words of the source go with it, as far as they are kept here.

What refers to its rows is found by the models' reverse relations, so no app above needs to be known here. The last
word has the database: a reference that is made at the same moment ends one of the two transactions, never neither.
"""

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, connection, models, router, transaction
from django.db.models import Count
from django.utils import timezone

from sampling.importing.handing_over import hand_over
from sampling.importing.hiding import seen_without_rows
from sampling.importing.stores import CannotUndo, store_class
from sampling.importing.watching import Watch
from sampling.long_tasks import TaskState
from sampling.models import Completion, DataImport, LeftOutRow, Prompt, PromptSet, SamplingRun

GoOn = Callable[[str], object]
NAMED = 5  # users of the rows that a refusal names; of more it says how many
BEFORE_UNDO = "before_undo"  # the key of DataImport.seen for how it stood when it was to be undone
OWNERS = ("project", "run", "data_import", "prompt_set")  # by what a row that stands in the way is known to people


def take_out(data_import: DataImport, watch: Watch) -> None:
    """Delete everything that the import added, and end it, in one transaction. Raises CannotUndo, or `Stop`."""
    try:
        with transaction.atomic():
            # As an import into the set does: what is being brought in now is seen, or waits and then finds us gone.
            PromptSet.objects.select_for_update(no_key=True).get(pk=data_import.prompt_set_id)
            store_class(data_import.what)(data_import).undo(watch)
            watch("checking that nothing refers to it")
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # now, for at the commit nobody could say what it is
            watch("done")
            left_out = LeftOutRow.objects.filter(data_import=data_import)
            left_out._raw_delete(left_out.db)
            seen = seen_without_rows(data_import.seen)
            seen.pop(BEFORE_UNDO, None)
            data_import.end(TaskState.FINISHED, undone_at=timezone.now(), phase="", seen=seen)
    except IntegrityError as error:
        raise CannotUndo(
            "Something began to use what this import brought while it was taken out, so nothing was: "
            f"{str(error).strip().split(chr(10))[0]}. Try again, and it will be named."
        ) from error


def take_out_prompts(data_import: DataImport, go_on: GoOn) -> None:
    """Delete the import's prompts, inside the caller's transaction. Raises CannotUndo where they are used."""
    go_on("looking for what uses its prompts")
    hand_over(Prompt, data_import)
    _refuse_while_sampling(data_import)
    _refuse_if_used(Prompt, data_import)
    go_on("taking out its prompts")
    _delete(Prompt.objects.filter(data_import=data_import))


def take_out_completions(data_import: DataImport, go_on: GoOn) -> None:
    """Delete the import's completions, inside the caller's transaction. Raises CannotUndo where they are used."""
    go_on("looking for what uses its completions")
    hand_over(Completion, data_import)
    _refuse_if_used(Completion, data_import)
    go_on("taking out its completions")
    _delete(Completion.objects.filter(data_import=data_import))


def _refuse_while_sampling(data_import: DataImport) -> None:
    if not Prompt.objects.filter(data_import=data_import).exists():
        return
    waiting = list(SamplingRun.objects.unfinished().filter(prompt_set_id=data_import.prompt_set_id)[:NAMED])
    if waiting:
        names = ", ".join(f'"{run}"' for run in waiting)
        raise CannotUndo(f"Its prompts are being answered by {names}. Cancel that, or wait for its end.")


def _refuse_if_used(model: type[models.Model], data_import: DataImport) -> None:
    """Whatever refers to the import's rows of ``model`` and would stay."""
    found = [words for relation in model._meta.related_objects for words in _users(relation, data_import)]
    if not found:
        return
    more = f", and {len(found) - NAMED} more" if len(found) > NAMED else ""
    raise CannotUndo(
        f"Its {model._meta.verbose_name_plural} are used by {', '.join(found[:NAMED])}{more}. An import is taken out "
        "as a whole or not at all: remove what uses it first, or keep it."
    )


def _users(relation: Any, data_import: DataImport) -> list[str]:
    """In words: how many rows of one model refer to the import's, by what they belong to."""
    model = relation.related_model
    rows = model._default_manager.filter(**{f"{relation.field.name}__data_import": data_import}).order_by()
    names = {field.name for field in model._meta.get_fields()}
    owners = [f"{name}_id" for name in OWNERS if name in names]
    counted = rows.values_list(*owners).annotate(count=Count("pk", distinct=True)) if owners else [(rows.count(),)]
    said = []
    for *ids, count in sorted(counted, key=lambda row: -row[-1]):
        if count:
            owner = next(((name[:-3], pk) for name, pk in zip(owners, ids, strict=True) if pk is not None), None)
            kind = model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural
            said.append(f"{count:,} {kind}{_of(model, *owner) if owner else ''}")
    return said


def _of(model: type[models.Model], name: str, pk: int) -> str:
    owner = model._meta.get_field(name).related_model
    return f' of {owner._meta.verbose_name} "{owner._default_manager.filter(pk=pk).first()}"'


def _delete(rows: models.QuerySet) -> None:
    """In one statement, without reading the rows. What refers to them is checked by the database."""
    rows._raw_delete(router.db_for_write(rows.model))
