"""What docs/security.md promises of every address; the rest is tested elsewhere."""

import re
import uuid
from collections.abc import Iterator
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import Client, SimpleTestCase, TestCase, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from accounts.tests.factories import ada, alice, auth
from config.tests.test_site import with_broken_views
from conversations.tests.socket_cases import SocketTestCase, cookie_of, token_of

DASHBOARD = "https://dashboard.example"
EVIL = "https://evil.example"
SIGN_IN = "/accounts/login/"


def addresses(patterns=None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Return every address of the site, with something in the place of its fields."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry.url_patterns, route)
        else:
            yield filled(route), entry


def filled(route: str) -> str:
    """Return an address that matches `route`, a path or a regular expression.

    >>> filled("messages/<uuid:pk>/stop")
    '/messages/00000000-0000-0000-0000-000000000000/stop'
    """
    kinds = {"uuid": str(uuid.UUID(int=0)), "int": "1"}
    path = re.sub(r"\(\?P<\w+>[^)]*\)", "x", route)
    path = re.sub(r"<(?:(\w+):)?\w+>", lambda m: kinds.get(m[1], "x"), path)
    return "/" + re.sub(r"[\^$?\\]|\(|\)|\.\*", "", path).removeprefix("/")


class ForgeryTests(TestCase):
    #: Of these few it is enough that they take no POST at all.
    READ_ONLY = {"/docs", "/redoc"}
    #: These no cookie opens.
    FOR_PROGRAMS = ("/api/", "/metrics")
    #: Routes whose pattern takes no word that `filled` makes up.
    EXAMPLES = {"media": f"/media/avatars/{'0' * 32}.webp"}

    @classmethod
    def setUpTestData(cls):
        cls.admin = ada()

    def setUp(self):
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(self.admin)

    def test_every_page_refuses_a_post_without_a_token(self):
        pages = {
            self.EXAMPLES.get(entry.name or "", path)
            for path, entry in addresses()
            if not path.startswith(self.FOR_PROGRAMS)
        }
        assert len(pages) > 60
        for path in sorted(pages):
            with self.subTest(path):
                assert resolve(path)
                status = self.client.post(path, {"next": "/"}).status_code
                assert status == (405 if path in self.READ_ONLY else 403)

    def test_a_foreign_page_is_refused_with_a_token_too(self):
        page = self.client.get("/accounts/logout/")
        token = page.context["csrf_token"]
        for origin, status in ((EVIL, 403), ("null", 403), ("http://testserver", 302)):
            with self.subTest(origin):
                answer = self.client.post(
                    "/accounts/logout/",
                    {"csrfmiddlewaretoken": str(token)},
                    headers={"Origin": origin},
                )
                assert answer.status_code == status

    def test_no_cookie_opens_the_api(self):
        for path, entry in addresses():
            if not path.startswith("/api/v1/") or "openapi" in path:
                continue
            classes = getattr(entry.callback, "cls", None)
            if classes is not None:
                names = {c.__name__ for c in classes.authentication_classes}
                with self.subTest(path):
                    assert "SessionAuthentication" not in names

    def test_nothing_is_changed_by_looking(self):
        for path in (
            "/accounts/logout/",
            "/accounts/password/change/",
            "/i18n/setlang/",
        ):
            self.client.get(path)

        assert "_auth_user_id" in self.client.session


class CorsTests(TestCase):
    def preflight(self, origin, path="/api/v1/me", method="PATCH"):
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,last-event-id",
        }
        return self.client.options(path, headers=headers)

    def test_nobody_is_allowed_by_default(self):
        for origin in (EVIL, DASHBOARD, "null", "http://testserver"):
            for answer in (
                self.preflight(origin),
                self.client.get("/api/v1/characters", headers={"Origin": origin}),
            ):
                assert "Access-Control-Allow-Origin" not in answer

    @override_settings(CORS_ALLOWED_ORIGINS=[DASHBOARD])
    def test_configured_origins_are_allowed_without_cookies(self):
        asked = self.preflight(DASHBOARD)
        got = self.client.get("/api/v1/characters", headers={"Origin": DASHBOARD})

        for answer in (asked, got):
            assert answer.status_code == 200
            assert answer["Access-Control-Allow-Origin"] == DASHBOARD
            assert "Access-Control-Allow-Credentials" not in answer
            assert "origin" in answer["Vary"].lower()
        assert "PATCH" in asked["Access-Control-Allow-Methods"]
        for name in ("authorization", "content-type", "last-event-id"):
            assert name in asked["Access-Control-Allow-Headers"]
        assert "Retry-After" in got["Access-Control-Expose-Headers"]

    @override_settings(CORS_ALLOWED_ORIGINS=[DASHBOARD])
    def test_nobody_else_is(self):
        for origin in (
            EVIL,
            "null",
            "http://dashboard.example",
            "https://dashboard.example.evil.example",
            "https://dashboard.example:8443",
        ):
            with self.subTest(origin):
                assert "Access-Control-Allow-Origin" not in self.preflight(origin)

    @override_settings(CORS_ALLOWED_ORIGINS=[DASHBOARD])
    def test_pages_are_for_nobody_else(self):
        for path in ("/", SIGN_IN, "/admin/", "/health"):
            answer = self.client.get(path, headers={"Origin": DASHBOARD})
            assert "Access-Control-Allow-Origin" not in answer


