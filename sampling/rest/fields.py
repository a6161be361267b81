"""Fields that rows are named by."""

from typing import Any

from rest_framework import serializers


class Named(serializers.SlugRelatedField):
    """A row by its name. DRF's own asks the database for whatever it is sent, also for what no text there can hold."""

    def __init__(self, slug_field: str = "name", **kwargs: Any) -> None:
        super().__init__(slug_field, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or "\0" in data or any("\ud800" <= character <= "\udfff" for character in data):
            self.fail("invalid")
        return super().to_internal_value(data)
