"""Every socket and every command on it, asked by everybody.

The sockets are those of `routing.py`, the commands those their consumers handle.
"""

import inspect
import re

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.conf import settings
from django.test import override_settings

from accounts.authentication.sessions import issue_ticket
from accounts.models import Session
from config.routing import websocket_urls
from config.tests.world import (
    FOREIGN_FORGERIES,
    FORGERIES,
    KEYS,
    PEOPLE,
    VISITORS,
    World,
    configured,
)
from conversations.consumers import JsonConsumer, PagesConsumer
from conversations.tests.socket_cases import SocketTestCase

SOCKETS = {r"^ws/?$": JsonConsumer, r"^ws/pages/?$": PagesConsumer}

#: What each command names, and who finds it there beside the owner.
OBJECTS = {
    "message.send": "conversation",
    "message.stop": "reply",
    "follow": "reply",
    "typing": "conversation",
    "read": "conversation",
    "watch": "conversation",
    "ping": "",
}
#: The one command that only reads, and who may; of others they are told so.
READING = {"follow"}
READERS = {"owner", "supervisor", "admin"}
#: Whose objects they are, in their own session or by a token of another service.
OWNER = {"owner", "visiting_owner"}


def commands_of(consumer: type[AsyncWebsocketConsumer]) -> list[str]:
    return re.findall(r'case "([^"]+)":', inspect.getsource(consumer.handle))


@configured
class SocketMatrix(SocketTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()
        cls.user, cls.conversation = cls.world.owner, cls.world.conversation
        cls.tickets = {
            actor: issue_ticket(Session.objects.get(user=user))
            for actor, user in cls.world.users.items()
        }

    def token(self, actor):
        headers = self.world.headers(actor)
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    def cookie(self, actor, origin=b"http://localhost"):
        key = f"{settings.SESSION_COOKIE_NAME}={self.world.cookies[actor]}"
        headers = [(b"cookie", key.encode()), (b"host", b"localhost")]
        return [*headers, (b"origin", origin)] if origin else headers

    def test_there_is_no_other_socket(self):
        assert isinstance(websocket_urls, URLRouter)
        routes = [str(route.pattern) for route in websocket_urls.routes]
        self.assertEqual(routes, [*SOCKETS, ""])

    def test_every_command_is_asked(self):
        commands = {c for consumer in SOCKETS.values() for c in commands_of(consumer)}
        self.assertEqual(commands, set(OBJECTS))

    async def test_it_opens_for_who_is_known(self):
        for actor in (*PEOPLE, *VISITORS):
            token = self.world.token(actor)
            with self.subTest(actor):
                self.assertIsNone(await self.refused_with("/ws/", self.token(actor)))
                self.assertIsNone(
                    await self.refused_with("/ws/", subprotocols=["bearer", token])
                )
        for actor in PEOPLE:
            with self.subTest(actor):
                self.assertIsNone(
                    await self.refused_with(f"/ws/?ticket={self.tickets[actor]}")
                )
                cookie = self.cookie(actor)
                self.assertIsNone(await self.refused_with("/ws/pages/", cookie))

    async def test_it_opens_for_nobody_else(self):
        for actor in (
            *("anonymous", "deactivated", "held_back"),
            *(*FORGERIES, *FOREIGN_FORGERIES, *KEYS),
        ):
            headers = self.token(actor)
            with self.subTest(actor):
                self.assertTrue(await self.refused_with("/ws/", headers))
                value = headers[0][1].decode().split()[-1] if headers else ""
                self.assertTrue(
                    await self.refused_with("/ws/", subprotocols=["bearer", value])
                )
                self.assertTrue(await self.refused_with(f"/ws/?ticket={value}"))
                # Where the operator allows it, and where not.
                for is_allowed in (True, False):
                    with override_settings(WS_QUERY_TOKEN=is_allowed):
                        address = f"/ws/?token={value}"
                        self.assertTrue(await self.refused_with(address))
        for actor in ("deactivated", "held_back"):
            with self.subTest(actor):
                ticket = self.tickets[actor]
                self.assertTrue(await self.refused_with(f"/ws/?ticket={ticket}"))
                cookie = self.cookie(actor)
                self.assertTrue(await self.refused_with("/ws/pages/", cookie))

    async def test_what_opens_the_api_opens_no_socket_of_pages(self):
        ours = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
        for actor in (*PEOPLE, *VISITORS, *FORGERIES, *KEYS):
            headers = self.token(actor) + ours
            with self.subTest(actor):
                self.assertTrue(await self.refused_with("/ws/pages/", headers))

    async def test_the_cookie_is_not_enough_from_another_site(self):
        for origin in (None, b"http://evil.example", b"null", b"http://localhost.evil"):
            cookie = self.cookie("owner", origin)
            with self.subTest(origin):
                self.assertTrue(await self.refused_with("/ws/pages/", cookie))

    async def test_a_ticket_opens_one_socket(self):
        address = f"/ws/?ticket={self.tickets['owner']}"
        self.assertIsNone(await self.refused_with(address))
        self.assertTrue(await self.refused_with(address))

    async def test_what_is_somebody_elses_does_not_exist(self):
        for command in commands_of(JsonConsumer):
            for actor in {*PEOPLE, *VISITORS} - self.admitted(command):
                if OBJECTS[command]:
                    answer = await self.answer_to(command, actor)
                    with self.subTest(command=command, actor=actor):
                        self.assertEqual(answer["type"], "error", answer)
                        is_told = actor in READERS
                        code = "permission_denied" if is_told else "not_found"
                        self.assertEqual(answer["code"], code, answer)

    async def test_what_is_somebody_elses_does_not_exist_for_pages(self):
        for command in commands_of(PagesConsumer):
            for actor in set(PEOPLE) - self.admitted(command):
                if OBJECTS[command]:
                    headers = self.cookie(actor)
                    async with self.connected("/ws/pages/", headers) as socket:
                        await socket.command(command, **self.named(command))
                        answer = await socket.receive_from()
                    with self.subTest(command=command, actor=actor):
                        is_told = actor in READERS
                        code = "permission_denied" if is_told else "not_found"
                        self.assertIn(f'data-code="{code}"', answer)
                        self.assertNotIn("Good", answer)

    def admitted(self, command):
        return OWNER | READERS if command in READING else OWNER

    async def answer_to(self, command, actor):
        async with self.connected("/ws/", self.token(actor)) as socket:
            await socket.command(command, **self.named(command))
            return await socket.next()

    def named(self, command):
        """Return the fields that name Alice's object, and one that is not valid."""
        conversation = {"conversation_id": str(self.world.conversation.pk)}
        reply = {"message_id": str(self.world.reply.pk)}
        named = {"conversation": conversation, "reply": reply}[OBJECTS[command]]
        return {**named, "content": ""}
