"""Pages of characters; talking with one starts in `conversations`."""

from django.urls import path

from characters import views

urlpatterns = [
    path("", views.gallery, name="gallery"),
    path("characters/<slug:slug>", views.character, name="character"),
]
