"""What an import brought and others use too is theirs once it is undone: a row goes to an import that still needs it.

So two imports that share rows never stand in each other's way. Models of the apps above are found by their relations:
whatever has a ``data_import`` of its own is of an import.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from sampling.models import DataImport

COUNTED = {"prompt": "prompts_added", "completion": "completions_added", "comparison": "comparisons_added",
           "judgment": "judgments_added"}  # fmt: skip


def hand_over(model: type[models.Model], data_import: DataImport) -> None:
    """Give the import's rows of ``model`` that rows of other imports refer to, to the first of these.

    Inside the caller's transaction, which holds the lock of the prompt set: no import uses others meanwhile.
    """
    owners = [_users(relation, data_import) for relation in model._meta.related_objects if _is_of_imports(relation)]
    if owners:
        give(model._default_manager.filter(data_import=data_import), owners)


def give(rows: models.QuerySet, owners: Iterable[models.QuerySet]) -> None:
    """``owners``: for each row, the ids of imports that need it, in their order; none: it stays whose it is.

    What the new owners have added is counted as theirs: it is what undoing them will delete.
    """
    found = [Subquery(each[:1]) for each in owners]
    owner = Coalesce(*found) if len(found) > 1 else found[0]
    given = rows.order_by().annotate(new_owner=owner).filter(new_owner__isnull=False)
    counts = Counter(dict(given.values_list("new_owner").annotate(count=models.Count("pk"))))
    given.update(data_import_id=owner)
    column = COUNTED[rows.model._meta.model_name]
    for pk, count in sorted(counts.items()):
        DataImport.objects.filter(pk=pk).update(**{column: F(column) + count})


def _is_of_imports(relation: Any) -> bool:
    return any(field.name == "data_import" for field in relation.related_model._meta.get_fields())


def _users(relation: Any, data_import: DataImport) -> models.QuerySet:
    rows = relation.related_model._default_manager.filter(
        **{relation.field.name: OuterRef("pk")}, data_import__isnull=False
    )
    return rows.exclude(data_import=data_import).order_by("pk").values("data_import")
