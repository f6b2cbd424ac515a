"""Bodies no client should send, to every operation: a 4xx in our shape, and soon.

"Soon" is counted, in calls and statements, and not timed: machines differ.
"""

import json
import sys
from contextlib import contextmanager
from itertools import count
from unittest import mock

from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection, transaction
from django.test import Client, TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from config.tests.matrix import right_for
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
NOT_TEXTS = [
    *("a\0b", "\ud800", [], {}, ["x"], {"x": 1}),
    *(True, 5, 1.5, "x" * 1_000_000),
]
NOT_NUMBERS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"9" * 10_000,
    b"9" * 400,
    b'"x"',
    b"[]",
    b"{}",
]
#: What a refusal may cost: functions called, and statements sent to the database.
CALLS = 50_000
STATEMENTS = 12
NOT_IDS = ["x", 5, [], {}, "../admin", "\0", "\ud800"]

#: Operations whose body may be left out, and why.
MAY_BE_EMPTY = {"DELETE /me": "who has no password has nothing to say"}

CONTENT_TYPES = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "",
]


class Unreadable:
    """A body that fails whoever reads it."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("The body is read.")

    readline = read


@override_settings(RATELIMIT_ENABLE=False)
class BodyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()
        cls.known = cls.world.known()

    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def send(
        self,
        operation: Operation,
        body,
        content_type="application/json",
        **environment,
    ):
        named = "{" in operation.path
        right = right_for(operation)
        with scripted("never") as script:
            answer = call(
                self.client,
                operation.method,
                operation.address(
                    self.world.object_at(operation.path) if named else ""
                ),
                body,
                content_type=content_type,
                headers=self.world.headers(right),
                **environment,
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
            with cheaply(self):
                answer = self.send(operation, body, *args, **kwargs)
            transaction.set_rollback(True)
            self.assertIn(answer.status_code, range(400, 500), answer.content[:200])
            told = answer.json()
            self.assertLessEqual({"code", "detail"}, set(told))
            self.assertTrue(told["code"])
            self.assertTrue(told["detail"])
            yield answer

    def valid(self, operation: Operation) -> dict:
        return {
            name: sample(name, operation.fields[name], self.known)
            for name in operation.required
        }

    def test_it_takes_only_objects(self):
        for operation in with_json():
            for body in NOT_OBJECTS:
                with self.refused(operation, body):
                    pass

    def test_it_wants_a_body_where_it_says_so(self):
        for operation in with_json():
            if str(operation) not in MAY_BE_EMPTY:
                assert operation.spec["requestBody"]["required"], operation
                with self.refused(operation, b""):
                    pass
                with self.refused(operation, b"", content_type=""):
                    pass

    def test_an_empty_object_changes_nothing(self):
        for operation in with_json():
            if operation.method == "PATCH" and not operation.path.endswith("/active"):
                with self.subTest(str(operation)):
                    answer = self.send(operation, b"{}")
                    self.assertEqual(answer.status_code, 200, answer.content)

    def test_it_wants_every_field_that_is_required(self):
        for operation in with_json():
            for name in operation.required:
                body = self.valid(operation)
                del body[name]
                with self.refused(operation, body) as answer:
                    self.assertIn(answer.status_code, (400, 409))

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
        for operation in with_json():
            with self.refused(
                operation,
                b"",
                CONTENT_LENGTH=str(50 * 1024 * 1024),
                **{"wsgi.input": Unreadable()},
            ) as answer:
                self.assertEqual(answer.status_code, 413)
                self.assertEqual(answer.json()["code"], "too_large")

    def test_of_a_name_that_comes_twice_the_last_value_counts(self):
        # As JSON readers have it; what matters is that all of ours agree.
        patch = next(o for o in with_json() if str(o) == "PATCH /me")
        answer = self.send(patch, b'{"display_name": "A", "display_name": "B"}')
        self.assertEqual(answer.json()["display_name"], "B")


@contextmanager
def cheaply(test: TestCase):
    """Fail for what takes long: many calls, many statements, or a hashed password."""
    calls = count()

    def note(_frame, event, _argument):
        if event == "call":
            next(calls)

    hashing = mock.patch.object(MD5PasswordHasher, "encode")
    with CaptureQueriesContext(connection) as statements, hashing as hashed:
        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)
    test.assertLess(next(calls), CALLS)
    test.assertLessEqual(len(statements), STATEMENTS)
    hashed.assert_not_called()


def wrong_values(schema) -> list[bytes]:
    """Return JSON that no field of this schema takes."""
    schema = resolved(schema)
    null = [] if schema.get("nullable") else [b"null"]
    return null + wrong_types(schema)


def wrong_types(schema) -> list[bytes]:
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
