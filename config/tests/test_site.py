"""What holds for every address: paths, errors, headers."""

from unittest import mock

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, TestCase, override_settings
from django.urls import get_resolver, path

from accounts.errors import RateLimited
from config import urls, views
from conversations import generations


def broken(request):
    raise OperationalError("the server closed the connection unexpectedly")


def unforeseen(request):
    raise RuntimeError("unforeseen")


def crowded(request):
    raise RateLimited(30)


urlpatterns = [
    path("broken", broken),
    path("crowded", crowded),
    path("api/v1/broken", broken),
    path("unforeseen", unforeseen),
    path("api/v1/unforeseen", unforeseen),
    *urls.urlpatterns,
]
handler400, handler403 = views.bad_request, views.permission_denied
handler404, handler500 = views.not_found, views.server_error

with_broken_views = override_settings(ROOT_URLCONF="config.tests.test_site")


class ApiPathTests(TestCase):
    def test_it_answers_with_and_without_a_slash(self):
        for address in ("/api/v1/characters", "/api/v1/characters/luna"):
            assert self.client.get(address).content == (
                self.client.get(f"{address}/").content
            )

    def test_it_does_not_redirect_a_post(self):
        for address in ("/api/v1/auth/login", "/api/v1/auth/login/"):
            answer = self.client.post(address, {}, content_type="application/json")
            assert answer.status_code in (400, 401)

    def test_an_unknown_address_is_told_in_our_shape(self):
        for method in ("get", "post", "put", "patch", "delete"):
            for address in ("/api/v1/nowhere", "/api/v1/nowhere/", "/api/v2/x"):
                answer = getattr(self.client, method)(address)
                assert answer.status_code == 404
                assert answer.json()["code"] == "not_found"
                assert answer.json()["detail"]

    def test_the_same_holds_on_the_asynchronous_path(self):
        with override_settings(ROOT_URLCONF="config.tests.test_site"):
            assert self.client.get("/api/v1/health/").status_code == 200


@with_broken_views
class OutageTests(TestCase):
    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def test_a_program_gets_503_in_our_shape(self):
        answer = self.client.get("/api/v1/broken")

        assert answer.status_code == 503
        assert answer.json()["code"] == "unavailable"
        assert answer["Retry-After"]

    def test_a_person_gets_a_page_without_a_traceback(self):
        answer = self.client.get("/broken")

        assert answer.status_code == 503
        assert answer["Retry-After"]
        assert "Traceback" not in answer.content.decode()
        assert "unexpectedly" not in answer.content.decode()

    def test_it_is_the_same_where_a_middleware_meets_the_outage(self):
        error = InterfaceError("the connection is closed")
        place = "django.contrib.sessions.backends.db.SessionStore.load"
        self.client.cookies["session"] = "x" * 32
        for address, kind in (("/api/v1/health", "json"), ("/", "html")):
            with mock.patch(place, side_effect=error):
                answer = self.client.get(address)
            assert answer.status_code in (200, 503)
            assert kind in answer["Content-Type"]
            assert "Traceback" not in answer.content.decode()

    def test_health_says_that_the_database_is_down(self):
        with mock.patch.object(connection, "cursor", side_effect=OperationalError):
            answer = self.client.get("/health")

        assert answer.status_code == 503
        assert answer.json()["database"] == "down"

    def test_health_says_that_the_process_is_about_to_end(self):
        with mock.patch.object(generations, "is_draining", return_value=True):
            answer = self.client.get("/health")

        assert answer.status_code == 503
        assert answer.json()["status"] == "draining"


@with_broken_views
class ErrorPageTests(TestCase):
    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def test_what_broke_is_not_shown(self):
        page = self.client.get("/unforeseen")
        answer = self.client.get("/api/v1/unforeseen")

        assert page.status_code == answer.status_code == 500
        assert b"RuntimeError" not in page.content + answer.content
        assert answer.json()["code"] == "server_error"

    def test_every_page_bears_the_policy(self):
        pages = {
            "/": 200,
            "/nowhere": 404,
            "/broken": 503,
            "/unforeseen": 500,
            "/accounts/login/": 200,
            "/docs": 200,
            "/redoc": 200,
        }
        for address, status in pages.items():
            answer = self.client.get(address)
            assert answer.status_code == status, address
            policy = answer["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "script-src 'self';" in f"{policy};", address
            assert "unsafe-eval" not in policy

    def test_a_refused_host_gets_the_policy_too(self):
        answer = self.client.get("/", headers={"host": "evil.example"})

        assert answer.status_code == 400
        assert "default-src 'self'" in answer["Content-Security-Policy"]

    def test_no_page_may_be_framed_or_guessed_at(self):
        answer = self.client.get("/")

        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_every_error_has_a_handler(status):
    assert get_resolver().resolve_error_handler(status).__module__ == "config.views"
