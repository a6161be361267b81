"""Who may see the pages of the whole site: staff. What a project's members may do is annotation's to say."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django_htmx.http import HttpResponseClientRedirect


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page and back. A live part of a page takes the whole page there, instead of showing it inside."""
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    page = request.htmx.current_url_abs_path or request.get_full_path()
    return HttpResponseClientRedirect(redirect_to_login(page).url)


def staff_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Send the anonymous to the sign-in page, and answer 403 to anybody signed in who is not staff."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return to_sign_in(request)
        if not request.user.is_staff:
            raise PermissionDenied("This page is for staff. Ask an administrator for staff rights.")
        return view(request, *args, **kwargs)

    return guarded
