"""Addresses of agreement and of annotators' figures."""

urlpatterns = []
