"""What the tests of the API have in common."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from django.test import TestCase

from accounts.tests.factories import PASSWORD

LOGIN = "/api/v1/auth/login"
ME = "/api/v1/me"


@contextmanager
def in_one_window() -> Iterator[None]:
    """Let no time pass for limits: a slow machine may see the next minute begin."""
    with mock.patch("time.time", return_value=time.time()):
        yield


class Clock:
    """Goes on only while somebody sleeps."""

    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@contextmanager
def a_clock() -> Iterator[Clock]:
    """Measure how long answers are drawn out (see `accounts/timing.py`)."""
    clock = Clock()
    with mock.patch("accounts.timing.time", clock):
        yield clock


class JsonTestCase(TestCase):
    def post(self, path, body=None, **headers):
        return self.client.post(path, body, content_type="application/json", **headers)

    def assert_refused(self, response, status, code):
        assert response.status_code == status, response.content
        assert response.json()["code"] == code
        assert response.json()["detail"]

    def login(self, email="alice@example.com", password=PASSWORD, **headers):
        return self.post(LOGIN, {"email": email, "password": password}, **headers)

    def can_use(self, access):
        response = self.client.get(ME, HTTP_AUTHORIZATION=f"Bearer {access}")
        assert response.status_code in (200, 401)
        return response.status_code == 200
