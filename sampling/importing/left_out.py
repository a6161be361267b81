"""The rows that an import left out, a page of them, and which reasons there are to narrow them by."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Func, QuerySet, TextField, Value

from sampling.models import DataImport, LeftOut, LeftOutRow

ROWS_A_PAGE = 25
REASONS_SHOWN = 12
COUNTED_ROWS = 200_000  # reasons are counted over the first so many: a bounded time for any file
WORDS = {LeftOut.REJECTED: "not usable", LeftOut.FILTERED: "removed by a filter"}


@dataclass(frozen=True)
class Choice:
    words: str
    query: str  # of an address: "why=rejected&reason=..."
    count: int
    is_chosen: bool


@dataclass(frozen=True)
class Listing:
    page: Page
    whys: list[Choice]
    reasons: list[Choice]
    query: str  # for the links to other pages
    is_narrowed: bool


def listing(row: DataImport, *, why: str, reason: str, page: Any) -> Listing:
    """``reason``: as `_alike` makes them, without figures and quoted words; anything unknown finds nothing."""
    why, reason = why if why in LeftOut.values else "", reason.replace("\0", "")
    found = row.left_out.filter(**({"why": why} if why else {}))
    reasons = _reasons(found, why, reason)
    if reason:
        found = found.annotate(alike=_alike()).filter(alike=reason)
    query = urlencode({name: value for name, value in (("why", why), ("reason", reason)) if value})
    return Listing(
        page=Paginator(found, ROWS_A_PAGE).get_page(page),
        whys=_whys(row, why),
        reasons=reasons,
        query=f"&{query}" if query else "",
        is_narrowed=bool(query),
    )


def _whys(row: DataImport, chosen: str) -> list[Choice]:
    counts = {LeftOut.REJECTED: row.rejected_count, LeftOut.FILTERED: row.filtered_count}
    each = [Choice(WORDS[why], f"why={why}", counts[why], chosen == why) for why in LeftOut if counts[why]]
    return [Choice("all", "", sum(counts.values()), not chosen), *each] if len(each) > 1 else []


def _reasons(found: QuerySet[LeftOutRow], why: str, chosen: str) -> list[Choice]:
    first = LeftOutRow.objects.filter(pk__in=found.order_by("line").values("pk")[:COUNTED_ROWS])
    counted = first.annotate(alike=_alike()).order_by().values("alike").annotate(count=Count("pk"))
    most = counted.order_by("-count", "alike")[:REASONS_SHOWN].values_list("alike", "count")
    part = [("why", why)] if why else []
    reasons = [Choice(alike, urlencode([*part, ("reason", alike)]), count, alike == chosen) for alike, count in most]
    return reasons if len(reasons) > 1 or chosen else []


def _alike() -> Func:
    """The reason without its figures and what it quotes of the row, by which like reasons are found together."""
    without_quotes = _replaced(F("reason"), r"\([^()]*\)", "(...)")
    return _replaced(without_quotes, r"[0-9][0-9,.]*[0-9]|[0-9]", "#")


def _replaced(expression: Any, pattern: str, by: str) -> Func:
    parts = (expression, Value(pattern), Value(by), Value("g"))
    return Func(*parts, function="regexp_replace", output_field=TextField())