class SocketOriginTests(SocketTestCase):
    async def outcome(self, path, make, *headers):
        given = await sync_to_async(make)(self.user)
        given = [h for h in given if h[0] not in (b"origin", b"host")]
        return await self.refused_with(path, [*given, *headers])

    @override_settings(ALLOWED_HOSTS=["chat.example"])
    async def test_our_pages_alone_open_the_socket_of_pages(self):
        host = (b"host", b"chat.example:8000")
        for origin, is_open in (
            (b"http://chat.example:8000", True),
            (b"https://chat.example:8000", True),
            (b"http://chat.example", False),
            (b"http://chat.example:9000", False),
            (b"http://chat.example:8000.evil.example", False),
            (b"http://evil.example", False),
            (b"null", False),
            (b"http://[", False),
            (b"", False),
        ):
            with self.subTest(origin):
                headers = [host, (b"origin", origin)]
                code = await self.outcome("/ws/pages/", cookie_of, *headers)
                assert (code is None) == is_open
        assert await self.outcome("/ws/pages/", cookie_of, host) is not None

    @override_settings(ALLOWED_HOSTS=["chat.example"])
    async def test_a_name_that_is_not_ours_is_no_way_in(self):
        headers = [(b"host", b"evil.example"), (b"origin", b"http://evil.example")]

        assert await self.outcome("/ws/pages/", cookie_of, *headers) is not None

    @override_settings(IS_HTTPS=True, ALLOWED_HOSTS=["chat.example"])
    async def test_a_page_without_encryption_is_not_ours_where_ours_have_it(self):
        host = (b"host", b"chat.example")
        for scheme, is_open in ((b"https", True), (b"http", False)):
            origin = (b"origin", scheme + b"://chat.example")
            code = await self.outcome("/ws/pages/", cookie_of, host, origin)
            assert (code is None) == is_open

    @override_settings(ALLOWED_HOSTS=["chat.example"], CORS_ALLOWED_ORIGINS=[DASHBOARD])
    async def test_programs_and_configured_pages_open_the_socket_of_programs(self):
        host = (b"host", b"chat.example")
        assert await self.outcome("/ws/", token_of, host) is None
        for origin, is_open in (
            (DASHBOARD.encode(), True),
            (b"https://chat.example", True),
            (EVIL.encode(), False),
            (b"null", False),
        ):
            with self.subTest(origin):
                code = await self.outcome("/ws/", token_of, host, (b"origin", origin))
                assert (code is None) == is_open


@with_broken_views
class HeaderTests(TestCase):
    EVERYWHERE = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }

    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def test_every_answer_bears_them(self):
        self.client.force_login(alice())
        for path in (
            *("/", SIGN_IN, "/nowhere", "/broken", "/unforeseen", "/docs", "/admin/"),
            *("/api/v1/characters", "/api/v1/me", "/api/v1/nowhere", "/health"),
        ):
            with self.subTest(path):
                answer = self.client.get(path)
                for name, value in self.EVERYWHERE.items():
                    assert answer[name] == value, name
                assert "camera=()" in answer["Permissions-Policy"]
                policy = answer["Content-Security-Policy"]
                for directive in (
                    "object-src 'none'",
                    "base-uri 'none'",
                    "frame-ancestors 'none'",
                    "form-action 'self'",
                ):
                    assert directive in policy

    def test_no_cache_keeps_what_somebody_was_shown(self):
        user = alice()
        self.client.force_login(user)
        for path in ("/", "/settings/profile", "/api/v1/nowhere", "/unforeseen"):
            assert "no-store" in self.client.get(path)["Cache-Control"], path
        for path in ("/api/v1/me", "/api/v1/conversations"):
            answer = Client().get(path, **auth(user))
            assert "no-store" in answer["Cache-Control"], path

    def test_a_foreign_host_is_refused_without_a_link_to_it(self):
        answer = self.client.get(SIGN_IN, headers={"host": "evil.example"})

        assert answer.status_code == 400
        assert b"evil.example" not in answer.content
        assert answer["X-Content-Type-Options"] == "nosniff"


class StaticTests(SimpleTestCase):
    def test_files_for_everybody_bear_them_and_may_be_kept(self):
        answer = self.client.get("/static/css/tertulia.css")

        for name, value in HeaderTests.EVERYWHERE.items():
            assert answer[name] == value, name
        assert "default-src 'self'" in answer["Content-Security-Policy"]
        assert "no-store" not in answer.headers.get("Cache-Control", "")
        answer.close()


class AdminTests(TestCase):
    def test_it_is_for_administrators_alone(self):
        inside = [
            path
            for path, _ in addresses()
            if path.startswith("/admin/")
            and "login" not in path
            and "jsi18n" not in path
        ]
        assert len(inside) > 20
        for client, name in ((Client(), "anonymous"), (Client(), "worker")):
            if name == "worker":
                client.force_login(alice())
            for path in inside:
                with self.subTest(name, path=path):
                    answer = client.get(path)
                    assert answer.status_code in (302, 403, 404, 405)
                    if answer.status_code == 302:
                        assert answer["Location"].startswith(("/admin/", SIGN_IN))


class DetailTests(TestCase):
    def test_errors_tell_nothing_of_the_inside(self):
        with mock.patch("characters.views.render", side_effect=KeyError("SECRET_KEY")):
            answer = Client(raise_request_exception=False).get("/")

        assert answer.status_code == 500
        for word in (b"KeyError", b"SECRET_KEY", b"Traceback", b"Django"):
            assert word not in answer.content
        assert "Server" not in answer
