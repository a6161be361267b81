"""Withdrawn work, for staff."""

from django.contrib.auth import get_user_model
from django.db.models import Count, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.actions import withdrawals
from annotation.models import WithdrawnWork
from sampling.rest.fields import Named
from sampling.rest.views import SiteResource


class WithdrawalShown(serializers.ModelSerializer):
    annotator = Named("username", read_only=True)
    by = Named("username", read_only=True, allow_null=True)
    judgments = serializers.IntegerField(help_text="Theirs, which become no data any more.")

    class Meta:
        model = WithdrawnWork
        fields = ["id", "annotator", "reason", "at", "by", "judgments"]
        read_only_fields = fields


class WithdrawalAsked(serializers.Serializer):
    annotator = Named("username", queryset=get_user_model().objects.all())
    reason = serializers.CharField(max_length=withdrawals.REASON_CHARACTERS, help_text="On record in the projects.")


class Withdrawals(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Annotators whose work becomes no data any more. For staff."""

    queryset = WithdrawnWork.objects.select_related("annotator", "by")
    serializer_class = WithdrawalShown

    def get_queryset(self) -> QuerySet[WithdrawnWork]:
        return super().get_queryset().annotate(judgments=Count("annotator__judgments"))

    @extend_schema(request=WithdrawalAsked, responses={201: WithdrawalShown})
    def create(self, request: Request) -> Response:
        """Withdraw one annotator's work; what is withdrawn already stays as it is."""
        asked = WithdrawalAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            work = withdrawals.withdraw_work(by=request.user, **asked.validated_data)
        except withdrawals.WithdrawalRefused as refusal:
            raise serializers.ValidationError({"reason": [str(refusal)]}) from None
        return Response(self.get_serializer(self.get_queryset().get(pk=work.pk)).data, status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Take it back: their judgments become data again."""
        withdrawals.restore_work(annotator=self.get_object().annotator, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
