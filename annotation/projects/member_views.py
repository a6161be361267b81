"""Who belongs to a project, and the links by which people join."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation import actions
from annotation.access import manager_required
from annotation.models import Membership, Project, Purpose, Qualification
from annotation.projects.member_forms import InvitationForm, MemberForm, MembershipForm


def _new_link(project: Project) -> str:
    """Where a link is kept in the session from its making until it is shown, on its own project's page."""
    return f"new_invitation:{project.pk}"


@never_cache
@require_http_methods(["GET", "POST"])
@manager_required
def members(request: HttpRequest, project: Project) -> HttpResponse:
    form = MemberForm(request.POST or None)
    if form.is_valid() and _add(request, project, form):
        return redirect("annotation:members", project.slug)
    return _render_members(request, project, form, _new_invitation_form())


def _add(request: HttpRequest, project: Project, form: MemberForm) -> bool:
    chosen = {name: form.cleaned_data[name] for name in ("role", "kind", "groups")}
    try:
        membership = actions.add_member(project=project, user=form.user, by=request.user, **chosen)
    except actions.MembersRefused as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, f"{form.user} is {membership.get_role_display()} of this project.")
    return True


@never_cache
@require_http_methods(["GET", "POST"])
@manager_required
def member(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """One member: role, kind, groups, qualification."""
    membership = get_object_or_404(project.memberships.select_related("user"), pk=pk)
    form = MembershipForm(request.POST or None, instance=membership)
    if form.is_valid():
        try:
            actions.add_member(project=project, user=membership.user, by=request.user, **form.cleaned_data)
        except actions.MembersRefused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{membership.user}: saved.")
            return redirect("annotation:members", project.slug)
    context = {
        "project": project,
        "may_manage": True,
        "membership": Membership.objects.select_related("user", "guidelines_read").get(pk=pk),
        "form": form,
        "must_qualify": _has_qualification_set(project),
    }
    return render(request, "annotation/member.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@manager_required
def member_remove(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    membership = get_object_or_404(project.memberships.select_related("user"), pk=pk)
    if request.method == "GET":
        context = {"project": project, "membership": membership, "is_you": membership.user == request.user}
        return render(request, "annotation/member_remove.html", context)
    try:
        actions.remove_member(project=project, user=membership.user, by=request.user)
    except actions.MembersRefused as error:
        messages.error(request, str(error))
        return redirect("annotation:members", project.slug)
    messages.success(request, f"{membership.user} is no longer a member. What they judged stays.")
    is_still_manager = request.user.is_staff or membership.user != request.user
    return redirect("annotation:members", project.slug) if is_still_manager else redirect("annotation:home")


@require_POST
@manager_required
def member_qualification(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Waive the qualification of a member, or let them try again."""
    membership = get_object_or_404(project.memberships.select_related("user", "project"), pk=pk)
    match request.POST.get("state"):
        case Qualification.WAIVED:
            actions.set_qualification(membership=membership, state=Qualification.WAIVED, by=request.user)
            messages.success(request, f"{membership.user} may work without qualifying.")
        case Qualification.PENDING:
            actions.set_qualification(membership=membership, state=Qualification.PENDING, by=request.user)
            messages.success(request, f"{membership.user} begins the qualification anew.")
        case _:
            messages.error(request, "That is no state that a manager sets. Waive it, or let them try again.")
    return redirect("annotation:member", project.slug, pk)


@require_POST
@manager_required
def invitation_new(request: HttpRequest, project: Project) -> HttpResponse:
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _render_members(request, project, MemberForm(), form)
    invitation, token = actions.create_invitation(project=project, by=request.user, **form.settings())
    link = request.build_absolute_uri(reverse("annotation:join", args=[token]))
    request.session[_new_link(project)] = {"pk": invitation.pk, "link": link}
    return redirect(reverse("annotation:members", args=[project.slug]) + "#invitations")


@require_http_methods(["GET", "POST"])
@manager_required
def invitation_revoke(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    invitation = get_object_or_404(project.invitations, pk=pk)
    if request.method == "GET":
        context = {"project": project, "invitation": invitation}
        return render(request, "annotation/invitation_revoke.html", context)
    actions.revoke_invitation(invitation=invitation, by=request.user)
    messages.success(request, "The link is taken back: nobody joins by it any more.")
    return redirect(reverse("annotation:members", args=[project.slug]) + "#invitations")


def _render_members(request, project: Project, form: MemberForm, invitation_form: InvitationForm) -> HttpResponse:
    context = {
        "project": project,
        "may_manage": True,
        "form": form,
        "invitation_form": invitation_form,
        "memberships": project.memberships.select_related("user").order_by("role", "user__username"),
        "invitations": project.invitations.select_related("created_by")[:50],
        "now": timezone.now(),
        "must_qualify": _has_qualification_set(project),
        "new_link": request.session.pop(_new_link(project), None),  # shown once: only its hash is kept
    }
    status = 422 if form.errors or invitation_form.errors else 200
    return render(request, "annotation/members.html", context, status=status)


def _new_invitation_form() -> InvitationForm:
    return InvitationForm(initial={"request_key": uuid.uuid4()})


def _has_qualification_set(project: Project) -> bool:
    return project.comparisons.filter(purpose=Purpose.QUALIFICATION, withdrawn_at__isnull=True).exists()
