"""The addresses of prompts, models and sampling runs."""

from django.urls import path

from sampling import views
from sampling.curation import urls as curation
from sampling.importing import urls as importing
from sampling.rest import urls as tokens
from sampling.webhooks import urls as webhooks

app_name = "sampling"
urlpatterns = [
    *importing.urlpatterns,
    *curation.urlpatterns,
    *tokens.urlpatterns,
    *webhooks.urlpatterns,
    path("prompts/", views.prompt_sets, name="prompt_sets"),
    path("prompts/<int:pk>/", views.prompt_set, name="prompt_set"),
    path("models/", views.models, name="models"),
    path("models/register/", views.register_model, name="register_model"),
    path("models/<int:pk>/", views.model_version, name="model_version"),
    path("sampling-runs/", views.sampling_runs, name="sampling_runs"),
    path("sampling-runs/new/", views.sampling_run_new, name="sampling_run_new"),
    path("sampling-runs/<int:pk>/", views.sampling_run, name="sampling_run"),
    path("sampling-runs/<int:pk>/cancel/", views.sampling_run_cancel, name="sampling_run_cancel"),
    path("sampling-runs/<int:pk>/retry/", views.sampling_run_retry, name="sampling_run_retry"),
]
