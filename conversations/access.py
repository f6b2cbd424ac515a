"""Somebody else's conversation: who reads it, that it is noted, and what is refused.

Whose things a user may see, `accounts/access.py` says.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Model
from django.utils import timezone

from accounts import audit
from accounts.errors import NotYours, Refusal
from accounts.models import AuditEvent, User
from conversations.errors import NotFound
from conversations.models import Conversation, Message
from conversations.querysets import ConversationQuerySet, MessageQuerySet

OPENED = "conversation.opened"
LISTED = "conversations.listed"

#: Who reads on in what they have opened is not noted again.
READING = timedelta(minutes=10)

#: A reader's id, and that of a message.
Reading = tuple[uuid.UUID, uuid.UUID]


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
    if conversation.user_id != reader.pk and not _did_lately(
        reader, OPENED, conversation
    ):
        note_opening(reader, conversation)


def note_listing(reader: User, owner: User) -> None:
    """Record that `reader` looks at the list of what somebody else talks about."""
    if owner.pk != reader.pk and not _did_lately(reader, LISTED, owner):
        audit.record(LISTED, actor=reader, of=owner)


def _did_lately(reader: User, action: str, to: Model) -> bool:
    return AuditEvent.objects.filter(
        object_type=to._meta.model_name,
        object_id=str(to.pk),
        action=action,
        actor=reader,
        at__gt=timezone.now() - READING,
    ).exists()


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


def still_seen(readings: Iterable[Reading]) -> set[Reading]:
    """Keep what its reader may still read, in a query for all readers and one for each.

    It is meant for other people's messages: few read those at the same time.
    """
    asked: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for reader_id, message_id in readings:
        asked[reader_id].add(message_id)
    seen: set[Reading] = set()
    for reader in User.objects.filter(pk__in=list(asked)):
        visible = Message.objects.visible_to(reader).filter(pk__in=asked[reader.pk])
        ids = visible.order_by().values_list("pk", flat=True)
        seen |= {(reader.pk, message_id) for message_id in ids}
    return seen
