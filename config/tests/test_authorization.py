"""Every operation, page and socket command, asked by everybody, with an invalid body.

Who must not is refused before what they sent is looked at; who may, is not. Who may
is written in `authorization_rules.py`.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import admin
from django.db import transaction
from django.test import Client, TestCase, override_settings
from django.urls import URLResolver, get_resolver

from config.tests import authorization_rules as rules
from config.tests.authorization_rules import Access
from config.tests.operations import Operation, operations
from config.tests.world import FORGERIES, PEOPLE, World, call

#: Change these on purpose: a route came or went, and its rule was thought about.
OPERATIONS = 52
PAGES = 171

NOBODY = ("anonymous", "deactivated")
INVALID = (b"{", b"[]", b'{"no such field": {}}')

#: What lets somebody through, for each kind of access.
ADMITTED = {
    Access.EVERYBODY: {*PEOPLE, "anonymous"},
    Access.SIGNED_IN: {*PEOPLE},
    Access.OWNER: {"owner"},
    Access.READERS: {"owner", "supervisor", "admin"},
    Access.WRITER: {"owner"},
    Access.ADMIN: {"admin"},
}


@override_settings(RATELIMIT_ENABLE=False)
class Matrix(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    @contextmanager
    def undone(self, **where):
        """Take back what a call changed, so that the next finds the same world."""
        with self.subTest(**where), transaction.atomic():
            yield
            transaction.set_rollback(True)


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

    def test_who_is_not_known_is_refused(self):
        for operation, address, body, access in self.each(
            *(Access.SIGNED_IN, Access.OWNER, Access.WRITER),
            *(Access.READERS, Access.ADMIN),
        ):
            right = "admin" if access is Access.ADMIN else "owner"
            for actor in (*NOBODY, *FORGERIES):
                headers = self.world.bearer(actor, right)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    self.assertEqual(answer.status_code, 401, answer.content)
                    self.assertEqual(answer.json()["code"], "not_authenticated")

    def test_what_is_somebody_elses_does_not_exist(self):
        for operation, address, body, access in self.each(
            Access.OWNER, Access.READERS, Access.WRITER
        ):
            nowhere = operation.address(str(uuid.uuid4()))
            for actor in set(PEOPLE) - ADMITTED[access] - told_so(access):
                headers = self.world.bearer(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    missing = self.ask(operation, nowhere, body, headers)
                    self.assertEqual(answer.status_code, 404, answer.content)
                    self.assertEqual(answer.content, missing.content)

    def test_what_may_only_be_read_is_not_changed(self):
        for operation, address, body, access in self.each(Access.WRITER):
            for actor in told_so(access):
                headers = self.world.bearer(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    self.assertEqual(answer.status_code, 403, answer.content)
                    self.assertEqual(answer.json()["code"], "permission_denied")

    def test_what_is_for_administrators_is_for_nobody_else(self):
        for operation, address, body, access in self.each(Access.ADMIN):
            for actor in set(PEOPLE) - ADMITTED[access]:
                headers = self.world.bearer(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    self.assertIn(answer.status_code, (403, 404), answer.content)

    def test_whoever_may_is_let_through(self):
        for operation, address, body, access in self.each(*Access):
            for actor in ADMITTED[access]:
                headers = self.world.bearer(actor)
                with self.undone(operation=str(operation), actor=actor, body=body):
                    answer = self.ask(operation, address, body, headers)
                    self.assertNotIn(answer.status_code, (401, 403, 404))
                    self.assertLess(answer.status_code, 500)


class PageTests(Matrix):
    def each(self, *kinds: Access) -> Iterator[tuple[str, str, Access, str]]:
        """Yield every page to be read, and to be sent an empty form."""
        for route in pages():
            access = access_of(route, route, rules.PAGES)
            if access in kinds:
                for method in ("GET", "POST"):
                    yield method, self.address(route), access, route

    def address(self, route: str) -> str:
        """Return the path of a route, with Alice's objects for its parameters."""
        if match := re.match(r"admin/(\w+)/(\w+)/<", route):
            model = {
                f"{model._meta.app_label}/{model._meta.model_name}": model
                for model in admin.site._registry
            }["/".join(match.groups())]
            first = model._default_manager.first()
            return "/" + re.sub("<[^>]+>", str(first.pk if first else "x"), route)
        owned = {
            "c/<": str(self.world.conversation.pk),
            "m/<": str(self.world.reply.pk),
            "characters/<": self.world.character.slug,
            "settings/sessions/<": str(uuid.uuid4()),
        }
        value = next((v for k, v in owned.items() if route.startswith(k)), "1")
        path = re.sub(r"\(\?P<app_label>[^)]+\)", "accounts", route)
        path = re.sub(r"\(\?P<folder>[^)]+\)", "avatars", path)
        path = re.sub(r"\(\?P<name>[^)]+\)", f"{'0' * 32}.webp", path)
        path = re.sub(r"\(\?P<\w+>[^)]+\)", "x", path)
        return "/" + re.sub(r"<[^>]+>", value, path).replace("^", "").removesuffix(
            r"\Z"
        ).rstrip("$")

    @contextmanager
    def answer(self, method: str, address: str, actor: str, **options):
        with self.undone(page=address, actor=actor, method=method):
            yield self.world.browser(actor, **options).generic(method, address)

    def assert_refused(self, answer, *statuses: int):
        if answer.status_code == 302:
            self.assertIn("/login/?next=", answer["Location"])
        else:
            # A page that takes only forms says so to whoever would read it.
            self.assertIn(answer.status_code, (*statuses, 405))

    def test_who_is_not_signed_in_is_sent_to_sign_in(self):
        for method, address, _access, _route in self.each(
            *(Access.SIGNED_IN, Access.OWNER, Access.WRITER),
            *(Access.READERS, Access.ADMIN),
        ):
            for actor in NOBODY:
                with self.answer(method, address, actor) as answer:
                    self.assert_refused(answer, 401, 403, 404)

    def test_what_is_somebody_elses_does_not_exist(self):
        for method, address, access, _route in self.each(
            Access.OWNER, Access.READERS, Access.WRITER
        ):
            for actor in set(PEOPLE) - ADMITTED[access]:
                refused = 403 if actor in told_so(access) else 404
                with self.answer(method, address, actor) as answer:
                    self.assertIn(answer.status_code, (refused, 405))

    def test_what_is_for_administrators_is_for_nobody_else(self):
        for method, address, access, _route in self.each(Access.ADMIN):
            for actor in set(PEOPLE) - ADMITTED[access]:
                with self.answer(method, address, actor) as answer:
                    self.assert_refused(answer, 403, 404)

    def test_whoever_may_is_let_through(self):
        turned_away = set()
        for method, address, access, route in self.each(*Access):
            for actor in ADMITTED[access]:
                with self.answer(method, address, actor) as answer:
                    self.assertLess(answer.status_code, 500)
                    self.assertNotEqual(answer.status_code, 401)
                    if access is not Access.EVERYBODY:
                        location = answer.headers.get("Location", "")
                        self.assertNotIn("/login/?next=", location)
                    # The admin site also says no to what a model does not allow.
                    if access is not Access.ADMIN and answer.status_code in (403, 404):
                        turned_away.add(route)
        self.assertEqual(turned_away, set(rules.TURNED_AWAY))

    def test_no_form_is_taken_from_another_site(self):
        for route in pages():
            address = self.address(route)
            with self.answer(
                "POST", address, "admin", enforce_csrf_checks=True
            ) as answer:
                self.assertIn(answer.status_code, (403, 405))


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

    def test_it_is_known_how_much_is_covered(self):
        self.assertEqual(len(operations()), OPERATIONS)
        self.assertEqual(len(list(pages())), PAGES)


def told_so(access: Access) -> set[str]:
    """Return who is told that something is not theirs: who knows that it is there."""
    known = ADMITTED[Access.READERS] if access is Access.WRITER else set()
    return known - ADMITTED[access]


def access_of(name: str, path: str, exceptions: rules.Exceptions) -> Access:
    return exceptions[name][0] if name in exceptions else rules.default(path)


def routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yield every route there is, as its patterns are written."""
    for pattern in (resolver or get_resolver()).url_patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, here)
        else:
            yield here


def pages() -> Iterator[str]:
    """Yield every route outside of the API."""
    return (route for route in routes() if not route.startswith("api/v1/"))
