"""Who belongs to a project, and the links by which people join; for its managers."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import actions
from annotation.api import visible
from annotation.models import Invitation, JudgeKind, Membership, Qualification, Role
from annotation.projects.groups_field import LONGEST
from annotation.projects.member_forms import InvitationForm
from sampling.rest.fields import Named
from sampling.rest.filtering import TrueOrFalse
from sampling.rest.problems import Conflict

MOST_GROUPS = 20
# Nobody judges here as an imported annotator.
STATES = [Qualification.WAIVED.value, Qualification.PENDING.value]
KINDS = [(kind.value, kind.label) for kind in JudgeKind if kind != JudgeKind.IMPORTED]


def _groups(**more: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=LONGEST), max_length=MOST_GROUPS, **more)


class MemberShown(serializers.ModelSerializer):
    username = serializers.CharField(source="user.username")
    groups = serializers.ListField(child=serializers.CharField())
    guidelines_read = serializers.IntegerField(
        source="guidelines_read.number", default=None, allow_null=True, help_text="The newest version that they read."
    )

    class Meta:
        model = Membership
        fields = [
            "id", "project", "username", "role", "kind", "groups", "qualification", "guidelines_read", "joined_at",
        ]  # fmt: skip
        read_only_fields = fields


class MemberChanged(serializers.Serializer):
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    groups = _groups(required=False, help_text="Whose comparisons they get, beside those of no group.")


class MemberAsked(serializers.Serializer):
    project = visible.ManagedProject()
    username = Named("username", queryset=get_user_model().objects.filter(is_active=True))
    role = serializers.ChoiceField(choices=Role.choices, default=Role.ANNOTATOR)
    kind = serializers.ChoiceField(choices=KINDS, default=JudgeKind.PERSON)
    groups = _groups(required=False)


class QualificationAsked(serializers.Serializer):
    state = serializers.ChoiceField(choices=STATES)


class MemberFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by(visible.managed))
    username = filters.CharFilter(field_name="user__username")

    class Meta:
        model = Membership
        fields = ["role", "kind", "qualification"]


class Members(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """Members of the projects that one manages."""

    queryset = Membership.objects.select_related("user", "guidelines_read")
    serializer_class = MemberShown
    filterset_class = MemberFilters

    @extend_schema(request=MemberAsked, responses={201: MemberShown})
    def create(self, request: Request) -> Response:
        """Add a member by username; one who is there is changed."""
        asked = self.asked(MemberAsked)
        made = _refusable(actions.add_member, user=asked.pop("username"), by=request.user, **asked)
        return Response(self._shown(made), status.HTTP_201_CREATED)

    @extend_schema(request=MemberChanged, responses=MemberShown)
    def partial_update(self, request: Request, pk: int) -> Response:
        """What is left out stays."""
        membership = self.get_object()
        chosen = {"role": membership.role, "kind": membership.kind} | self.asked(MemberChanged)
        changed = _refusable(
            actions.add_member, project=membership.project, user=membership.user, by=request.user, **chosen
        )
        return Response(self._shown(changed))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Take the membership away. What they judged stays."""
        membership = self.get_object()
        _refusable(actions.remove_member, project=membership.project, user=membership.user, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=QualificationAsked, responses=MemberShown)
    @action(detail=True, methods=["post"])
    def qualification(self, request: Request, pk: int) -> Response:
        """Waive it, or let them begin anew."""
        membership = self.get_object()
        actions.set_qualification(membership=membership, by=request.user, **self.asked(QualificationAsked))
        return Response(self._shown(membership))

    def _shown(self, membership: Membership) -> dict[str, Any]:
        return self.get_serializer(self.get_queryset().get(pk=membership.pk)).data


class InvitationShown(serializers.ModelSerializer):
    groups = serializers.ListField(child=serializers.CharField())
    created_by = Named("username", read_only=True, allow_null=True)

    class Meta:
        model = Invitation
        fields = [
            "id", "project", "role", "groups", "max_uses", "uses", "expires_at", "revoked_at", "created_at",
            "created_by",
        ]  # fmt: skip
        read_only_fields = fields


class InvitationMade(InvitationShown):
    link = serializers.CharField(help_text="Shown this once: only its hash is kept.")

    class Meta(InvitationShown.Meta):
        fields = [*InvitationShown.Meta.fields, "link"]
        read_only_fields = fields


class InvitationAsked(serializers.Serializer):
    project = visible.ManagedProject()
    role = serializers.ChoiceField(choices=Role.choices, default=Role.ANNOTATOR)
    max_uses = serializers.IntegerField(min_value=1, max_value=1000, default=1)
    days = serializers.IntegerField(min_value=1, max_value=90, default=7)
    groups = _groups(default=list)
    request_key = serializers.UUIDField(help_text="The same key again is the same link.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """By the page's form, which knows what a link may do."""
        form = InvitationForm({**given, "groups": ", ".join(given["groups"])})
        if not form.is_valid():
            raise ValidationError(form.errors.as_data())
        return {"project": given["project"], **form.settings()}


class InvitationFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by(visible.managed))
    is_revoked = TrueOrFalse(field_name="revoked_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Invitation
        fields = ["role"]


class Invitations(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """Links by which people join the projects that one manages."""

    queryset = Invitation.objects.select_related("created_by", "project")
    serializer_class = InvitationShown
    filterset_class = InvitationFilters

    @extend_schema(request=InvitationAsked, responses={201: InvitationMade})
    def create(self, request: Request) -> Response:
        """Make a link. This answer alone shows it."""
        invitation, token = actions.create_invitation(by=request.user, **self.asked(InvitationAsked))
        invitation.link = request.build_absolute_uri(reverse("annotation:join", args=[token]))
        return Response(InvitationMade(invitation).data, status.HTTP_201_CREATED)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if self._noted is not None and getattr(self, "action", None) == "create":
            noted, self._noted = self._noted, None
            noted.delete()  # an answer that is kept would keep the link; its request_key makes it the same one again
        return super().finalize_response(request, response, *args, **kwargs)

    @extend_schema(request=None, responses=InvitationShown)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: int) -> Response:
        """Nobody joins by it any more; who has joined stays."""
        invitation = self.get_object()
        actions.revoke_invitation(invitation=invitation, by=request.user)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)


def _refusable(what: Any, **arguments: Any) -> Any:
    try:
        return what(**arguments)
    except actions.MembersRefused as error:
        raise Conflict(str(error)) from None
