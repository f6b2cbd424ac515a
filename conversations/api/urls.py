from django.urls import path

from conversations.api import operator, views

urlpatterns = [
    path("conversations", views.Conversations.as_view()),
    path("conversations/<uuid:pk>", views.OneConversation.as_view()),
    path("conversations/<uuid:pk>/reset", views.ResetConversation.as_view()),
    path("conversations/<uuid:pk>/read", views.ReadConversation.as_view()),
    path(
        "conversations/<uuid:pk>/messages",
        views.Messages.as_view(),
        name="conversation-messages",
    ),
    path("messages/<uuid:pk>", views.OneMessage.as_view()),
    path("messages/<uuid:pk>/stop", views.StopReply.as_view()),
    path("messages/<uuid:pk>/continue", views.ContinueReply.as_view()),
    path("messages/<uuid:pk>/regenerate", views.RegenerateReply.as_view()),
    path("messages/<uuid:pk>/stream", views.ReplyStream.as_view()),
    path("chat/stream", views.ChatStream.as_view()),
    path("chat/history", views.ChatHistory.as_view()),
    path("admin/metrics", operator.MetricsView.as_view(), name="api_metrics"),
]
