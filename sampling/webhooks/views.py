"""Webhooks, for staff: the list, one with its deliveries, and what can be done with it."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sampling.access import staff_required
from sampling.models import Delivery, DeliveryState, Webhook
from sampling.webhooks import actions

DELIVERIES_A_PAGE = 50


class WebhookForm(forms.Form):
    """Where to, and of what."""

    url = forms.URLField(
        label="Address",
        max_length=500,
        assume_scheme="https",
        help_text="It gets a POST with JSON, signed as Standard Webhooks has it, and answers 2xx within ten seconds.",
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/whetstone", "autofocus": True}),
    )
    events = forms.MultipleChoiceField(
        label="It is told of",
        choices=[(event.value, event.label) for event in actions.subscribable()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one event."},
    )


class ChangeWebhookForm(WebhookForm):
    is_active = forms.BooleanField(
        label="Switched on", required=False, help_text="Switched off, it is told of nothing; what waits stays waiting."
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["url"].widget.attrs["autofocus"]  # the page begins with the deliveries, above the form


@require_GET
@staff_required
def webhooks(request: HttpRequest) -> HttpResponse:
    counts = {
        f"{state.value}_count": Count("deliveries", filter=Q(deliveries__state=state.value)) for state in DeliveryState
    }
    return render(request, "sampling/webhooks.html", {"webhooks": Webhook.objects.annotate(**counts)})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def webhook_new(request: HttpRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None)
    if form.is_valid():
        try:
            made = actions.create_webhook(**form.cleaned_data, created_by=request.user)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect(made)
    return render(request, "sampling/webhook_new.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def webhook(request: HttpRequest, pk: int) -> HttpResponse:
    """Its secret, its settings, its deliveries; posted, the settings are changed."""
    row = get_object_or_404(Webhook, pk=pk)
    initial = {"url": row.url, "events": row.events, "is_active": row.is_active}
    form = ChangeWebhookForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            actions.change_webhook(webhook=row, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "Saved.")
            return redirect(row)
    page = Paginator(row.deliveries.all(), DELIVERIES_A_PAGE).get_page(request.GET.get("page"))
    context = {"webhook": row, "form": form, "page": page}
    return render(request, "sampling/webhook.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def webhook_delete(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Webhook, pk=pk)
    if request.method == "POST":
        actions.delete_webhook(webhook=row)
        messages.success(request, f"{row} is told of nothing any more.")
        return redirect("sampling:webhooks")
    waiting = row.deliveries.filter(state=DeliveryState.WAITING).count()
    return render(request, "sampling/webhook_delete.html", {"webhook": row, "waiting": waiting})


@require_POST
@staff_required
def webhook_ping(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Webhook, pk=pk)
    actions.ping(webhook=row)
    messages.success(request, "A ping is on its way; below is what comes of it.")
    return redirect(row)


@require_POST
@staff_required
def delivery_again(request: HttpRequest, pk) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.select_related("webhook"), pk=pk)
    actions.deliver_again(delivery=delivery)
    return redirect(delivery.webhook)
