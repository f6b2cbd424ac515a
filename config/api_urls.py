"""Every address under /api/v1/; each also answers with a trailing slash."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView

from config import views

urlpatterns = [
    path("", include("accounts.api.urls")),
    path("", include("characters.api.urls")),
    path("", include("llm.api.urls")),
    path("", include("conversations.api.urls")),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("health", views.health),
    re_path("", views.api_not_found),
]
