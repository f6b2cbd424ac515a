from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Conversations, their messages, and the replies being written."""

    name = "conversations"
