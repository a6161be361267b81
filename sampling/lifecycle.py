"""States, expressed once: a table of allowed transitions and one filtered UPDATE that makes them.

The bottom of every layer: it knows no table of the product.
"""

from typing import Any, ClassVar

from django.db import models


class StaleState(Exception):
    """Another process moved the row first. Normal; the loser reloads and decides again."""

    def __init__(self, row: "Lifecycle", target: str) -> None:
        super().__init__(
            f'{row._meta.verbose_name} {row.pk} cannot become "{target}" any more: it was no longer in one of the '
            f"states that lead there ({', '.join(sorted(row.sources_of(target))) or 'none'}). Reload it."
        )


class Lifecycle(models.Model):
    """A row with a state that only moves along ``TRANSITIONS``.

    Subclasses declare ``state`` (a CharField with TextChoices) and ``TRANSITIONS``: state -> states it may become.
    """

    TRANSITIONS: ClassVar[dict[str, tuple[str, ...]]] = {}

    class Meta:
        abstract = True

    @classmethod
    def sources_of(cls, target: str) -> set[str]:
        """The states from which ``target`` can be reached in one step."""
        return {str(source) for source, targets in cls.TRANSITIONS.items() if target in targets}

    def move_to(
        self, target: str, *, where: dict[str, Any] | None = None, is_locked: bool = False, **changes: Any
    ) -> None:
        """Move to ``target`` in one UPDATE that names the states it expects, and set ``changes`` with it.

        ``where`` narrows the expectation (for example to the holder of a claim). Raises StaleState when
        the row had moved meanwhile; then nothing was written. The row is read again, unless it ``is_locked`` by the
        caller, who then knows it, and ``changes`` are plain values.
        """
        updated = (
            type(self)
            ._default_manager.filter(pk=self.pk, state__in=self.sources_of(target), **(where or {}))
            .update(state=target, **changes)
        )
        if not updated:
            raise StaleState(self, target)
        if not is_locked:
            self.refresh_from_db()
            return
        for name, value in {"state": target, **changes}.items():
            setattr(self, name, value)
