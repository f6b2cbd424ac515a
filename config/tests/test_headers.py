"""The headers of docs/security.md on answers of every kind, refusals before all."""

import json
import socket
from http.client import HTTPConnection

from django.core.cache import cache
from django.test import Client, TestCase, override_settings

from accounts.tests.factories import ada, alice, auth
from config.bodies import BARE_HEADERS
from config.testing import Server
from config.tests.test_site import with_broken_views
from conversations.tests.factories import make_conversation
from llm.testing import scripted

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
DASHBOARD = "https://dashboard.example"
#: What every answer bears, over HTTPS.
EVERYWHERE = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
}
MUCH = b"x" * 3_000_000
LOGIN = "/api/v1/auth/login"
SIGN_IN = "/accounts/login/"

#: Method, address, and what else is sent; and the status it is answered with.
ANSWERS = [
    ("GET", "/", {}, 200),
    ("HEAD", "/", {}, 200),
    ("OPTIONS", "/docs", {}, 405),
    ("GET", "/api/v1/characters", {}, 200),
    ("OPTIONS", "/api/v1/me", {"headers": {"origin": DASHBOARD}}, 401),
    ("TRACE", "/api/v1/characters", {}, 405),
    ("GET", "/theme", {}, 405),
    ("GET", "/settings/profile", {}, 302),
    ("GET", "/accounts/login", {}, 301),
    ("GET", "/", {"secure": False}, 301),
    ("GET", "/?q=%00", {}, 400),
    ("GET", "/api/v1/characters?limit=%00", {}, 400),
    ("GET", "/", {"headers": {"host": "evil.example"}}, 400),
    ("GET", "/", {"headers": {"host": "evil.example"}, "secure": False}, 400),
    ("GET", LOGIN, {"headers": {"host": "evil.example"}, "secure": False}, 400),
    ("POST", LOGIN, {"data": b"{", "content_type": JSON}, 400),
    ("GET", "/api/v1/me", {}, 401),
    ("POST", SIGN_IN, {"data": b"", "content_type": FORM}, 403),
    ("GET", "/nowhere", {}, 404),
    ("GET", "/api/v1/nowhere", {}, 404),
    ("GET", "/media/", {}, 404),
    ("GET", f"/media/avatars/{'0' * 32}.webp", {}, 404),
    ("GET", "/static/nowhere.css", {}, 404),
    ("POST", LOGIN, {"data": MUCH, "content_type": JSON}, 413),
    ("POST", SIGN_IN, {"data": MUCH, "content_type": FORM}, 413),
    ("GET", "/unforeseen", {}, 500),
    ("GET", "/api/v1/unforeseen", {}, 500),
    ("GET", "/broken", {}, 503),
    ("GET", "/api/v1/broken", {}, 503),
    ("GET", "/health", {}, 200),
    ("GET", "/admin/", {}, 302),
]


