"""What a client sends besides what it may say changes nothing, whatever its name."""

import json
from collections import Counter
from contextlib import contextmanager
from urllib.parse import urlencode

from django.db import transaction
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from accounts.tests.factories import PASSWORD
from accounts.tests.uploads import picture, upload
from config.tests.matrix import right_for
from config.tests.operations import JSON, MULTIPART, Operation, operations, sample
from config.tests.smuggling import SmugglingTestCase
from config.tests.world import call
from llm.testing import scripted

#: Operations whose own work looks like what was smuggled, and why.
OWN_WORK = {
    "POST /conversations/{id}/reset": ({"status"}, "it closes the conversation"),
}

#: What some operations want to be told to succeed.
SAYS = {
    "POST /auth/login": {"email": "alice@example.com"},
    "POST /me/password": {
        "current_password": PASSWORD,
        "new_password": "another correct horse",
    },
}

#: Operations that are refused in this world, with what they answer, and why.
REFUSED = {
    "DELETE /admin/characters/{slug}": (409, "Alice talks with it"),
    "DELETE /me/totp": (409, "Alice has no second factor"),
    "POST /me/totp/confirm": (409, "Alice has begun no set-up"),
    "POST /me/totp/recovery-codes": (409, "Alice has no second factor"),
}

CHANGES = ("POST", "PUT", "PATCH", "DELETE")


class MassAssignmentTests(SmugglingTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.known = cls.world.known()

    def test_it_changes_nothing_that_is_not_the_clients_to_say(self):
        for operation in operations():
            if operation.method not in CHANGES or operation.content_type != JSON:
                continue
            # Of an operation without a body one is not expected, and may come.
            with self.unchanged(operation):
                answer = self.send(operation, self.body(operation))

                status, _reason = REFUSED.get(str(operation), (None, ""))
                if status is None:
                    said = getattr(answer, "content", b"")
                    self.assertLess(answer.status_code, 400, said)
                else:
                    self.assertEqual(answer.status_code, status)

    def test_nor_do_the_fields_beside_a_file(self):
        with_files = [o for o in operations() if o.content_type == MULTIPART]
        self.assertTrue(with_files)
        for operation in with_files:
            with self.unchanged(operation):
                form = self.smuggled | {"file": upload(picture())}
                answer = self.send(
                    operation, encode_multipart(BOUNDARY, form), MULTIPART_CONTENT
                )
                self.assertEqual(answer.status_code, 200, answer.content)

    def test_forms_are_not_taken_for_json(self):
        forms = {
            MULTIPART_CONTENT: encode_multipart(BOUNDARY, self.smuggled),
            "application/x-www-form-urlencoded": urlencode(self.smuggled).encode(),
        }
        for operation in operations():
            if JSON not in operation.content:
                continue
            for content_type, body in forms.items():
                with self.unchanged(operation):
                    answer = self.send(operation, body, content_type)
                    # Some are refused before the body is looked at.
                    refused, _reason = REFUSED.get(str(operation), (415, ""))
                    self.assertIn(answer.status_code, (415, refused), answer.content)

    def test_no_exception_is_stale(self):
        exceptions = {*OWN_WORK, *SAYS, *REFUSED}
        self.assertLessEqual(exceptions, {str(o) for o in operations()})

    @contextmanager
    def unchanged(self, operation: Operation):
        with self.subTest(str(operation)), transaction.atomic():
            before = self.traces()
            yield
            new = self.traces() - before
            transaction.set_rollback(True)
            allowed, _reason = OWN_WORK.get(str(operation), (set(), ""))
            for name in allowed | self.may_say(operation):
                new.pop(name, None)
            self.assertEqual(new, Counter())

    def body(self, operation: Operation) -> bytes:
        plain = {
            name: sample(name, schema, self.known)
            for name, schema in operation.fields.items()
            if name in operation.required or name in self.known
        }
        # Where a field of that name is the client's to fill, what it says is good.
        said = self.smuggled | plain | SAYS.get(str(operation), {})
        return json.dumps(said).encode()

    def send(self, operation: Operation, body: bytes, content_type: str = JSON):
        named = "{" in operation.path
        right = right_for(operation)
        with scripted("Good."):
            return call(
                Client(raise_request_exception=False),
                operation.method,
                operation.address(
                    self.world.object_at(operation.path) if named else ""
                ),
                body,
                content_type=content_type,
                headers=self.world.headers(right),
            )

    def may_say(self, operation: Operation) -> set[str]:
        """Return what an administrator's operation is there to change."""
        is_admins = operation.path.startswith("/admin/")
        return set(operation.fields) if is_admins else set()
