"""What tests of replies being written have in common."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from asgiref.sync import sync_to_async
from django.test import AsyncClient, TestCase, override_settings

from accounts.models import User
from accounts.tests.factories import alice, bearer
from conversations import generations, relay, turns, watch
from conversations.events import Event, ReplyDelta
from conversations.models import Conversation, Message
from conversations.tests.factories import make_conversation
from conversations.turns import Turn

PATIENCE = 10.0


async def until(is_so: Callable[[], Any]) -> None:
    """Wait until `is_so()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.002)


async def everything(message_id: uuid.UUID, after: int = 0) -> list[Event]:
    """Follow a reply to its end."""
    async with asyncio.timeout(PATIENCE):
        return [event async for event in relay.follow(message_id, after)]


async def first(message_id: uuid.UUID, count: int, after: int = 0) -> list[Event]:
    """Follow a reply for so many events."""
    found: list[Event] = []
    async with (
        asyncio.timeout(PATIENCE),
        aclosing(relay.follow(message_id, after)) as steps,
    ):
        while len(found) < count:
            found.append(await anext(steps))
    return found


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReplyDelta))


def types_of(events: list[Event]) -> list[str]:
    return [event.type for event in events]


# Redis between processes is tested with real processes; here one process is enough.
@override_settings(REDIS_URL="", CHAT_RATE="1000/m")
class ReplyTestCase(TestCase):
    """Alice has a conversation."""

    user: User
    conversation: Conversation

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = alice()
        cls.conversation = make_conversation(cls.user)

    def tearDown(self) -> None:
        # A test may end, and its event loop with it, before a reply has begun.
        generations._runs.clear()
        relay.live.clear()
        watch._listeners.clear()

    async def open(self, content: str = "Hello", **fields: Any) -> Turn:
        """Open a turn and begin to write its reply."""
        turn = await sync_to_async(turns.open)(
            self.user, self.conversation.pk, content, **fields
        )
        generations.start(turn)
        return turn

    async def resume(self, reply: Message) -> Turn:
        turn = await sync_to_async(turns.resume)(self.user, reply.pk)
        generations.start(turn)
        return turn

    async def stored(self, reply: Message) -> Message:
        """Return a reply as it is in the database."""
        return await Message.objects.select_related("generation").aget(pk=reply.pk)

    async def settled(self, reply: Message) -> Message:
        """Return a reply as it is stored when it has ended."""
        await until(lambda: reply.pk not in generations._runs)
        return await self.stored(reply)


class ApiTestCase(ReplyTestCase):
    """Alice signs in and talks through the API."""

    async_client: AsyncClient

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.headers = {"authorization": f"Bearer {bearer(cls.user)}"}

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> Any:
        """Send a request of Alice's, or with other headers of somebody else's."""
        return await self.async_client.generic(
            method,
            f"/api/v1{path}",
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers={**self.headers, **headers},
        )


async def read(response: Any) -> str:
    """Return the whole body, also of a stream."""
    if not response.streaming:
        return str(response.content.decode())
    async with asyncio.timeout(PATIENCE):
        parts = [part async for part in response.streaming_content]
    return b"".join(parts).decode()


def sse_events(body: str) -> list[dict[str, Any]]:
    """Read an event stream as a browser does: line by line."""
    found: list[dict[str, Any]] = []
    for block in body.split("\n\n"):
        lines = [line for line in block.split("\n") if line and line[0] != ":"]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            assert len(fields) == len(lines), block
            found.append(fields)
    return found
