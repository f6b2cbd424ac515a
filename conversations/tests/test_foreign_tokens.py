"""Tokens of another service on sockets and streams."""

import time
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import override_settings

from accounts.models import ExternalIdentity, User
from accounts.tests.key_server import KeyServer, SigningKey, claims, issuer
from accounts.tests.test_issuers import shared
from conversations import watch
from conversations.tests.socket_cases import SocketTestCase
from llm.testing import scripted


def headers(**changes):
    return [(b"authorization", f"Bearer {shared(**changes)}".encode())]


@override_settings(JWT_ISSUERS=[issuer()])
class ForeignSocketTests(SocketTestCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(watch, "WATCH_SECONDS", 0.02))

    async def send(self, socket):
        await socket.command(
            "message.send", conversation_id=str(self.conversation.pk), content="Hello"
        )

    async def test_it_opens_and_talks(self):
        with scripted("Good ", "evening"):
            async with self.connected("/ws/", headers()) as socket:
                await self.send(socket)
                events = await socket.until_end()

        assert events[-1]["type"] == "reply.finished"

    async def test_it_opens_with_a_token_as_subprotocol(self):
        assert await self.refused_with("/ws/", [], ["bearer", shared()]) is None

    async def test_it_refuses_a_token_that_is_not_good(self):
        for changes in ({"aud": "another"}, {"exp": 5}, {"email": "x@example.com"}):
            assert await self.refused_with("/ws/", headers(**changes)) == 4401

    async def test_it_closes_when_the_token_expires(self):
        expires = int(time.time()) - 9
        async with self.connected("/ws/", headers(exp=expires)) as socket:
            assert await socket.closed_with() == 4401

    async def test_it_closes_when_the_user_may_not_come_in_any_more(self):
        for change in ({"is_active": False}, {"role": User.Role.ADMIN}):
            async with self.connected("/ws/", headers()) as socket:
                await User.objects.aupdate(**change)
                assert await socket.closed_with() == 4401
            await User.objects.aupdate(is_active=True, role=User.Role.WORKER)

    async def test_it_closes_when_the_identity_is_removed(self):
        async with self.connected("/ws/", headers()) as socket:
            await ExternalIdentity.objects.all().adelete()

            assert await socket.closed_with() == 4401

    async def test_it_checks_before_every_command(self):
        with mock.patch.object(watch, "WATCH_SECONDS", 60):
            async with self.connected("/ws/", headers()) as socket:
                await User.objects.aupdate(is_active=False)
                await self.send(socket)

                assert (await socket.next())["code"] == "not_authenticated"
        assert not await self.conversation.messages.aexists()

    async def test_it_holds_nobody_up_while_keys_are_fetched(self):
        key = await sync_to_async(SigningKey)("one")
        with KeyServer(key) as server:
            server.delay = 0.5
            with override_settings(JWT_ISSUERS=[issuer(jwks_url=server.url)]):
                token = f"Bearer {key.sign(claims())}".encode()
                began = time.monotonic()
                async with self.connected("/ws/", [(b"authorization", token)]):
                    assert time.monotonic() - began >= 0.5


@override_settings(JWT_ISSUERS=[issuer()])
class ForeignStreamTests(SocketTestCase):
    def stream(self, token):
        return self.async_client.post(
            "/api/v1/chat/stream",
            {"conversation_id": str(self.conversation.pk), "content": "Hello"},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def test_it_streams(self):
        with scripted("Good ", "evening"):
            answer = await self.stream(shared())
            body = b"".join([part async for part in answer])

        assert answer.status_code == 200
        assert b"event: reply.finished" in body

    async def test_it_refuses_a_token_that_is_not_good(self):
        answer = await self.stream(shared(aud="another"))

        assert answer.status_code == 401
