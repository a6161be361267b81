"""Everything below /api/: the resources of each app, the schema, its documentation."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from sampling.rest.problems import not_found

urlpatterns = [
    path("", include("sampling.api.urls")),
    path("", include("annotation.api.urls")),
    path("", include("training.api.urls")),
    path("schema/", SpectacularJSONAPIView.as_view(), name="api_schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api_schema", template_name="api_docs.html"),
        name="api_docs",
    ),
    re_path("", not_found),
]
