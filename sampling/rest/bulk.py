"""Many rows in one request, with a result for each: one bad row neither stops the others nor disappears."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError

from sampling.rest.problems import by_field

MAX_ROWS = 1000


class RowResult(serializers.Serializer):
    index = serializers.IntegerField(help_text="Which row of the request: 0 for the first.")
    status = serializers.ChoiceField(choices=["created", "known", "changed", "rejected"])
    id = serializers.JSONField(required=False, help_text="Of the row that it made or met: a number or a UUID.")
    errors = serializers.DictField(required=False, help_text="By field, of a rejected row.")


class BulkResult(serializers.Serializer):
    results = RowResult(many=True)
    counts = serializers.DictField(child=serializers.IntegerField())


def each(
    rows: list[Any], reads: Callable[[Any], serializers.Serializer], act: Callable[[dict], tuple[str, Any]]
) -> dict:
    """Check each row by the serializer that ``reads`` makes of it, then ``act``: each in a savepoint of its own.

    ``act`` gets the validated row and returns (status, id).
    """
    results = [_one(index, row, reads, act) for index, row in enumerate(rows)]
    return {"results": results, "counts": dict(Counter(result["status"] for result in results))}


def _one(index: int, row: Any, reads, act) -> dict[str, Any]:
    try:
        asked = reads(row)
        asked.is_valid(raise_exception=True)
        with transaction.atomic():
            status, pk = act(asked.validated_data)
    except ValidationError as error:
        errors = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        return {"index": index, "status": "rejected", "errors": errors}
    except DjangoValidationError as error:
        return {"index": index, "status": "rejected", "errors": by_field(error)}
    except APIException as error:
        return {"index": index, "status": "rejected", "errors": {"non_field_errors": [str(error.detail)]}}
    return {"index": index, "status": status, "id": pk}
