"""Addresses of comparisons, reviews, flags and known answers."""

urlpatterns = []
