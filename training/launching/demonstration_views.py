"""The pages of demonstrations: the sets with the form that imports one, and one set."""

import itertools
import uuid
from pathlib import Path
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from sampling.access import staff_required
from sampling.engine.run_dir import read_json_lines
from training import actions
from training.actions.demonstrations import MAX_NAME
from training.models import DemonstrationSet

# A web process reads some 40 MB a second; a larger file would keep the browser waiting past its patience.
MAX_UPLOAD_BYTES = 200_000_000
SETS_A_PAGE = 50
REJECTED_A_PAGE = 50
SHOWN = 5  # conversations


class ImportForm(forms.Form):
    name = forms.CharField(max_length=MAX_NAME, help_text="How people call the set here.")
    file = forms.FileField(
        help_text='JSON Lines, a conversation a line: {"messages": [...]}, or "prompt" and "completion". It ends with '
        "the assistant.",
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["request_key"].initial = uuid.uuid4()

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_UPLOAD_BYTES:
            raise forms.ValidationError(
                f"The file has {file.size / 1e6:,.0f} MB; {MAX_UPLOAD_BYTES / 1e6:,.0f} MB is the most for an upload. "
                "Import it on the shell: manage.py import_demonstrations FILE --name NAME."
            )
        return file


@require_http_methods(["GET", "POST"])
@staff_required
def demonstration_sets(request: HttpRequest) -> HttpResponse:
    """The sets, newest first, and the form; a good one leads to the set with what was left out."""
    form = ImportForm(request.POST or None, request.FILES or None)
    if form.is_valid() and (imported := _imported(request, form)):
        return redirect(imported)
    sets = DemonstrationSet.objects.defer("rejected").select_related("created_by")
    page = Paginator(sets, SETS_A_PAGE).get_page(request.GET.get("page"))
    status = 422 if form.is_bound else 200
    return render(request, "training/demonstration_sets.html", {"form": form, "page": page}, status=status)


@require_GET
@staff_required
def demonstration_set(request: HttpRequest, pk: int) -> HttpResponse:
    of_set = get_object_or_404(DemonstrationSet.objects.select_related("created_by"), pk=pk)
    page = Paginator(of_set.rejected, REJECTED_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "set": of_set,
        "page": page,
        "unlisted": of_set.rejected_count - len(of_set.rejected),
        "conversations": [row["messages"] for row in itertools.islice(read_json_lines(Path(of_set.location)), SHOWN)],
        "rounds": of_set.rounds.all()[:20],
    }
    return render(request, "training/demonstration_set.html", context)


def _imported(request: HttpRequest, form: ImportForm) -> DemonstrationSet | None:
    file = form.cleaned_data["file"]
    try:
        return actions.import_demonstrations(
            name=form.cleaned_data["name"],
            file=file,
            file_name=file.name,
            created_by=request.user,
            request_key=form.cleaned_data["request_key"],
        )
    except ValidationError as error:
        form.add_error(None, error)
        return None
