"""Addresses of one's own API tokens, added to the sampling namespace by urls.py."""

from django.urls import path

from sampling.rest import token_views

urlpatterns = [
    path("tokens/", token_views.api_tokens, name="api_tokens"),
    path("tokens/whetstone.py", token_views.api_client, name="api_client"),
    path("tokens/new/", token_views.api_token_new, name="api_token_new"),
    path("tokens/<int:pk>/revoke/", token_views.api_token_revoke, name="api_token_revoke"),
]
