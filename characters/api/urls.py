"""Addresses of characters under /api/v1/."""

from django.urls import path

from characters.api import operator, views

urlpatterns = [
    path("characters", views.Characters.as_view()),
    path("characters/<slug:slug>", views.OneCharacter.as_view()),
    path(
        "admin/characters",
        operator.CharactersView.as_view(),
        name="api_admin_characters",
    ),
    path(
        "admin/characters/<slug:slug>",
        operator.CharacterView.as_view(),
        name="api_admin_character",
    ),
    path(
        "admin/characters/<slug:slug>/avatar",
        operator.CharacterAvatarView.as_view(),
        name="api_admin_character_avatar",
    ),
]
