"""Pages of conversations."""

from django.urls import path

from conversations import panel, views

urlpatterns = [
    path("characters/<slug:slug>/start", views.start, name="start"),
    path("c/", views.conversations, name="conversations"),
    path("c/<uuid:pk>", views.conversation, name="conversation"),
    path("c/<uuid:pk>/messages", views.send_message, name="send_message"),
    path("c/<uuid:pk>/rename", views.rename, name="rename_conversation"),
    path("c/<uuid:pk>/pin", views.pin, name="pin_conversation"),
    path("c/<uuid:pk>/reset", views.reset, name="reset_conversation"),
    path("c/<uuid:pk>/delete", views.delete, name="delete_conversation"),
    path("panel", panel.people, name="panel"),
    path("panel/<uuid:person>", panel.conversations, name="panel_person"),
    path("panel/<uuid:person>/<uuid:pk>", panel.messages, name="panel_conversation"),
    path(
        "panel/<uuid:person>/<uuid:pk>/reassign", panel.reassign, name="panel_reassign"
    ),
    path("m/<uuid:pk>", views.message, name="message"),
    path("m/<uuid:pk>/stop", views.stop, name="stop_reply"),
    path("m/<uuid:pk>/continue", views.continue_reply, name="continue_reply"),
    path("m/<uuid:pk>/regenerate", views.regenerate, name="regenerate_reply"),
]
