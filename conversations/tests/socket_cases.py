"""Sockets against the application itself, without a server."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

from channels.routing import get_default_application
from channels.testing import WebsocketCommunicator
from django.test import Client

from accounts.models import User
from accounts.tests.factories import bearer
from conversations.tests.cases import PATIENCE, ReplyTestCase

Headers = list[tuple[bytes, bytes]]
ENDS = {"reply.finished", "reply.stopped", "reply.interrupted", "reply.failed"}


application = get_default_application()


class Connected(WebsocketCommunicator):
    """A client whose handshake was accepted."""

    async def command(self, kind: Any, **fields: Any) -> None:
        await self.send_to(text_data=json.dumps({"type": kind, **fields}))

    async def next(self) -> dict[str, Any]:
        """Return the next JSON event."""
        event: dict[str, Any] = json.loads(await self.receive_from(PATIENCE))
        return event

    async def until_end(self) -> list[dict[str, Any]]:
        """Return the events up to the end of a reply."""
        events = [await self.next()]
        while events[-1]["type"] not in ENDS:
            events.append(await self.next())
        return events

    async def hears_nothing(self) -> bool:
        return bool(await self.receive_nothing(0.05, 0.005))

    async def closed_with(self) -> int:
        """Return the code with which the server closes, whatever it says before."""
        while True:
            message = await self.receive_output(PATIENCE)
            if message["type"] == "websocket.close":
                return int(message["code"])


class SocketTestCase(ReplyTestCase):
    def setUp(self) -> None:
        # Channels would close the connection that has this test's transaction.
        patch = mock.patch("channels.db.close_old_connections")
        patch.start()
        self.addCleanup(patch.stop)

    @asynccontextmanager
    async def connected(self, path="/ws/", headers: Headers = (), subprotocols=None):
        socket = Connected(application, path, list(headers), subprotocols)
        is_accepted, _subprotocol = await socket.connect(PATIENCE)
        assert is_accepted, _subprotocol
        try:
            yield socket
        finally:
            await socket.disconnect()
            await asyncio.sleep(0)

    async def refused_with(self, path, headers: Headers = (), subprotocols=None):
        """Return the code with which a handshake is refused; None if it is not."""
        socket = Connected(application, path, list(headers), subprotocols)
        is_accepted, code = await socket.connect(PATIENCE)
        if is_accepted:
            await socket.disconnect()
            return None
        return code


def token_of(user: User) -> Headers:
    return [(b"authorization", f"Bearer {bearer(user)}".encode())]


def cookie_of(user: User, origin: bytes | None = b"http://localhost") -> Headers:
    """Return the headers of a page of ours with the user's session."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies["session"].value
    headers = [(b"cookie", f"session={cookie}".encode()), (b"host", b"localhost")]
    return headers + ([(b"origin", origin)] if origin else [])
