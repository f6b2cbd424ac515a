"""Text that no database holds, wherever text can be sent: in addresses, headers, forms.

NUL, and bytes that are half a surrogate pair or no UTF-8 at all. JSON is the subject
of `test_bodies.py`, frames of sockets that of `test_odd_frames.py`.
"""

import itertools
import json
import re
import socket
from urllib.parse import quote_from_bytes, urlencode

import pytest
from django.apps import apps
from django.db import transaction
from django.test import Client, TestCase, override_settings

from config.testing import Server
from config.testing.server import PASSWORD as SERVER_PASSWORD
from config.tests.forms import FORMS
from config.tests.matrix import pages, right_for
from config.tests.operations import Operation, operations, sample
from config.tests.world import World, call
from conversations.models import Message
from llm.testing import scripted

URLENCODED = "application/x-www-form-urlencoded"
NUL = b"a\0b"
#: As somebody would write them into an address or a form.
ODD_BYTES = (NUL, b"\xed\xa0\x80", b"\xff")

#: Headers that somebody here reads or keeps; those that are refused by themselves.
HEADERS: tuple[tuple[str, ...], ...] = (
    ("user-agent", "x-request-id", "x-forwarded-for", "accept-language", "referer"),
    ("x-admin-key",),
    ("last-event-id",),
)
#: What pages are asked for in their address, beside what is there.
QUERY = ("before", "next", "q", "page", "p", "o", "e", "action")


@override_settings(RATELIMIT_ENABLE=False, CHAT_RATE="1000/m", TRUSTED_PROXY_HOPS=1)
class OddTextTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()
        Message.objects.filter(pk=cls.world.reply.pk).update(status="interrupted")
        cls.known = cls.world.known()

    def assert_in_order(self, answer):
        """Fail for a fault of the server's, and for what was kept of a NUL."""
        self.assertLess(answer.status_code, 500, getattr(answer, "content", b"")[:300])
        is_kept = answer.status_code < 400 and answer.wsgi_request.method != "GET"
        for model in apps.get_models() if is_kept else ():
            for row in model._base_manager.values():
                self.assertNotIn("\\u0000", json.dumps(row, default=str))

    def address(self, operation: Operation) -> str:
        named = "{" in operation.path
        return operation.address(self.world.object_at(operation.path) if named else "")

    def send(self, operation: Operation, address: str, headers=()):
        right = right_for(operation)
        body = {
            name: sample(name, operation.fields[name], self.known)
            for name in operation.required
        }
        with scripted("Good."):
            return call(
                Client(raise_request_exception=False),
                operation.method,
                address,
                body if operation.content else b"",
                headers=self.world.headers(right) | dict(headers),
            )


class AddressTests(OddTextTestCase):
    def test_an_operation_takes_it_in_no_parameter(self):
        for operation in operations():
            for parameter in operation.spec.get("parameters", ()):
                for odd in ODD_BYTES:
                    if parameter["in"] != "query":
                        continue
                    query = f"?{parameter['name']}={quote_from_bytes(odd)}"
                    with self.subTest(str(operation) + query), transaction.atomic():
                        answer = self.send(operation, self.address(operation) + query)
                        self.assert_in_order(answer)
                        transaction.set_rollback(True)
                        # Other bytes are read as the sign for what is unreadable.
                        if odd == NUL or parameter["schema"]["type"] != "string":
                            self.assertEqual(answer.status_code, 400, answer.content)

    def test_an_operation_finds_nothing_under_it(self):
        for operation in operations():
            if "{" in operation.path:
                for odd in ODD_BYTES:
                    address = operation.address(quote_from_bytes(odd))
                    with self.subTest(f"{operation.method} {address}"):
                        answer = self.send(operation, address)
                        self.assert_in_order(answer)
                        self.assertEqual(answer.status_code, 404)
                        self.assertEqual(answer.json()["code"], "not_found")

    def test_no_page_is_asked_for_with_it(self):
        for route in dict.fromkeys(pages()):
            actor = "admin" if route.startswith("admin/") else "owner"
            address = self.world.page(route)
            for odd in ODD_BYTES:
                value = quote_from_bytes(odd)
                query = "&".join(f"{name}={value}" for name in QUERY)
                with self.subTest(address, odd=odd), transaction.atomic():
                    browser = self.world.browser(actor)
                    self.assert_in_order(browser.get(address + value))
                    answer = browser.get(f"{address}?{query}")
                    self.assert_in_order(answer)
                    if odd == NUL:
                        self.assertEqual(answer.status_code, 400)
                    transaction.set_rollback(True)


class HeaderTests(OddTextTestCase):
    def each(self):
        """Yield headers as servers hand them on."""
        for names in HEADERS:
            for odd in ODD_BYTES:
                yield dict.fromkeys(names, odd.decode("latin-1"))

    def test_no_operation_minds_it(self):
        for operation in operations():
            for headers in self.each():
                with self.subTest(str(operation), **headers), transaction.atomic():
                    address = self.address(operation)
                    self.assert_in_order(self.send(operation, address, headers))
                    transaction.set_rollback(True)

    def test_no_page_minds_it(self):
        for route, (actor, fields) in FORMS.items():
            form = {name: said for name, said in fields.items() if name != "file"}
            for headers in self.each():
                with (
                    self.subTest(route, **headers),
                    transaction.atomic(),
                    scripted("Good."),
                ):
                    browser = self.world.browser(actor)
                    answer = browser.post(self.world.page(route), form, headers=headers)
                    self.assert_in_order(answer)
                    transaction.set_rollback(True)


class FormTests(OddTextTestCase):
    def test_no_field_of_a_page_takes_it(self):
        for route, (actor, fields) in FORMS.items():
            for name in {*fields, "next"} - {"file"}:
                for odd in ODD_BYTES:
                    form = urlencode(fields | {name: odd})
                    with (
                        self.subTest(route, field=name, odd=odd),
                        transaction.atomic(),
                        scripted("Good."),
                    ):
                        answer = self.world.browser(actor).post(
                            self.world.page(route), form, content_type=URLENCODED
                        )
                        self.assert_in_order(answer)
                        transaction.set_rollback(True)


@pytest.mark.parametrize("odd", ODD_BYTES)
def test_a_real_server_takes_it_in_headers(shared_server: Server, odd: bytes):
    shared_server.sign_up(f"{odd.hex()}@example.org")
    known = {"email": f"{odd.hex()}@example.org", "password": SERVER_PASSWORD}
    body = json.dumps(known).encode()
    names = itertools.chain(*HEADERS)
    odd_headers = b"".join(b"%s: %s\r\n" % (name.encode(), odd) for name in names)

    with socket.create_connection(("127.0.0.1", shared_server.port), 30) as client:
        client.sendall(
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\n%s\r\n%s" % (len(body), odd_headers, body)
        )
        answer = client.recv(65536)

    assert re.match(rb"HTTP/1.1 (200|400) ", answer), answer
    assert "Traceback" not in shared_server.log
