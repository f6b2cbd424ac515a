"""Every operation of the API, asked by everybody, with an invalid body.

Who must not is refused before what they sent is looked at; who may, is not. Who may
is written in `authorization_rules.py`.
"""

import re
import uuid
from collections.abc import Iterator

from django.test import Client, TestCase, override_settings

from config.tests import authorization_rules as rules
from config.tests.authorization_rules import Access
from config.tests.matrix import (
    ADMITTED,
    CLOSED,
    NOBODY,
    Matrix,
    access_of,
    pages,
    routes,
    strangers,
    told_so,
)
from config.tests.operations import Operation, operations
from config.tests.world import FOREIGN_FORGERIES, VISITORS, call

#: Change these on purpose: a route came or went, and its rule was thought about.
OPERATIONS = 61
PAGES = 168

INVALID = (b"{", b"[]", b'{"no such field": {}}')


class OperationTests(Matrix):
    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def ask(self, operation: Operation, address: str, body: bytes, headers):
        kind = "multipart/form-data" if body == b"{" else "application/json"
        kind = kind if operation.content_type == "multipart/form-data" else None
        return call(
            self.client,
            operation.method,
            address,
            body if operation.method != "GET" else b"",
            content_type=kind or "application/json",
            headers=headers,
        )

    def each(self, *kinds: Access) -> Iterator[tuple[Operation, str, bytes, Access]]:
        for operation in operations():
            access = access_of(str(operation), operation.path, rules.OPERATIONS)
            if access in kinds:
                named = "{" in operation.path
                it = self.world.object_at(operation.path) if named else ""
                for body in INVALID:
                    yield operation, operation.address(it), body, access

    def assert_unknown(self, answer):
        self.assertEqual(answer.status_code, 401, answer.content)
        self.assertEqual(answer.json()["code"], "not_authenticated")

    def test_who_is_not_known_is_refused(self):
        for operation, address, body, access in self.each(*CLOSED):
            right = "admin" if access is Access.ADMIN else "owner"
            for actor in NOBODY:
                headers = self.world.headers(actor, right)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    self.assert_unknown(self.ask(operation, address, body, headers))

    def test_the_operator_key_opens_nothing_of_a_user(self):
        headers = self.world.headers("operator_key")
        for operation, address, body, _access in self.each(
            *(access for access in CLOSED if access is not Access.ADMIN)
        ):
            with self.undone(operation=str(operation), body=body):
                self.assert_unknown(self.ask(operation, address, body, headers))

    @override_settings(ADMIN_SECRET="")
    def test_where_no_secret_is_set_the_operator_key_opens_nothing(self):
        for headers in (self.world.headers("operator_key"), {"x-admin-key": ""}):
            for operation, address, body, _access in self.each(*CLOSED):
                with self.undone(operation=str(operation), body=body):
                    self.assert_unknown(self.ask(operation, address, body, headers))

    @override_settings(JWT_ISSUERS=[])
    def test_where_no_issuer_is_known_its_tokens_open_nothing(self):
        for operation, address, body, access in self.each(*CLOSED):
            right = "admin" if access is Access.ADMIN else "owner"
            for actor in (*VISITORS, *FOREIGN_FORGERIES):
                headers = self.world.headers(actor, right)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    self.assert_unknown(self.ask(operation, address, body, headers))

    def test_who_has_to_set_up_a_second_factor_is_told_so(self):
        headers = self.world.headers("held_back")
        open_to_them = set()
        for operation, address, body, _access in self.each(*CLOSED):
            with self.undone(operation=str(operation), body=body):
                answer = self.ask(operation, address, body, headers)
                self.assertLess(answer.status_code, 500)
                if answer.status_code == 403:
                    self.assertEqual(answer.json()["code"], "totp_setup_required")
                else:
                    open_to_them.add(str(operation))
        self.assertEqual(open_to_them, set(rules.BEFORE_SECOND_FACTOR))

    def test_what_is_somebody_elses_does_not_exist(self):
        for operation, address, body, access in self.each(
            Access.OWNER, Access.READERS, Access.WRITER, Access.LEADER
        ):
            nowhere = operation.address(str(uuid.uuid4()))
            for actor in strangers(access) - told_so(access):
                headers = self.world.headers(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    missing = self.ask(operation, nowhere, body, headers)
                    self.assertEqual(answer.status_code, 404, answer.content)
                    self.assertEqual(answer.content, missing.content)

    def test_what_may_only_be_read_is_not_changed(self):
        for operation, address, body, access in self.each(Access.WRITER, Access.LEADER):
            for actor in told_so(access):
                headers = self.world.headers(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    self.assertEqual(answer.status_code, 403, answer.content)
                    self.assertEqual(answer.json()["code"], "permission_denied")

    def test_what_is_for_administrators_is_for_nobody_else(self):
        for operation, address, body, access in self.each(Access.ADMIN):
            for actor in strangers(access):
                headers = self.world.headers(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    self.assertEqual(answer.status_code, 403, answer.content)
                    self.assertEqual(answer.json()["code"], "permission_denied")

    def test_whoever_may_is_let_through(self):
        without_session = set()
        for operation, address, body, access in self.each(*Access):
            for actor in ADMITTED[access]:
                headers = self.world.headers(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    if actor in VISITORS and answer.status_code == 403:
                        self.assertEqual(answer.json()["code"], "no_session")
                        without_session.add(str(operation))
                        continue
                    self.assertNotIn(answer.status_code, (401, 403, 404))
                    self.assertLess(answer.status_code, 500)
        self.assertEqual(without_session, set(rules.NEEDS_SESSION))


class TableTests(TestCase):
    def test_every_address_of_the_api_is_an_operation(self):
        described = {
            re.sub(r"{\w+}", "{}", operation.path) for operation in operations()
        }
        for route in routes():
            if route.startswith("api/v1/") and route not in rules.NOT_OPERATIONS:
                with self.subTest(route):
                    path = re.sub("<[^>]+>", "{}", route.removeprefix("api/v1"))
                    self.assertIn(path, described)

    def test_no_exception_is_stale(self):
        known = {str(operation): operation.path for operation in operations()}
        known |= {route: route for route in pages()}
        for name, (access, reason) in {**rules.OPERATIONS, **rules.PAGES}.items():
            with self.subTest(name):
                self.assertTrue(reason)
                self.assertIn(name, known)
                self.assertIsNot(rules.default(known[name]), access)
        self.assertLessEqual(set(rules.NOT_OPERATIONS), set(routes()))
        self.assertLessEqual(set(rules.NOT_PAGES), set(routes()))
        for beginning in rules.PAGES_BEFORE_SECOND_FACTOR:
            with self.subTest(beginning):
                self.assertTrue(
                    [page for page in pages() if page.startswith(beginning)]
                )

    def test_it_is_known_how_much_is_covered(self):
        self.assertEqual(len(operations()), OPERATIONS)
        self.assertEqual(len(list(pages())), PAGES)
