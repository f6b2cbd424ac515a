"""Begin, change, reset and delete conversations, and delete messages.

Turns are opened in `turns.py`.
"""

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from characters.models import Character
from conversations import checkpoints, doorbell, errors, guardrails
from conversations.models import Conversation, Generation, Message
from conversations.previews import preview, title
from conversations.turns import locked, target


def begin(user: User, character: Character, **fields: Any) -> Conversation:
    """Open a conversation; a character with a greeting speaks first.

    Raises AgeRestricted: a greeting, too, is for those who may hear it. NotFound, when
    the character is deleted meanwhile.
    """
    if not guardrails.may_talk(user.profile, character):
        raise errors.AgeRestricted(user.profile)
    try:
        return _begin(user, character, **fields)
    except IntegrityError:
        # The database notices at the very end, when all that was written is taken back.
        if Character.objects.filter(pk=character.pk).exists():
            raise
        raise errors.NotFound from None


def _begin(user: User, character: Character, **fields: Any) -> Conversation:
    with transaction.atomic():
        conversation = Conversation.objects.create(
            user=user, character=character, **fields
        )
        if character.greeting:
            conversation.head = Message.objects.create(
                conversation=conversation,
                role=Message.Role.ASSISTANT,
                status=Message.Status.COMPLETE,
                content=character.greeting,
            )
            conversation.last_message_preview = preview(character.greeting)
            conversation.save(update_fields=["head", "last_message_preview"])
    return conversation


def default_conversation(user: User) -> Conversation:
    """Return where the user's messages go that name no conversation."""
    existing = find_default(user)
    if existing is not None:
        return existing
    everyone = Character.objects.published().filter(rating="everyone")
    character = everyone.filter(slug="assistant").first() or everyone.first()
    if character is None:
        raise errors.NotFound(_("There is no assistant; the operator has to add one."))
    try:
        return begin(user, character, is_default=True)
    except IntegrityError:  # another request was faster
        return _defaults(user).get()


def find_default(user: User) -> Conversation | None:
    return _defaults(user).first()


def _defaults(user: User) -> QuerySet[Conversation]:
    return Conversation.objects.owned_by(user).filter(
        is_default=True, status=Conversation.Status.OPEN
    )


def change(conversation: Conversation, **changes: Any) -> None:
    """Store what its owner wants of a conversation: its title, whether it is pinned."""
    for name, value in changes.items():
        setattr(conversation, name, value)
    conversation.save(update_fields=changes)
    doorbell.announce(conversation)


def reset(user: User, conversation_id: uuid.UUID) -> Conversation:
    """Close a conversation and open a new one with the same character."""
    with transaction.atomic():
        old = locked(user, conversation_id)
        was_default = old.is_default and old.is_open
        old.status = Conversation.Status.CLOSED
        old.save(update_fields=["status"])
        Generation.objects.filter(
            message__conversation=old, message__status=Message.Status.STREAMING
        ).update(stop_requested=True)
        new = begin(user, old.character, model=old.model, is_default=was_default)
    for conversation in (old, new):
        doorbell.announce(conversation)
    return new


def delete(conversation: Conversation) -> None:
    """Delete a conversation; a reply being written in it ends unseen."""
    conversation_id = str(conversation.pk)
    with transaction.atomic():
        checkpoints.charge_open_replies(conversation)
        conversation.delete()
    doorbell.ring(
        conversation.user_id, "conversation.deleted", conversation=conversation_id
    )


def delete_message(user: User, message_id: uuid.UUID) -> None:
    """Delete a message and all that follows it; the branch shown then ends before it.

    Raises NotFound, or Busy while a reply is being written in the conversation.
    """
    with transaction.atomic():
        message, conversation = target(user, message_id)
        if conversation.messages.filter(status=Message.Status.STREAMING).exists():
            raise errors.Busy
        _delete_with_words(conversation, message)
    doorbell.ring(
        user.pk,
        "message.deleted",
        conversation=str(conversation.pk),
        message=str(message_id),
    )
    doorbell.announce(conversation)


def _delete_with_words(conversation: Conversation, message: Message) -> None:
    """Delete a message and what follows, and show nothing of it any more."""
    said = conversation.messages.filter(role=Message.Role.USER).order_by("created_at")
    first = said.first()
    is_named_after_it = first and conversation.title == title(first.content)
    Message.objects.below(message.pk).delete()
    if is_named_after_it:
        first = said.first()
        conversation.title = title(first.content) if first else ""
    conversation.refresh_from_db(fields=["head"])
    # Where the branch that was shown is gone, its head is too.
    if conversation.head is None:
        conversation.head = message.parent
    head = conversation.head
    conversation.last_message_preview = preview(head.content) if head else ""
    conversation.save(update_fields=["head", "last_message_preview", "title"])
