from django.urls import path

from conversations.api import chat, conversations, history, messages, operator, people

urlpatterns = [
    path("conversations", conversations.Conversations.as_view()),
    path("conversations/<uuid:pk>", conversations.OneConversation.as_view()),
    path("conversations/<uuid:pk>/reset", conversations.ResetConversation.as_view()),
    path("conversations/<uuid:pk>/read", conversations.ReadConversation.as_view()),
    path(
        "conversations/<uuid:pk>/reassign", conversations.ReassignConversation.as_view()
    ),
    path(
        "conversations/<uuid:pk>/messages",
        messages.Messages.as_view(),
        name="conversation-messages",
    ),
    path("messages/<uuid:pk>", messages.OneMessage.as_view()),
    path("messages/<uuid:pk>/stop", messages.StopReply.as_view()),
    path("messages/<uuid:pk>/continue", messages.ContinueReply.as_view()),
    path("messages/<uuid:pk>/regenerate", messages.RegenerateReply.as_view()),
    path("messages/<uuid:pk>/stream", chat.ReplyStream.as_view()),
    path("chat/stream", chat.ChatStream.as_view()),
    path("chat/history", history.ChatHistory.as_view()),
    path("users", people.People.as_view(), name="api_people"),
    path("admin/metrics", operator.MetricsView.as_view(), name="api_metrics"),
]
