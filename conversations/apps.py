from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Conversations, their messages, and the replies being written."""

    name = "conversations"

    def ready(self) -> None:
        from accounts import chores
        from accounts.signals import sessions_ended
        from conversations import holdings, retention
        from conversations.turns import stop_of_sessions

        sessions_ended.connect(stop_of_sessions)
        holdings.register_all()
        chores.register(retention.sweep)
