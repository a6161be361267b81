"""Filters from an allow-list: what a view does not name is refused, not ignored."""

from django import forms
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from sampling.rest.pages import Pages

BIGGEST = 2**63 - 1
ALWAYS = {Pages.cursor_query_param, Pages.page_size_query_param}


@extend_schema_field(OpenApiTypes.BOOL)
class TrueOrFalse(filters.ChoiceFilter):
    """Nothing else: django-filter's own takes whatever it does not know for no filter at all."""

    def __init__(self, **kwargs) -> None:
        super().__init__(choices=[("true", "true"), ("false", "false")], **kwargs)

    def filter(self, rows: QuerySet, value: str) -> QuerySet:
        return super().filter(rows, value == "true") if value else rows


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": BIGGEST})
class Id(filters.NumberFilter):
    """Rows by a number, such as another row's id, that is not looked up: what there is not has none."""

    field_class = forms.IntegerField

    def __init__(self, **kwargs) -> None:
        super().__init__(min_value=1, max_value=BIGGEST, **kwargs)


class AllowListedFilters(filters.DjangoFilterBackend):
    """django-filter by the view's ``filterset_class`` or ``filterset_fields``."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: APIView) -> QuerySet:
        filterset = self.get_filterset(request, queryset, view)
        allowed = set(filterset.form.fields if filterset is not None else ()) | ALWAYS
        if unknown := sorted(set(request.query_params) - allowed):
            raise ValidationError(
                {unknown[0]: [f"There is no such filter. Choose from: {', '.join(sorted(allowed))}."]}
            )
        if nul := [name for name in request.query_params if "\0" in request.query_params[name]]:
            raise ValidationError({nul[0]: ["A NUL character cannot be searched for."]})
        empty = [
            name for name in request.query_params
            if not request.query_params[name] and name not in ALWAYS
            and not isinstance(filterset.filters[name], filters.CharFilter)
        ]  # fmt: skip
        if empty:  # django-filter takes it for no filter at all
            raise ValidationError({empty[0]: ["It is empty. Give a value, or leave it out."]})
        return super().filter_queryset(request, queryset, view)
