"""Hand a conversation from one person to another, among those whom one sees.

What was said stays as it was. A note in the conversation says who handed it over and
why; no model ever reads it. Who sees whom, `accounts/access.py` says.
"""

import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts import access as people
from accounts import audit
from accounts.models import User
from conversations import doorbell, errors, guardrails
from conversations.models import Conversation, Message
from conversations.previews import preview

#: Characters of a reason.
MAX_REASON = 500


def check(by: User, conversation_id: uuid.UUID) -> Conversation:
    """Return a conversation that `by` may hand over; locked inside of a transaction.

    Raises NotFound for whoever does not see it, and NotYoursToHandOver for workers.
    """
    asked = Conversation.objects.filter(pk=conversation_id)
    if transaction.get_connection().in_atomic_block:
        # First: whose it is may be changing at this moment.
        asked.order_by().select_for_update().first()
    seen = asked.visible_to(by).select_related("character", "model", "user__profile")
    conversation = seen.first()
    if conversation is None:
        raise errors.NotFound
    if not people.sees_others(by):
        raise errors.NotYoursToHandOver
    return conversation


def reassign(
    by: User, conversation_id: uuid.UUID, to_id: uuid.UUID, *, reason: str = ""
) -> Conversation:
    """Make a conversation that of the person `to_id`; nothing happens if it is theirs.

    Raises what `check` does, NotFound for a person whom `by` does not see,
    CannotTakeOver for one who cannot come in, AgeRestricted, or Busy while a reply is
    being written for whose it was.
    """
    with transaction.atomic():
        conversation = check(by, conversation_id)
        seen = User.objects.visible_to(by).select_related("profile")
        to, before = seen.filter(pk=to_id).first(), conversation.user
        if to is None:
            raise errors.NotFound
        if to == before:
            return conversation
        if not to.is_active or to.delete_at is not None:
            raise errors.CannotTakeOver
        if not guardrails.may_talk(to.profile, conversation.character):
            raise errors.AgeRestricted(to.profile, is_theirs=False)
        if conversation.messages.filter(status=Message.Status.STREAMING).exists():
            raise errors.Busy
        _hand_over(conversation, to, _note(by, before, to, reason))
        audit.record(
            "conversation.reassigned",
            actor=by,
            of=conversation,
            old=str(before.pk),
            new=str(to.pk),
        )
    doorbell.ring(before.pk, "conversation.deleted", conversation=str(conversation.pk))
    doorbell.announce(conversation)
    return conversation


def _hand_over(conversation: Conversation, to: User, note: str) -> None:
    now = timezone.now()
    conversation.head = Message.objects.create(
        conversation=conversation,
        parent_id=conversation.head_id,
        role=Message.Role.SYSTEM,
        status=Message.Status.SENT,
        content=note,
        created_at=now,
    )
    conversation.user = to
    # These were whose it was; the new one has read nothing of it yet.
    conversation.is_pinned = conversation.is_default = False
    conversation.last_read_at = conversation.created_at
    conversation.last_message_at = now
    conversation.last_message_preview = preview(note)
    conversation.save()


def _note(by: User, before: User, to: User, reason: str) -> str:
    """Return what the conversation says of it, in the language of who gets it."""
    names = {"by": by.profile, "before": before.profile, "to": to.profile}
    with override(to.profile.language):
        if by == to:
            said = _("%(by)s took this conversation over from %(before)s.")
        elif by == before:
            said = _("%(by)s handed this conversation to %(to)s.")
        else:
            said = _("%(by)s handed this conversation from %(before)s to %(to)s.")
        return "\n\n".join(filter(None, [said % names, reason.strip()]))
