"""One's own API tokens: the list, a new one (shown once), revoking one. For everybody who is signed in."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sampling.rest.token_form import TokenForm
from sampling.rest.tokens import create_token, revoke_token


@require_GET
@login_required
def api_tokens(request: HttpRequest) -> HttpResponse:
    context = {"tokens": request.user.api_tokens.all(), "now": timezone.now()}
    return render(request, "sampling/api_tokens.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def api_token_new(request: HttpRequest) -> HttpResponse:
    """The form; a good one is answered with the token itself, which no other page ever shows."""
    form = TokenForm(request.POST or None)
    if form.is_valid():
        token, text = create_token(user=request.user, **form.cleaned_data)
        return render(request, "sampling/api_token_made.html", {"token": token, "text": text}, status=201)
    return render(request, "sampling/api_token_new.html", {"form": form}, status=422 if form.is_bound else 200)


@require_POST
@login_required
def api_token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(request.user.api_tokens, pk=pk)
    revoke_token(token=token)
    messages.success(request, f'"{token}" is revoked: from now on it opens nothing.')
    return redirect("sampling:api_tokens")


@require_GET
@login_required
def api_client(request: HttpRequest) -> FileResponse:
    """The Python client, which is one file: it fits this site."""
    path = settings.BASE_DIR / "docs" / "client" / "whetstone.py"
    return FileResponse(path.open("rb"), as_attachment=True, content_type="text/x-python; charset=utf-8")
