"""Addresses of comparisons, reviews, flags and known answers."""

from django.urls import path

from annotation.review import flag_views, known_answer_views
from annotation.review import views as review_views

urlpatterns = [
    path("projects/<slug:slug>/comparisons/", review_views.comparisons, name="comparisons"),
    path("projects/<slug:slug>/comparisons/next/", review_views.next_disagreement, name="next_disagreement"),
    path("projects/<slug:slug>/flags/", flag_views.flags, name="flags"),
    path("projects/<slug:slug>/skips/", flag_views.skips, name="skips"),
    path("projects/<slug:slug>/known-answers/", known_answer_views.known_answers, name="known_answers"),
    path("comparisons/<int:pk>/", review_views.comparison, name="comparison"),
    path("comparisons/<int:pk>/text/<slug:part>/", review_views.comparison_text, name="comparison_text"),
    path("comparisons/<int:pk>/decide/", review_views.decide, name="decide"),
    path("comparisons/<int:pk>/another/", review_views.ask_another, name="ask_another"),
    path("comparisons/<int:pk>/priority/", review_views.priority, name="comparison_priority"),
    path("comparisons/<int:pk>/withdraw/", review_views.withdraw, name="comparison_withdraw"),
    path("comparisons/<int:pk>/known-answer/", known_answer_views.known_answer, name="known_answer"),
    path("comparisons/<int:pk>/back-to-work/", known_answer_views.back_to_work, name="back_to_work"),
    path("flags/<int:pk>/resolve/", flag_views.flag_resolve, name="flag_resolve"),
]
