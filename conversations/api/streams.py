"""Replies as HTTP answers: event streams, plain text streams, and one JSON object.

An answer that takes as long as its reply ends before it when its reader may not read
on. Whether they may, `watch.py` finds out.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from accounts.authentication.bearer import signed_in
from accounts.authentication.issuers import Visit
from accounts.errors import Refusal
from accounts.models import Session
from conversations import errors, events, relay, watch
from conversations.models import Message
from conversations.rendering import dumps, message_json, sse, sse_error
from conversations.turns import Turn
from database.threads import in_database, release

#: Seconds of silence after which a comment keeps proxies from closing the stream.
KEEP_ALIVE = 15.0
#: How often a stream that is silent looks whether its reader may still read it.
BEAT = 1.0
DONE = "data: [DONE]\n\n"


class Reader:
    """Who reads an answer, and why they may not any more."""

    kind = "stream"

    def __init__(self, request: Request, of_others: Collection[UUID] = ()) -> None:
        assert isinstance(request.auth, Session | Visit)
        self.user = signed_in(request)
        self.credential = watch.credential_of(request.auth)
        self.of_others = of_others
        self.refusal: Refusal | None = None

    async def lose_session(self) -> None:
        self.refusal = errors.SignedOut()

    async def lose_sight(self, message_id: UUID) -> None:
        self.refusal = errors.NotFound()


def event_stream(
    reader: Reader, message_id: UUID, after: int = 0, *first: events.Event
) -> StreamingHttpResponse:
    """Answer with the events of a reply from number `after` on, after `first`."""

    async def body() -> AsyncGenerator[str, None]:
        for event in first:
            yield sse(event)
        try:
            async with aclosing(_read(reader, message_id, after)) as steps:
                async for step in steps:
                    yield ": keep-alive\n\n" if step is None else sse(step)
        except Refusal as refusal:
            yield sse_error(refusal.body)
        yield DONE

    return _stream(body(), "text/event-stream")


def text_stream(reader: Reader, turn: Turn) -> StreamingHttpResponse:
    """Answer with the reply's plain text in chunks."""

    async def body() -> AsyncGenerator[str, None]:
        try:
            async with aclosing(_read(reader, turn.reply.pk)) as steps:
                async for step in steps:
                    match step:
                        case None:
                            yield ": keep-alive\n\n"
                        case events.ReplyDelta():
                            yield plain_chunk(step.text)
                        case events.ReplyEnded(status="failed" | "interrupted"):
                            yield plain_error(step.detail)
        except Refusal as refusal:
            yield plain_error(str(refusal.detail))
        yield DONE

    return _stream(body(), "text/event-stream")


def finished_turn(reader: Reader, turn: Turn, status: int) -> StreamingHttpResponse:
    """Answer with the turn as JSON when its reply has ended.

    A stream, because a thread that waited would hold back all others. The status line
    is sent before the end is known; a body without a turn says what came between.
    """

    async def body() -> AsyncGenerator[str, None]:
        try:
            async with aclosing(_read(reader, turn.reply.pk)) as steps:
                async for step in steps:
                    if step is None:
                        yield " "
            yield dumps(await in_database(_stored_turn, turn))
        except Refusal as refusal:
            yield dumps(refusal.body)

    return _stream(body(), "application/json", status)


async def _read(
    reader: Reader, message_id: UUID, after: int = 0
) -> AsyncGenerator[events.Event | None, None]:
    """Yield the events of a reply, and None after every KEEP_ALIVE seconds of silence.

    Raises a Refusal as soon as `reader` is known to have lost what allowed it.
    """
    silence = 0.0
    with watch.over(reader):
        async with aclosing(relay.follow(message_id, after, BEAT)) as steps:
            async for step in steps:
                if reader.refusal is not None:
                    raise reader.refusal
                if step is not None:
                    silence = 0.0
                    yield step
                    continue
                silence += BEAT
                if silence >= KEEP_ALIVE:
                    silence = 0.0
                    yield None


def _stored_turn(turn: Turn) -> dict[str, Any]:
    """Return a turn as it is in the database; raises NotFound when it was deleted."""
    replies = Message.objects.select_related("generation", "parent")
    reply = replies.filter(pk=turn.reply.pk).first()
    if reply is None:
        raise errors.NotFound
    # What is answered has been read by now.
    said = reply.parent if turn.message else None
    return turn_json(said, reply)


def turn_json(message: Message | None, reply: Message) -> dict[str, Any]:
    return {
        "message": message_json(message) if message else None,
        "reply": message_json(reply),
    }


def plain_error(sentence: str) -> str:
    return f"event: error\ndata: {sentence}\n\n"


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
