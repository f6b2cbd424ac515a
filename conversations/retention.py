"""Conversations that go for good: in pieces, and after RETENTION_DAYS by themselves."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations.models import Conversation, Message

#: Messages that are deleted in one transaction.
CHUNK = 500
#: Conversations that one look takes on.
AT_ONCE = 100


def sweep() -> int:
    """Delete what was closed and has been quiet for RETENTION_DAYS; return how many.

    With 0 days everything is kept.
    """
    if not settings.RETENTION_DAYS:
        return 0
    quiet_since = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    closed = Conversation.objects.filter(status=Conversation.Status.CLOSED)
    due = list(closed.filter(last_message_at__lt=quiet_since)[:AT_ONCE])
    for conversation in due:
        while delete_piece(conversation):
            pass
    return len(due)


def delete_piece(conversation: Conversation) -> bool:
    """Delete a bounded part of a conversation, at last itself; False when it is gone.

    The newest messages first. What refers to them is told before: Django would follow
    their children one by one.
    """
    with transaction.atomic():
        newest = conversation.messages.order_by("-created_at", "-pk")
        ids = list(newest.values_list("pk", flat=True)[:CHUNK])
        if not ids:
            conversation.delete()
            return False
        Conversation.objects.filter(head__in=ids).update(head=None)
        Message.objects.filter(pk__in=ids).update(parent=None, reply_to=None)
        Message.objects.filter(parent__in=ids).update(parent=None)
        Message.objects.filter(reply_to__in=ids).update(reply_to=None)
        Message.objects.filter(pk__in=ids).only("pk").delete()
        return True
