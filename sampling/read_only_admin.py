"""For administration pages that only show: what changes the rows are the actions."""

from django.http import HttpRequest


class ReadOnly:
    """Goes before ModelAdmin or an inline: nothing is added, changed or deleted there."""

    def has_add_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:
        return False
