"""The page behind an invitation link. Whoever holds the link may join; a GET never does."""

from django.contrib import messages
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from annotation import actions
from annotation.actions.invitations import invitation_of, must_be_usable, would_change
from annotation.models import Invitation, Role
from annotation.projects.member_forms import NewAccountForm


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Signed in: join. Signed out: sign in, or make an account and join with it."""
    invitation = invitation_of(token)
    if invitation is None:
        return _refuse(request, "This link is not valid. Look whether it is complete, or ask for a new one.", 404)
    if request.user.is_authenticated and not would_change(invitation, request.user):
        messages.info(request, f"You are a member of {invitation.project} already.")
        return redirect("annotation:annotate", invitation.project.slug)
    try:
        must_be_usable(invitation, request.user if request.user.is_authenticated else None)
        if request.user.is_authenticated:
            return _join(request, invitation)
        return _join_with_new_account(request, invitation)
    except actions.InvitationRefused as error:
        return _refuse(request, f"{error} Ask a manager of the project for another one.", 410)


def _join(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    if request.method == "GET":
        return render(request, "annotation/join.html", {"invitation": invitation})
    actions.accept_invitation(invitation=invitation, user=request.user)
    return _welcome(request, invitation)


def _join_with_new_account(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    form = NewAccountForm(request.POST or None)
    if not form.is_valid():
        context = {"invitation": invitation, "form": form}
        return render(request, "annotation/join.html", context, status=422 if form.errors else 200)
    with transaction.atomic():  # somebody else may take the last use meanwhile: then no account is left behind
        user = form.save()
        actions.accept_invitation(invitation=invitation, user=user)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return _welcome(request, invitation)


def _welcome(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    role = invitation.project.memberships.get(user=request.user).role
    verb = {Role.ANNOTATOR: "annotate", Role.REVIEWER: "review", Role.MANAGER: "manage"}[Role(role)]
    messages.success(request, f"You can now {verb} {invitation.project}.")
    return redirect("annotation:home")


def _refuse(request: HttpRequest, reason: str, status: int) -> HttpResponse:
    return render(request, "annotation/invitation_refused.html", {"reason": reason}, status=status)
