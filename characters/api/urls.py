from django.urls import path

from characters.api import views

urlpatterns = [
    path("characters", views.Characters.as_view()),
    path("characters/<slug:slug>", views.OneCharacter.as_view()),
]
