"""Commands with odd values in every field, on both sockets: refused, and it goes on.

The commands are those the consumers handle, the fields those they read.
"""

import inspect
import json
import re

from accounts.tests.factories import alice
from config.tests.test_authorization_sockets import commands_of
from conversations import consumers
from conversations.consumers import JsonConsumer, PagesConsumer
from conversations.models import Message
from conversations.tests.factories import answer, make_conversation, say
from conversations.tests.socket_cases import SocketTestCase, cookie_of, token_of

#: What each command reads. `ping` reads nothing, and is answered whatever it brings.
FIELDS = {
    "message.send": {"conversation_id", "content", "client_id"},
    "message.stop": {"message_id"},
    "follow": {"message_id", "after"},
    "typing": {"conversation_id"},
    "read": {"conversation_id"},
    "watch": {"conversation_id"},
    "ping": set(),
}

#: What no field takes.
ODD = (
    *('"a\\u0000b"', '"\\ud800"', '"\\udfff"', "[]", "{}", '["x"]', '{"x": 1}'),
    *("true", "1.5", "NaN", "-Infinity", "1e999", "9" * 5_000, '""'),
    '"' + "x" * 100_000 + '"',
)
#: But for these: an empty client id is none, and `true` is Python's 1.
TAKEN = {("client_id", '""'), ("after", "true")}

NOT_COMMANDS = (
    *(" ", "x", "null", "[]", "5", '"ping"', "{", "{}", "NaN", "\0", '{"type": null}'),
    *('{"type": 5}', '{"type": ["ping"]}', '{"type": {}}', '{"type": "ping\\u0000"}'),
    *('{"type": "\\ud800"}', '{"type":' * 20_000, "[" * 100_000),
)


class FrameTests(SocketTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.conversation = make_conversation(cls.user)
        say(cls.conversation)
        cls.reply = answer(cls.conversation, "Good")
        cls.messages = Message.objects.count()
        cls.sockets = {
            "/ws/": (JsonConsumer, token_of(cls.user)),
            "/ws/pages/": (PagesConsumer, cookie_of(cls.user)),
        }

    def good(self, command: str) -> dict[str, str]:
        known = {
            "type": json.dumps(command),
            "conversation_id": f'"{self.conversation.pk}"',
            "message_id": f'"{self.reply.pk}"',
            "content": '"Good evening"',
        }
        return {k: v for k, v in known.items() if k in {"type", *FIELDS[command]}}

    def frames(self, consumer):
        yield from NOT_COMMANDS
        for command in commands_of(consumer):
            for name in FIELDS[command]:
                for value in ODD:
                    if (name, value) not in TAKEN:
                        fields = self.good(command) | {name: value}
                        inside = ", ".join(f'"{k}": {v}' for k, v in fields.items())
                        yield "{" + inside + "}"

    def test_every_field_of_every_command_is_tried(self):
        source = inspect.getsource(consumers)
        read = re.findall(r'(?:_in\(|\.get\()(?:frame, )?"(\w+)"', source)
        self.assertEqual(set(read) - {"type"}, set.union(*FIELDS.values()))
        commands = {
            c for kind, _headers in self.sockets.values() for c in commands_of(kind)
        }
        self.assertEqual(commands, set(FIELDS))

    async def test_an_odd_frame_is_refused_and_the_socket_goes_on(self):
        for path, (consumer, headers) in self.sockets.items():
            async with self.connected(path, headers) as socket:
                for frame in self.frames(consumer):
                    await socket.send_to(text_data=frame)
                    with self.subTest(path=path, frame=frame[:200]):
                        said = await socket.receive_from()
                        code = re.search(r'(?:"code": ?|data-code=)"(\w+)"', said)
                        self.assertIsNotNone(code, said)
                        self.assertIn(code[1], ("malformed", "invalid"), said)
                await socket.send_to(bytes_data=b"\x00\xff")
                self.assertIn("malformed", await socket.receive_from())
                self.assertTrue(await socket.hears_nothing())
        self.assertEqual(await Message.objects.acount(), self.messages)
