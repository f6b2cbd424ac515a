from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConversationsConfig(AppConfig):
    """Conversations, their messages, and the replies being written."""

    name = "conversations"
    verbose_name = _("Conversations")

    def ready(self) -> None:
        from accounts import chores
        from accounts.signals import sessions_ended
        from conversations import holdings, retention
        from conversations.turns import stop_of_sessions

        sessions_ended.connect(stop_of_sessions)
        holdings.register_all()
        chores.register(retention.sweep)
