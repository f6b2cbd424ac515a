"""`/ws/`: frames no client should send leave the socket usable."""

import uuid
from unittest import mock

from asgiref.sync import sync_to_async
from django.db import OperationalError

from accounts.tests.factories import charlie
from conversations import turns
from conversations.models import Message
from conversations.tests.socket_cases import token_of
from conversations.tests.test_json_socket import JsonSocketTestCase


class MalformedTests(JsonSocketTestCase):
    async def test_it_answers_frames_that_are_no_commands(self):
        frames = [
            " ",
            "x",
            "null",
            "[]",
            "5",
            '"ping"',
            "{",
            "{}",
            "NaN",
            '{"type": null}',
            '{"type": 5}',
            '{"type": ["ping"]}',
            '{"type": {}}',
            '{"type": "admin"}',
            '{"type": "\\ud800"}',
            '{"type": "message.created"}',
            '{"type":' * 20_000,
            "[" * 100_000,
            '{"type": "follow", "after": ' + "9" * 10_000 + "}",
        ]
        async with self.socket() as socket:
            for frame in frames:
                await socket.send_to(text_data=frame)
                answer = await socket.next()
                assert answer["type"] == "error", frame[:50]
                assert answer["code"] == "malformed"
                assert answer["detail"]
            await socket.send_to(bytes_data=b"\x00\xff")
            assert (await socket.next())["code"] == "malformed"
            await self.assert_usable(socket)

    async def test_it_answers_commands_with_odd_values(self):
        here = str(self.conversation.pk)
        commands = [
            ("message.send", {}),
            ("message.send", {"conversation_id": here}),
            ("message.send", {"conversation_id": here, "content": None}),
            ("message.send", {"conversation_id": here, "content": 5}),
            ("message.send", {"conversation_id": here, "content": "   "}),
            ("message.send", {"conversation_id": here, "content": "a\x00b"}),
            ("message.send", {"conversation_id": here, "content": "\ud800"}),
            ("message.send", {"conversation_id": here, "content": "x" * 40_000}),
            ("message.send", {"conversation_id": "x", "content": "Hello"}),
            ("message.send", {"conversation_id": None, "content": "Hello"}),
            ("message.send", {"conversation_id": [here], "content": "Hello"}),
            *(
                (
                    "message.send",
                    {"conversation_id": here, "content": "Hi", "client_id": client_id},
                )
                for client_id in (5, [], {}, True, "x" * 65, "\x00", "\udfff")
            ),
            ("message.stop", {}),
            ("message.stop", {"message_id": {}}),
            ("follow", {"message_id": "\x00"}),
            ("typing", {"conversation_id": "\ud800"}),
            ("read", {}),
        ]
        async with self.socket() as socket:
            for kind, fields in commands:
                await socket.command(kind, **fields)
                answer = await socket.next()
                assert answer["type"] == "error", (kind, fields)
                assert answer["code"] in ("malformed", "invalid"), answer
                assert answer["command"] == kind
            await self.assert_usable(socket)
        assert not await Message.objects.aexists()

    async def test_it_finds_nothing_of_anybody_else(self):
        reply = await self.reply()
        headers = await sync_to_async(lambda: token_of(charlie()))()
        answers = []
        async with self.socket(headers) as socket:
            for pk, conversation_pk in (
                (reply.pk, self.conversation.pk),
                (uuid.uuid4(), uuid.uuid4()),
            ):
                for kind in (
                    "message.send",
                    "message.stop",
                    "follow",
                    "typing",
                    "read",
                ):
                    await socket.command(
                        kind,
                        message_id=str(pk),
                        conversation_id=str(conversation_pk),
                        content="Hello",
                    )
                    answers.append(await socket.next())
            assert await socket.hears_nothing()

        assert {answer["code"] for answer in answers} == {"not_found"}
        assert answers[:5] == answers[5:]

    async def test_it_says_when_the_database_is_away(self):
        async with self.socket() as socket:
            with (
                mock.patch.object(turns, "open", side_effect=OperationalError),
                self.assertLogs("tertulia.app", "ERROR"),
            ):
                await self.send(socket, client_id="one")
                answer = await socket.next()
            await self.assert_usable(socket)

        assert (answer["code"], answer["client_id"]) == ("unavailable", "one")

    async def test_it_slows_a_flood_down(self):
        with mock.patch("conversations.sockets.COMMAND_RATE", "5/m"):
            async with self.socket() as socket:
                for _ in range(6):
                    await socket.command("ping")
                answers = [await socket.next() for _ in range(6)]

        assert [a.get("code") for a in answers] == [None] * 5 + ["rate_limited"]
        assert answers[-1]["retry_after"] > 0
