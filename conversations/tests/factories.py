"""Conversations and what is said in them, for tests."""

import itertools
from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from characters.models import Character
from conversations.models import Conversation, Generation, Message
from database.workers import this_worker

#: The birthdate of somebody who may talk with everyone.
ADULT = date(1990, 5, 17)

_numbers = itertools.count(1)


def make_character(slug: str = "sage", **fields: Any) -> Character:
    """Create a character for everyone who does not speak first."""
    return Character.objects.create(slug=slug, **{"name": slug.title()} | fields)


def make_adult_character(slug: str = "luna", **fields: Any) -> Character:
    return make_character(slug, **{"rating": "adult", "explicit_level": 1} | fields)


def make_conversation(
    user: User, character: Character | None = None, **fields: Any
) -> Conversation:
    """Create an empty conversation, with a character of its own if none is given."""
    character = character or make_character(f"sage-{next(_numbers)}")
    return Conversation.objects.create(user=user, character=character, **fields)


def say(conversation: Conversation, content: str = "Hello", **fields: Any) -> Message:
    """Add what the user says to the end of the branch that is shown."""
    return _add(
        conversation,
        **{"role": "user", "status": "sent", "content": content} | fields,
    )


def answer(
    conversation: Conversation,
    content: str = "Good day.",
    status: str = "complete",
    *,
    generation: dict[str, Any] | None = None,
    **fields: Any,
) -> Message:
    """Add a reply with its generation; a `streaming` one has no event yet."""
    reply = _add(
        conversation,
        **{"role": "assistant", "status": status, "content": content} | fields,
    )
    ended = {} if status == "streaming" else {"lengths": f"0,{len(content)},0"}
    if status == "complete":
        ended |= {"finish_reason": "stop"}
    Generation.objects.create(
        message=reply,
        **{"worker": this_worker(), "usage_date": timezone.now().date()}
        | ended
        | (generation or {}),
    )
    return reply


def talk(conversation: Conversation, turns: int) -> None:
    """Add so many turns of short messages, quickly."""
    now, parent_id = timezone.now() - timedelta(days=1), conversation.head_id
    messages = []
    for number in range(2 * turns):
        role = ("user", "assistant")[number % 2]
        message = Message(
            conversation=conversation,
            parent_id=parent_id,
            role=role,
            status={"user": "read", "assistant": "complete"}[role],
            content=f"{role} {number}",
            created_at=now + timedelta(seconds=number),
        )
        messages.append(message)
        parent_id = message.pk
    Message.objects.bulk_create(messages)
    Generation.objects.bulk_create(
        Generation(message=message, worker="", usage_date=now.date())
        for message in messages[1::2]
    )
    _set_head(conversation, messages[-1])


def _add(conversation: Conversation, **fields: Any) -> Message:
    message = Message.objects.create(
        conversation=conversation, **{"parent": conversation.head} | fields
    )
    _set_head(conversation, message)
    return message


def _set_head(conversation: Conversation, message: Message) -> None:
    conversation.head = message
    conversation.save(update_fields=["head"])
