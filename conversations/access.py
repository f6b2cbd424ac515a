"""Somebody else's conversation: who reads it, that it is noted, and what is refused.

Whose things a user may see, `accounts/access.py` says.
"""

import uuid
from datetime import timedelta

from django.utils import timezone

from accounts import audit
from accounts.errors import NotYours, Refusal
from accounts.models import AuditEvent, User
from conversations.errors import NotFound
from conversations.models import Conversation, Message
from conversations.querysets import ConversationQuerySet, MessageQuerySet

OPENED = "conversation.opened"

#: Who reads on in what they have opened is not noted again.
READING = timedelta(minutes=10)


def refusal(user: User, found: ConversationQuerySet | MessageQuerySet) -> Refusal:
    """Return why `user` must not change what is in `found`, which is not theirs.

    To whom may not even read it, it does not exist.
    """
    return NotYours() if found.visible_to(user).exists() else NotFound()


def note_opening(reader: User, conversation: Conversation) -> None:
    """Record that `reader` opened a conversation, unless it is their own."""
    if conversation.user_id != reader.pk:
        owner = str(conversation.user_id)
        audit.record(OPENED, actor=reader, of=conversation, owner=owner)


def note_reading(reader: User, conversation: Conversation) -> None:
    """Record an opening when `reader` reads in what they have not opened lately."""
    if conversation.user_id == reader.pk:
        return
    lately = AuditEvent.objects.filter(
        object_type="conversation",
        object_id=str(conversation.pk),
        action=OPENED,
        actor=reader,
        at__gt=timezone.now() - READING,
    )
    if not lately.exists():
        note_opening(reader, conversation)


def visible_reply(reader: User, message_id: uuid.UUID) -> Message:
    """Return a reply that `reader` may follow; raises NotFound."""
    reply = (
        Message.objects.visible_to(reader)
        .filter(pk=message_id, role=Message.Role.ASSISTANT)
        .select_related("conversation")
        .first()
    )
    if reply is None:
        raise NotFound
    note_reading(reader, reply.conversation)
    return reply
