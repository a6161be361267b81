"""One's own API tokens, and webhooks."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.models import ApiToken, Delivery, Scope, Webhook
from sampling.rest.filtering import TrueOrFalse
from sampling.rest.tokens import revoke_token
from sampling.rest.views import Resource, SiteResource
from sampling.webhooks import actions as webhooks


class TokenShown(serializers.ModelSerializer):
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))

    class Meta:
        model = ApiToken
        fields = ["id", "name", "beginning", "scopes", "expires_at", "revoked_at", "last_used_at", "created_at"]
        read_only_fields = fields


class Tokens(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """One's own tokens. They are made in the browser, so that no token can make one that may do more."""

    queryset = ApiToken.objects.none()
    serializer_class = TokenShown
    write_scope = Scope.READ

    def get_queryset(self) -> QuerySet[ApiToken]:
        return ApiToken.objects.filter(user=self.request.user) if self.request else super().get_queryset()

    @extend_schema(request=None, responses=TokenShown)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: int) -> Response:
        """From now on it opens nothing. A token may revoke itself; for another one it needs the scope `manage`."""
        token = self.get_object()
        own = request.auth
        if isinstance(own, ApiToken) and own != token and Scope.MANAGE not in own.scopes:
            raise PermissionDenied('To revoke another token, this one needs the scope "manage".')
        revoke_token(token=token)
        token.refresh_from_db()
        return Response(self.get_serializer(token).data)


class WebhookShown(serializers.ModelSerializer):
    events = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "is_active", "secret", "created_at"]
        read_only_fields = fields


def _events(**more) -> serializers.ListField:
    choices = [event.value for event in webhooks.subscribable()]
    return serializers.ListField(child=serializers.ChoiceField(choices=choices), allow_empty=False, **more)


class WebhookAsked(serializers.Serializer):
    url = serializers.URLField(max_length=500)
    events = _events()


class WebhookChanged(WebhookAsked):
    url = serializers.URLField(max_length=500, required=False)
    events = _events(required=False)
    is_active = serializers.BooleanField(required=False)


class DeliveryShown(serializers.ModelSerializer):
    payload = serializers.DictField()

    class Meta:
        model = Delivery
        fields = [
            "id", "webhook", "event", "payload", "state", "attempts", "next_attempt_at", "last_status", "last_error",
            "created_at", "delivered_at",
        ]  # fmt: skip
        read_only_fields = fields


class WebhookFilters(filters.FilterSet):
    is_active = TrueOrFalse()


class Webhooks(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Addresses that are told what happens, by a POST signed as Standard Webhooks has it."""

    queryset = Webhook.objects.all()
    serializer_class = WebhookShown
    filterset_class = WebhookFilters
    write_scope = Scope.WEBHOOKS
    scopes = {"list": Scope.WEBHOOKS, "retrieve": Scope.WEBHOOKS}  # a secret is in it

    @extend_schema(request=WebhookAsked, responses={201: WebhookShown})
    def create(self, request: Request) -> Response:
        asked = WebhookAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        made = webhooks.create_webhook(created_by=request.user, **asked.validated_data)
        return Response(self.get_serializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(request=WebhookChanged, responses=WebhookShown)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Another address, other events, or switched off and on. What is left out stays."""
        asked = WebhookChanged(data=request.data)
        asked.is_valid(raise_exception=True)
        changed = webhooks.change_webhook(webhook=self.get_object(), **asked.validated_data)
        return Response(self.get_serializer(changed).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        webhooks.delete_webhook(webhook=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: DeliveryShown})
    @action(detail=True, methods=["post"])
    def ping(self, request: Request, pk: int) -> Response:
        """Send a delivery that says nothing but hello."""
        return Response(DeliveryShown(webhooks.ping(webhook=self.get_object())).data, status.HTTP_202_ACCEPTED)


class Deliveries(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """What was sent to webhooks, and what came of it."""

    queryset = Delivery.objects.all()
    serializer_class = DeliveryShown
    filterset_fields = ["webhook", "event", "state"]
    write_scope = Scope.WEBHOOKS
    lookup_value_converter = "uuid"

    @extend_schema(request=None, responses={202: DeliveryShown})
    @action(detail=True, methods=["post"])
    def again(self, request: Request, pk: str) -> Response:
        """Send it once more, now."""
        delivery = self.get_object()
        webhooks.deliver_again(delivery=delivery)
        delivery.refresh_from_db()
        return Response(self.get_serializer(delivery).data, status.HTTP_202_ACCEPTED)
