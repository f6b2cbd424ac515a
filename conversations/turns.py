"""Open a turn: one short transaction that stores what was said and opens a reply.

Everything that may be refused is refused here, while there is still a status code to
send; `generations.start` then writes the reply. Whether anybody listens, and over
which transport, is not known here.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, throttling
from accounts.api.parsing import UNSTORABLE
from accounts.errors import RateLimited, Refusal
from accounts.models import User
from conversations import access, doorbell, errors, generations, guardrails
from conversations.models import Conversation, Generation, Message
from conversations.previews import preview, title
from database.rows import Given, Select, insert, update
from database.workers import this_worker
from llm import catalog, quota
from llm.tokens import estimate_tokens

#: How many messages of a branch are read to build a prompt.
CONTEXT_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """A reply that is open, and what its prompt is made of.

    `message` is what the person said; None where a reply is written again or
    continued. `history` ends with what is answered, oldest first. A turn that was
    sent before is not new and has no history: there is nothing left to start.
    """

    reply: Message
    conversation: Conversation
    message: Message | None = None
    history: Sequence[Message] = ()
    is_continuation: bool = False
    is_new: bool = True

    @property
    def sent(self) -> Message:
        """What the person said, of a turn that was opened by saying it."""
        assert self.message is not None
        return self.message


def open(
    user: User,
    conversation_id: uuid.UUID,
    content: str,
    *,
    client_id: str | None = None,
    use_context: bool = True,
    **fields: Any,
) -> Turn:
    """Store a message and open the reply to it.

    `fields` are further fields of the message. The same `client_id` sent again
    returns the same turn. Raises a Refusal: NotFound, Busy, ClientIdReused,
    ConversationClosed, AgeRestricted, BlockedContent, QuotaExceeded, RateLimited,
    Draining or Invalid.
    """
    try:
        content, client_id = _checked(content), _checked_id(client_id)
    except errors.Invalid:
        # What a message must look like is for whom the conversation is open.
        asked = Conversation.objects.filter(pk=conversation_id)
        if not asked.owned_by(user).exists():
            raise access.refusal(user, asked) from None
        raise
    try:
        _admit(user)
        with (
            _noting_blocks(user, Conversation(pk=conversation_id)),
            transaction.atomic(),
        ):
            conversation = locked(user, conversation_id)
            _allow(conversation, content)
            _check_quoted(conversation, fields.get("reply_to_id"))
            now = timezone.now()
            message = Message(
                conversation=conversation,
                parent_id=conversation.head_id,
                role=Message.Role.USER,
                status=Message.Status.SENT,
                content=content,
                client_id=client_id,
                created_at=now,
                **fields,
            )
            history = (
                Message.objects.branch(conversation.head_id, CONTEXT_MESSAGES)
                if use_context
                else []
            )
            reply = _open_reply(conversation, message, now, with_parent=True)
            return Turn(reply, conversation, message, [*history, message])
    except IntegrityError:
        refusal: Refusal = errors.Busy()
    except (
        RateLimited,
        errors.Draining,
        errors.QuotaExceeded,
        errors.ConversationClosed,
    ) as error:
        # What was sent before a limit or the end was reached was sent.
        refusal = error
    turn = _repeated(user, conversation_id, client_id, content)
    if turn is None:
        raise refusal
    return turn


def regenerate(user: User, message_id: uuid.UUID) -> Turn:
    """Open another reply to the same message, beside the one there is."""
    _admit(user)
    try:
        with _noting_blocks(user, Message(pk=message_id)), transaction.atomic():
            answered, conversation = target(user, message_id)
            asked = answered.parent if answered.is_reply else answered
            if asked is None or asked.role != Message.Role.USER:
                raise errors.Invalid(_("A greeting answers nothing; send a message."))
            _allow(conversation, asked.content)
            history = Message.objects.branch(asked.pk, CONTEXT_MESSAGES)
            reply = _open_reply(conversation, asked, timezone.now())
            return Turn(reply, conversation, None, history)
    except IntegrityError:
        raise errors.Busy from None


def resume(user: User, message_id: uuid.UUID) -> Turn:
    """Open a reply that was cut short again, to be written on from where it is."""
    _admit(user)
    try:
        with _noting_blocks(user, Message(pk=message_id)), transaction.atomic():
            reply, conversation = target(user, message_id)
            if reply.is_streaming:
                raise errors.Busy
            if not reply.can_continue or reply.children.exists():
                raise errors.CannotContinue
            asked = reply.parent.content if reply.parent else ""
            _allow(conversation, asked)
            held = _reserve(conversation, asked)
            history = Message.objects.branch(reply.pk, CONTEXT_MESSAGES)
            reply.status = Message.Status.STREAMING
            reply.save(update_fields=["status"])
            generation = reply.generation
            generation.worker = this_worker()
            generation.heartbeat_at = timezone.now()
            generation.stop_requested = False
            generation.opened_by = user.credential
            generation.error_code = ""
            generation.reserved_units, generation.usage_date = held.units, held.date
            generation.save()
            Conversation.objects.filter(pk=conversation.pk).update(head=reply)
            return Turn(reply, conversation, None, history, is_continuation=True)
    except IntegrityError:
        raise errors.Busy from None


def stop(user: User, message_id: uuid.UUID) -> Message:
    """Stop a reply, in whatever process it is written; one that has ended stays.

    The words written so far are kept; the reply's own last event says when it ended.
    """
    asked = Message.objects.filter(pk=message_id)
    reply = asked.owned_by(user).first()
    if reply is None:
        raise access.refusal(user, asked)
    if reply.is_streaming:
        _stop(user.pk, reply.conversation_id, reply.pk)
    return reply


def stop_of_sessions(
    user_id: uuid.UUID, credentials: Collection[str] | None, **_signal: object
) -> None:
    """Stop what is written for sessions that are over; None: for all of the user's."""
    open_replies = Generation.objects.filter(
        message__status=Message.Status.STREAMING, message__conversation__user=user_id
    )
    if credentials is not None:
        open_replies = open_replies.filter(opened_by__in=credentials)
    for message_id, conversation_id in open_replies.values_list(
        "pk", "message__conversation"
    ):
        _stop(user_id, conversation_id, message_id)