@with_broken_views
@override_settings(
    IS_HTTPS=True,
    SECURE_SSL_REDIRECT=True,
    SECURE_HSTS_SECONDS=31_536_000,
    SECURE_HSTS_INCLUDE_SUBDOMAINS=True,
    SECURE_HSTS_PRELOAD=True,
)
class HeaderTests(TestCase):
    def setUp(self):
        cache.clear()
        self.client = self.browser()

    def browser(self, **options):
        return Client(
            raise_request_exception=False, enforce_csrf_checks=True, **options
        )

    def ask(self, method, address, *, secure=True, data=b"", **options):
        return self.client.generic(method, address, data, secure=secure, **options)

    def assert_borne(self, answer, status: int, *, secure: bool = True):
        self.assertEqual(answer.status_code, status)
        for name, value in EVERYWHERE.items():
            if secure or not name.startswith("Strict"):
                self.assertIn(value, answer.headers.get(name, ""), name)

    def test_every_answer_bears_them(self):
        for method, address, sent, status in ANSWERS:
            with self.subTest(f"{method} {address}", **sent):
                answer = self.ask(method, address, **sent)
                self.assert_borne(answer, status, secure=sent.get("secure", True))

    def test_those_to_somebody_known_do(self):
        self.client.force_login(ada())
        for address in ("/admin/", "/admin/accounts/user/", "/settings/security"):
            with self.subTest(address):
                self.assert_borne(self.ask("GET", address), 200)

    def test_a_page_that_is_not_ones_own_does(self):
        self.client.force_login(alice())
        self.assert_borne(self.ask("GET", "/panel"), 403)

    def test_those_to_who_asks_too_often_do(self):
        self.client = Client(raise_request_exception=False)
        for address, content_type in ((SIGN_IN, FORM), (LOGIN, JSON)):
            for _ in range(31):
                answer = self.ask(
                    "POST", address, data=b"{}", content_type=content_type
                )
            with self.subTest(address):
                self.assert_borne(answer, 429)

    def test_an_event_stream_does(self):
        user = alice()
        said = {"conversation_id": str(make_conversation(user).pk), "content": "Hi"}
        with scripted("Good evening."):
            answer = self.client.post(
                "/api/v1/chat/stream",
                json.dumps(said),
                content_type=JSON,
                secure=True,
                **auth(user),
            )
        self.assertIn("text/event-stream", answer["Content-Type"])
        self.assert_borne(answer, 200)

    def test_a_refusal_speaks_the_readers_language(self):
        for method, address, sent, status in ANSWERS:
            is_first = status in (400, 413) and "host" not in sent.get("headers", {})
            if is_first and sent.get("data") != b"{":
                for name in ("accept-language", "cookie"):
                    told = {"accept-language": "es", "cookie": "language=es"}[name]
                    with self.subTest(address, status=status, by=name):
                        answer = self.ask(
                            method, address, **sent | {"headers": {name: told}}
                        )
                        self.assertEqual(answer["Content-Language"], "es")
                        if "json" not in answer["Content-Type"]:
                            self.assertContains(
                                answer, '<html lang="es"', status_code=status
                            )

    @override_settings(CORS_ALLOWED_ORIGINS=[DASHBOARD])
    def test_a_configured_page_may_read_every_answer_of_the_api(self):
        for method, address, sent, status in ANSWERS:
            if address.startswith("/api/") and "host" not in sent.get("headers", {}):
                headers = sent.get("headers", {}) | {"origin": DASHBOARD}
                with self.subTest(f"{method} {address}", status=status):
                    answer = self.ask(method, address, **sent | {"headers": headers})
                    allowed = answer.headers.get("Access-Control-Allow-Origin")
                    self.assertEqual(allowed, DASHBOARD)


def ask_server(server: Server, method: str, address: str, body: bytes, **headers):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(
        method, address, body, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_a_real_server_puts_them_on_everything(shared_server: Server):
    huge = b"x" * 17 * 1024 * 1024
    names = [name for name in EVERYWHERE if not name.startswith("Strict")]
    for method, address, body, kind, status in (
        ("GET", "/", b"", "", 200),
        ("GET", "/nowhere", b"", "", 404),
        ("GET", "/static/css/tertulia.css", b"", "", 200),
        ("POST", LOGIN, MUCH, JSON, 413),
        ("POST", LOGIN, huge, JSON, 413),
        ("POST", SIGN_IN, huge, FORM, 413),
        ("POST", "/settings/avatar", huge, "multipart/form-data; boundary=x", 413),
    ):
        answer, _ = ask_server(shared_server, method, address, body, Content_Type=kind)
        assert answer.status == status, address
        assert [n for n in names if EVERYWHERE[n] not in answer.getheader(n, "")] == []


def test_what_is_too_large_is_refused_with_a_page_or_in_json(shared_server: Server):
    huge = b"x" * 17 * 1024 * 1024

    answer, page = ask_server(
        shared_server, "POST", SIGN_IN, huge, Content_Type=FORM, Accept_Language="es"
    )
    _, told = ask_server(shared_server, "POST", LOGIN, huge, Content_Type=JSON)

    assert answer.status == 413
    assert b'<html lang="es"' in page
    assert json.loads(told)["code"] == "too_large"


def test_what_the_server_itself_refuses_bears_them(shared_server: Server):
    with socket.create_connection(("127.0.0.1", shared_server.port), 20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x0bb\r\n\r\n")
        head = client.recv(65536).lower()

    assert head.startswith(b"http/1.1 400 ")
    for name, value in BARE_HEADERS:
        assert b"\r\n%s: %s\r\n" % (name, value.lower()) in head
