"""Addresses of the API, under /api/v1/."""

from django.urls import path

from llm.api.views import UsageView

urlpatterns = [
    path("me/usage", UsageView.as_view(), name="usage"),
]