def _stop(
    user_id: uuid.UUID, conversation_id: uuid.UUID, message_id: uuid.UUID
) -> None:
    if generations.stop(message_id):
        return
    Generation.objects.filter(pk=message_id).update(stop_requested=True)
    doorbell.ring(
        user_id, "stop", conversation=str(conversation_id), message=str(message_id)
    )


def _admit(user: User) -> None:
    if generations.is_draining():
        raise errors.Draining(retry_after=5)
    throttling.check("chat", settings.CHAT_RATE, str(user.pk))


def _checked(content: str) -> str:
    text = content.strip()
    if not text:
        raise errors.Invalid(_("Write something first."))
    if len(text) > settings.MESSAGE_MAX_CHARS:
        raise errors.Invalid(
            _("This is longer than %(count)s characters.")
            % {"count": settings.MESSAGE_MAX_CHARS}
        )
    if UNSTORABLE.search(text):
        raise errors.Invalid(_("This text has characters that cannot be stored."))
    return text


def _checked_id(client_id: str | None) -> str | None:
    if client_id and (len(client_id) > 64 or UNSTORABLE.search(client_id)):
        raise errors.Invalid(_("client_id must be a text of at most 64 characters."))
    return client_id or None


def locked(user: User, conversation_id: uuid.UUID) -> Conversation:
    conversation = _LOCKED.first(id=conversation_id, user=user.pk)
    if conversation is None:
        raise access.refusal(user, Conversation.objects.filter(pk=conversation_id))
    conversation.user = user
    return conversation


