"""Bodies no client should send, to every operation: a 4xx in our shape, and soon."""

import json
import time
from contextlib import contextmanager

from django.conf import settings
from django.db import transaction
from django.test import Client, TestCase, override_settings

from config.tests.operations import Operation, operations, resolved, sample, with_json
from config.tests.world import World, call
from llm.testing import scripted

NOT_OBJECTS = [
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"true",
    b"{",
    b"{'content': 'x'}",
    b"NaN",
    b"\x00",
    b"\xff\xfe",
    b'{"content": "\xff"}',
    b"[" * 10_000 + b"]" * 10_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"a": 1, "a": [' + b"[" * 100_000,
]

#: Where text belongs.
NOT_TEXTS = ["a\0b", "\ud800", [], {}, ["x"], {"x": 1}, True, "x" * 1_000_000]
NOT_NUMBERS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"9" * 10_000,
    b'"x"',
    b"[]",
    b"{}",
]
NOT_IDS = ["x", 5, [], {}, "../admin", "\0", "\ud800"]

CONTENT_TYPES = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "",
]


@override_settings(RATELIMIT_ENABLE=False)
class BodyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()
        cls.known = cls.world.known()

    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def send(self, operation: Operation, body, content_type="application/json"):
        named = "{" in operation.path
        right = "admin" if operation.path.startswith("/admin/") else "owner"
        with scripted("never") as script:
            answer = call(
                self.client,
                operation.method,
                operation.address(
                    self.world.object_at(operation.path) if named else ""
                ),
                body,
                content_type=content_type,
                headers=self.world.bearer(right),
            )
        self.assertEqual(script.requests, [])
        return answer

    @contextmanager
    def refused(self, operation: Operation, body, *args, **kwargs):
        shown = repr(body)[:60]
        with (
            self.subTest(operation=str(operation), body=shown, args=args),
            transaction.atomic(),
        ):
            # Its own time, not that of whatever else the machine does.
            begun = time.process_time()
            answer = self.send(operation, body, *args, **kwargs)
            took = time.process_time() - begun
            transaction.set_rollback(True)
            self.assertIn(answer.status_code, range(400, 500), answer.content[:200])
            told = answer.json()
            self.assertLessEqual({"code", "detail"}, set(told))
            self.assertTrue(told["code"])
            self.assertTrue(told["detail"])
            self.assertLess(took, 1)
            yield answer

    def valid(self, operation: Operation) -> dict:
        return {
            name: sample(name, operation.fields[name], self.known)
            for name in operation.required
        }

    def test_it_takes_only_objects(self):
        for operation in with_json():
            for body in [*NOT_OBJECTS, *([b""] if operation.required else [])]:
                with self.refused(operation, body):
                    pass

    def test_it_takes_only_values_of_the_fields_type(self):
        for operation in with_json():
            for name, schema in operation.fields.items():
                for value in wrong_values(schema):
                    given = json.dumps({**self.valid(operation), name: 0}).encode()
                    given = given.replace(
                        f'"{name}": 0'.encode(), f'"{name}": '.encode() + value
                    )
                    with self.refused(operation, given):
                        pass

    def test_it_takes_only_what_it_says_it_takes(self):
        for operation in operations():
            if operation.content:
                for content_type in set(CONTENT_TYPES) - {operation.content_type}:
                    with self.refused(operation, b"content=x", content_type):
                        pass

    def test_what_is_too_large_is_not_read(self):
        body = b'{"content": "' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'
        for operation in with_json():
            with self.refused(operation, body) as answer:
                self.assertEqual(answer.status_code, 413)
                self.assertEqual(answer.json()["code"], "too_large")

    def test_of_a_name_that_comes_twice_the_last_value_counts(self):
        # As JSON readers have it; what matters is that all of ours agree.
        patch = next(o for o in with_json() if str(o) == "PATCH /me")
        answer = self.send(patch, b'{"display_name": "A", "display_name": "B"}')
        self.assertEqual(answer.json()["display_name"], "B")


def wrong_values(schema) -> list[bytes]:
    """Return JSON that no field of this schema takes."""
    schema = resolved(schema)
    if "oneOf" in schema:
        schema = resolved(schema["oneOf"][0])
    match schema:
        case {"format": "uuid" | "date" | "date-time" | "uri" | "email"}:
            return [json.dumps(value).encode() for value in NOT_IDS]
        case {"enum": _}:
            return [json.dumps(v).encode() for v in ("virus", ["text"], {}, "\0")]
        case {"type": "integer" | "number"}:
            return NOT_NUMBERS
        case {"type": "boolean"}:
            return [b'"perhaps"', b"[]", b"{}", b"5", b"NaN"]
        case {"type": "array"}:
            return [b'"x"', b"{}", b"5", b'["a\\u0000b"]', b"[[[]]]"]
        case {"type": "string"}:
            return [json.dumps(value).encode() for value in NOT_TEXTS]
    return [b'"x\\u0000"', b"NaN"]
