"""The pages of imports, for staff: a source is named, looked through, brought in, and perhaps taken out again."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from sampling.access import staff_required
from sampling.curation.actions import save_filter_set
from sampling.importing import actions, import_page, rejects, showing
from sampling.importing.forgetting import KEPT_UNDONE
from sampling.importing.forms import NewImportForm, prompt_set_names, store_form
from sampling.importing.kinds import KINDS
from sampling.importing.options import Options
from sampling.intake.formats import FORMATS
from sampling.lifecycle import StaleState
from sampling.models import DataImport

IMPORTS_A_PAGE = 50
MOVED_ON = "This import has moved on meanwhile. See where it stands below."


def _one(pk: int) -> DataImport:
    return get_object_or_404(DataImport.objects.select_related("prompt_set", "created_by", "undone_by"), pk=pk)


@require_GET
@staff_required
def data_imports(request: HttpRequest) -> HttpResponse:
    rows = DataImport.objects.select_related("prompt_set", "created_by").defer("seen", "options")
    page = Paginator(rows, IMPORTS_A_PAGE).get_page(request.GET.get("page"))
    listed = [
        {
            "row": row,
            "standing": showing.standing(row),
            "added": "" if row.undone_at else showing.added(row),
            "left_out": row.rejected_count + row.filtered_count,
        }
        for row in page
    ]
    return render(request, "sampling/imports.html", {"page": page, "listed": listed})


# --- a new one --------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
@vary_on_headers("HX-Request")
def import_new(request: HttpRequest) -> HttpResponse:
    """First what is to be imported, then from where. The form carries a request key: a double click makes one."""
    what = request.GET.get("what", "")
    if what not in settings.IMPORT_STORES:
        return render(request, "sampling/import_new.html", {"kinds": _kinds(request, "")})
    initial = {"prompt_set_name": request.GET.get("set", "")}
    form = NewImportForm(request.POST or None, request.FILES or None, initial=initial)
    to_store = store_form(what, request.POST or None, initial={"project": request.GET.get("project")})
    if form.is_bound and all([form.is_valid(), to_store.is_valid()]):
        try:
            row = actions.create_import(
                what=what,
                prompt_set_name=form.cleaned_data["prompt_set_name"],
                options=Options(store=import_page.as_json(to_store.cleaned_data)),
                created_by=request.user,
                request_key=form.cleaned_data["request_key"],
                **form.source(),
            )
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            return _to(request, row)
    context = {
        "kinds": _kinds(request, what),
        "what": what,
        "form": form,
        "store_form": to_store,
        "prompt_sets": prompt_set_names(),
        "formats": [each for each in FORMATS.values() if what in each.gives],
    }
    template = "sampling/_import_new_form.html" if request.htmx else "sampling/import_new.html"
    return render(request, template, context, status=422 if form.is_bound else 200)


def _kinds(request: HttpRequest, chosen: str) -> list[dict[str, Any]]:
    """The kinds to choose from; the prompt set and the project that were asked for stay asked for."""
    asked = {name: request.GET[name] for name in ("set", "project") if request.GET.get(name)}
    return [
        {"kind": kind, "address": f"?{urlencode({'what': what, **asked})}", "is_chosen": what == chosen}
        for what, kind in KINDS.items()
        if what in settings.IMPORT_STORES
    ]


def _to(request: HttpRequest, row: DataImport) -> HttpResponse:
    """A form that htmx has sent, for the sake of its progress bar, takes the whole page to where it leads."""
    return HttpResponseClientRedirect(row.get_absolute_url()) if request.htmx else redirect(row)


# --- one import -------------------------------------------------------------------------------------------------


@require_GET
@staff_required
@vary_on_headers("HX-Request")
def data_import(request: HttpRequest, pk: int) -> HttpResponse:
    """The page, or for htmx the part of it that is alive while a worker has the import."""
    row = _one(pk)
    if request.htmx and row.is_over:
        return HttpResponseClientRedirect(row.get_absolute_url())  # the page shows more now than its live part did
    context = import_page.state(row, since=request.GET.get("since", ""))
    if request.htmx:
        return render(request, "sampling/_import_progress.html", context)
    if showing.may_be_changed(row):
        context |= import_page.settings_of(row, by_hand="columns" in request.GET)
    context |= import_page.outcome(row, request.GET)
    return render(request, "sampling/import.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
@vary_on_headers("HX-Request")
def import_settings(request: HttpRequest, pk: int) -> HttpResponse:
    """Look again with these settings; or, by its other buttons, only change the filters in the form."""
    row = _one(pk)
    if request.method != "POST":
        return redirect(row)
    if not showing.may_be_changed(row):
        messages.warning(request, MOVED_ON)
        return _to(request, row)
    posted = import_page.posted_settings(row, request.POST)
    if posted.pressed == import_page.SAVE:
        _save_filters(request, posted)
    if posted.pressed == import_page.LOOK and posted.is_valid():
        try:
            actions.change_options(data_import=row, options=posted.options())
        except ValidationError as error:
            posted.refuse(error)
        except StaleState:
            messages.warning(request, MOVED_ON)
            return _to(request, row)
        else:
            return _to(request, row)
    context = import_page.state(row) | posted.context()
    status = 422 if posted.is_refused else 200
    if request.htmx:
        return render(request, "sampling/_import_settings.html", context, status=status)
    return render(request, "sampling/import.html", context, status=status)


def _save_filters(request: HttpRequest, posted: import_page.PostedSettings) -> None:
    try:
        saved = save_filter_set(name=posted.name, steps=posted.steps, created_by=request.user)
    except ValidationError as error:
        posted.name_problem = " ".join(error.messages)
    else:
        posted.name = ""
        messages.success(request, f"The filters are saved as {saved}. They can be loaded in any import.")


@require_POST
@staff_required
def import_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Bring it in, as it was seen: a form that shows numbers says which look they are of."""
    row = _one(pk)
    shown = request.POST.get("looked_at")
    if shown and showing.may_be_changed(row) and shown != import_page.looked_at(row):
        messages.warning(request, "It was looked through again meanwhile. See the numbers once more, then import it.")
        return redirect(row)
    return _move(request, row, actions.start)


@require_POST
@staff_required
def import_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _move(request, _one(pk), actions.cancel)


@require_POST
@staff_required
def import_retry(request: HttpRequest, pk: int) -> HttpResponse:
    return _move(request, _one(pk), actions.retry)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def import_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Asked for on a page of its own, which says what will be deleted."""
    row = _one(pk)
    if request.method == "POST":
        return _move(request, row, partial(actions.undo, by=request.user))
    why_not, first = import_page.why_not_undone(row), import_page.undo_first(row)
    context = import_page.state(row) | {"why_not": why_not, "undo_first": first, "kept_undone": KEPT_UNDONE}
    return render(request, "sampling/import_undo.html", context)


def _move(request: HttpRequest, row: DataImport, action: Callable[..., object]) -> HttpResponse:
    try:
        action(data_import=row)
    except ValidationError as error:
        messages.warning(request, " ".join(error.messages))
    except StaleState:  # a second click, or somebody else's
        messages.warning(request, MOVED_ON)
    return redirect(row)


@require_GET
@staff_required
def import_rejects(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Every row that was left out, as JSON Lines: line, why, reason, content."""
    row = _one(pk)
    response = StreamingHttpResponse(rejects.lines(row), content_type="application/jsonl")
    name = slugify(Path(row.name).stem) or "import"
    response["Content-Disposition"] = f'attachment; filename="{name}-left-out.jsonl"'
    return response