_LOCKED = Select(
    lambda: (
        Conversation.objects.filter(
            pk=Given("id", UUIDField()), user_id=Given("user", UUIDField())
        )
        .order_by()
        .select_related("character__model", "model")
        .select_for_update(of=("self",))
    )
)


def target(user: User, message_id: uuid.UUID) -> tuple[Message, Conversation]:
    found = Message.objects.owned_by(user).filter(pk=message_id)
    conversation_id = found.values_list("conversation_id", flat=True).first()
    if conversation_id is None:
        raise access.refusal(user, Message.objects.filter(pk=message_id))
    conversation = locked(user, conversation_id)
    # Read under the lock: before it, the message may end, begin or be deleted.
    message = found.select_related("parent", "generation").first()
    if message is None:
        raise errors.NotFound
    return message, conversation


@contextmanager
def _noting_blocks(user: User, of: Conversation | Message) -> Iterator[None]:
    """Record a message that is not allowed, outside of what is rolled back with it."""
    try:
        yield
    except errors.BlockedContent as blocked:
        audit.record("message.blocked", actor=user, of=of, **blocked.extra)
        raise


def _allow(conversation: Conversation, content: str) -> None:
    if not conversation.is_open:
        raise errors.ConversationClosed
    if not guardrails.may_talk(conversation.user.profile, conversation.character):
        raise errors.AgeRestricted(conversation.user.profile)
    verdict = guardrails.check(content)
    if verdict is not None:
        raise errors.BlockedContent(rule=verdict.rule)


def _check_quoted(conversation: Conversation, message_id: uuid.UUID | None) -> None:
    if message_id and not conversation.messages.filter(pk=message_id).exists():
        raise errors.Invalid(_("reply_to_id must be the id of a message here."))


def _reserve(conversation: Conversation, content: str) -> quota.Reservation:
    user = conversation.user
    model = conversation.model or conversation.character.model
    units = estimate_tokens(content) + catalog.max_output_tokens(model)
    try:
        return quota.reserve(user.pk, units, user.daily_limit, user.profile.time_zone)
    except quota.QuotaExceeded as refusal:
        wait = (refusal.reset_at - timezone.now()).total_seconds()
        raise errors.QuotaExceeded(
            refusal.detail,
            reset_at=refusal.reset_at.isoformat(),
            retry_after=max(int(wait), 1),
        ) from None


def _open_reply(
    conversation: Conversation,
    asked: Message,
    now: datetime,
    *,
    with_parent: bool = False,
) -> Message:
    """Insert the empty reply and its generation, and make it the head."""
    held = _reserve(conversation, asked.content)
    reply = Message(
        conversation=conversation,
        parent=asked,
        role=Message.Role.ASSISTANT,
        status=Message.Status.STREAMING,
        created_at=now + timedelta(microseconds=1),
    )
    insert(*([asked, reply] if with_parent else [reply]))
    reply.generation = Generation(
        message=reply,
        worker=this_worker(),
        opened_by=conversation.user.credential,
        reserved_units=held.units,
        usage_date=held.date,
    )
    insert(reply.generation)
    changes: dict[str, Any] = {
        "head_id": reply.pk,
        "last_message_at": now,
        "last_message_preview": preview(asked.content),
    }
    if not conversation.title:
        conversation.title = changes["title"] = title(asked.content)
    update(Conversation, {"id": conversation.pk}, changes)
    return reply


def _repeated(
    user: User, conversation_id: uuid.UUID, client_id: str | None, content: str
) -> Turn | None:
    """Return the turn that was opened with `client_id` before, if there is one."""
    sent = client_id and (
        Message.objects.owned_by(user)
        .filter(conversation=conversation_id, client_id=client_id)
        .select_related("conversation")
        .prefetch_related("children__generation")
        .first()
    )
    if not sent:
        return None
    replies = [child for child in sent.children.all() if child.is_reply]
    if sent.content != content or not replies:
        raise errors.ClientIdReused
    return Turn(replies[0], sent.conversation, sent, is_new=False)
