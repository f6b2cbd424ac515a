"""Replies as HTTP answers: event streams, plain text streams, and one JSON object."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse

from conversations import errors, events, relay
from conversations.models import Message
from conversations.rendering import dumps, message_json, sse
from conversations.turns import Turn
from database.threads import in_database, release

#: Seconds of silence after which a comment keeps proxies from closing the stream.
KEEP_ALIVE = 15.0
DONE = "data: [DONE]\n\n"


def event_stream(
    message_id: UUID, after: int = 0, *first: events.Event
) -> StreamingHttpResponse:
    """Answer with the events of a reply from number `after` on, after `first`."""

    async def body() -> AsyncGenerator[str, None]:
        for event in first:
            yield sse(event)
        async with aclosing(relay.follow(message_id, after, KEEP_ALIVE)) as steps:
            async for step in steps:
                yield ": keep-alive\n\n" if step is None else sse(step)
        yield DONE

    return _stream(body(), "text/event-stream")


def text_stream(turn: Turn) -> StreamingHttpResponse:
    """Answer with the reply's plain text in chunks."""

    async def body() -> AsyncGenerator[str, None]:
        async with aclosing(relay.follow(turn.reply.pk, 0, KEEP_ALIVE)) as steps:
            async for step in steps:
                match step:
                    case None:
                        yield ": keep-alive\n\n"
                    case events.ReplyDelta():
                        yield plain_chunk(step.text)
                    case events.ReplyEnded(status="failed" | "interrupted"):
                        yield f"event: error\ndata: {step.detail}\n\n"
        yield DONE

    return _stream(body(), "text/event-stream")


def finished_turn(turn: Turn, status: int) -> StreamingHttpResponse:
    """Answer with the turn as JSON when its reply has ended.

    A stream, because a thread that waited would hold back all others.
    """

    async def body() -> AsyncGenerator[str, None]:
        async with aclosing(relay.follow(turn.reply.pk, 0, KEEP_ALIVE)) as steps:
            async for step in steps:
                if step is None:
                    yield " "
        stored = Message.objects.select_related("generation").filter(pk=turn.reply.pk)
        reply = await in_database(stored.first)
        # The status line is sent; a body says that it was deleted meanwhile.
        yield dumps(turn_json(turn, reply) if reply else errors.NotFound().body)

    return _stream(body(), "application/json", status)


def turn_json(turn: Turn, reply: Message) -> dict[str, Any]:
    return {
        "message": message_json(turn.message) if turn.message else None,
        "reply": message_json(reply),
    }


def plain_chunk(text: str) -> str:
    """Return `text` as server-sent data that no reader can take for the end.

    >>> plain_chunk("a\\nb")
    'data: a\\ndata: b\\n\\n'
    >>> plain_chunk("[DONE]")
    'data: [DON\\n\\ndata: E]\\n\\n'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    framed = (
        "data: [DON\n\ndata: E]" if line == "[DONE]" else f"data: {line}"
        for line in lines
    )
    return "\n".join(framed) + "\n\n"


def _stream(
    body: AsyncGenerator[str, None], content_type: str, status: int = 200
) -> StreamingHttpResponse:
    # The request holds its thread, and with it a connection, until the stream ends.
    release()
    response = StreamingHttpResponse(body, content_type=content_type, status=status)
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
