"""How conversations, messages and events look on the wire: JSON and event streams.

The shapes are documented in docs/api.md. Pages are rendered by `fragments.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from conversations import events
from conversations.endings import sentence
from conversations.models import Conversation, Generation, Message


def conversation_json(conversation: Conversation) -> dict[str, Any]:
    """Return the API's conversation object; `unread` wants `with_unread()`."""
    character = conversation.character
    return {
        "id": conversation.pk,
        "character": {
            "slug": character.slug,
            "name": character.name,
            "avatar_url": character.avatar.url if character.avatar else None,
        },
        "title": conversation.title,
        "is_pinned": conversation.is_pinned,
        "status": conversation.status,
        "model": conversation.model.label if conversation.model else None,
        "created_at": conversation.created_at,
        "last_message_at": conversation.last_message_at,
        "last_message_preview": conversation.last_message_preview,
        "unread": getattr(conversation, "unread", 0),
    }


def message_json(message: Message) -> dict[str, Any]:
    """Return the API's message object; of a reply, with how it was generated."""
    shape = {
        "id": message.pk,
        "conversation_id": message.conversation_id,
        "parent_id": message.parent_id,
        "role": message.role,
        "content": message.content,
        "type": message.type,
        "status": message.status,
        "reply_to_id": message.reply_to_id,
        "importance_level": message.importance_level,
        "media_urls": message.media_urls,
        "client_id": message.client_id,
        "created_at": message.created_at,
    }
    if message.is_reply:
        shape |= _generation_json(message)
    return shape


def _generation_json(message: Message) -> dict[str, Any]:
    try:
        generation = message.generation
    except Generation.DoesNotExist:  # a greeting or an imported reply
        return {"model": None, "finish_reason": None, "usage": None, "error": None}
    code = generation.error_code
    return {
        "model": generation.model or None,
        "finish_reason": generation.finish_reason or None,
        "usage": usage_json(generation),
        "error": {"code": code, "detail": sentence(code)} if code else None,
    }


def usage_json(generation: Generation) -> dict[str, Any] | None:
    if generation.completion_tokens is None:
        return None
    return {
        "prompt": generation.prompt_tokens,
        "completion": generation.completion_tokens,
        "exact": generation.is_usage_exact,
    }


def ended_event(message: Message, seq: int) -> events.ReplyEnded:
    """Return how a stored reply ended, as its event number `seq`."""
    generation = message.generation
    code = generation.error_code
    if message.status == Message.Status.STOPPED:
        code = "stopped"
    return events.ReplyEnded(
        message.conversation_id,
        message.pk,
        seq,
        status=message.status,
        finish_reason=generation.finish_reason,
        usage=usage_json(generation) or {},
        code=code,
        detail=sentence(code),
    )


def event_json(event: events.Event) -> str:
    """Return the one JSON object that every transport sends for `event`."""
    if isinstance(event, events.ReplyDelta):  # by far the most frequent
        return (
            f'{{"type":"reply.delta","conversation_id":"{event.conversation_id}",'
            f'"message_id":"{event.message_id}","seq":{event.seq},'
            f'"text":{json.dumps(event.text)}}}'
        )
    shape: dict[str, Any] = {"type": event.type}
    for field in fields(event):
        shape[field.name] = getattr(event, field.name)
    if isinstance(event, events.ReplyEnded):
        del shape["status"]
        for name in (
            ("code", "detail")
            if event.status == "complete"
            else ("finish_reason", "usage")
        ):
            del shape[name]
    return dumps(shape)


def error_json(body: Mapping[str, Any], **context: Any) -> str:
    """Return the `error` event for what is refused."""
    return dumps({"type": "error", **body, **context})


def sse(event: events.Event) -> str:
    """Return `event` as one server-sent event.

    JSON holds no raw line break, so no text can end the event or begin another.
    """
    number = f"id: {event.seq}\n" if isinstance(event, events.ReplyEvent) else ""
    return f"event: {event.type}\n{number}data: {event_json(event)}\n\n"


def sse_error(body: Mapping[str, Any]) -> str:
    """Return the `error` event of a stream that is not for its reader any more."""
    return f"event: error\ndata: {error_json(body)}\n\n"


def dumps(value: Any) -> str:
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    return str(value)
