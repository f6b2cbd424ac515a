"""Passwords are hashed a few at a time, whichever door they come in by."""

import threading
import time
from functools import partial
from unittest.mock import patch

from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.db import connection
from django.test import TransactionTestCase, override_settings

from accounts import hashers
from accounts.crowding import Bound
from accounts.models import User
from accounts.tests.cases import LOGIN
from accounts.tests.factories import PASSWORD, alice, auth
from accounts.tests.races import at_once

SIGN_IN, SIGN_UP = "/accounts/login/", "/accounts/signup/"
AGAIN = "/accounts/reauthenticate/"
REGISTER = "/api/v1/auth/register"
CHANGE = "/api/v1/me/password"


class Hashing:
    """Counts how many hashes are made at once, and what their threads hold."""

    def __init__(self) -> None:
        self.now = self.most = self.times = 0
        self.held: list[object] = []
        self.lock = threading.Lock()

    def __enter__(self) -> "Hashing":
        self.patches = [
            patch.object(Argon2PasswordHasher, name, self._counted(name))
            for name in ("encode", "verify")
        ]
        for one in self.patches:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.patches:
            one.stop()

    def _counted(self, name: str):
        made = getattr(Argon2PasswordHasher, name)

        def count(hasher, *args):
            with self.lock:
                self.times += 1
                self.now += 1
                self.most = max(self.most, self.now)
            if not connection.in_atomic_block:
                self.held.append(connection.connection)
            try:
                time.sleep(0.05)
                return made(hasher, *args)
            finally:
                with self.lock:
                    self.now -= 1

        return count


@override_settings(
    PASSWORD_HASHERS=[
        "accounts.hashers.BoundedArgon2PasswordHasher",
        "accounts.hashers.BoundedPBKDF2PasswordHasher",
    ],
    RATELIMIT_ENABLE=False,
    ACCOUNT_RATE_LIMITS=False,
)
class HashingTests(TransactionTestCase):
    def setUp(self):
        cheap = patch.multiple(Argon2PasswordHasher, memory_cost=1024, time_cost=1)
        cheap.start()
        self.addCleanup(cheap.stop)
        self.alice = alice()
        self.auth = auth(self.alice)

    def send(self, path, body=None, form=None, **headers):
        client = self.client_class()
        if path == AGAIN:
            client.force_login(self.alice)
        if form is not None:
            return client.post(path, form, **headers).status_code
        kind = {"content_type": "application/json"}
        return client.post(path, body, **kind, **headers).status_code

    def doors(self):
        """Return what hashes a password, as a client does it."""
        wrong = {"email": "alice@example.com", "password": "a wrong password"}
        change = {"current_password": "wrong", "new_password": "a new long password"}
        new = {"email": "new@example.com", "password": "a new long password"}
        page = {"login": "nobody@example.com", "password": "a wrong password"}
        join = {"email": "more@example.com", "password1": "a new long password"}
        return {
            "API": partial(self.send, LOGIN, wrong),
            "API, unknown": partial(self.send, LOGIN, wrong | {"email": "x@y.org"}),
            "API, sign-up": partial(self.send, REGISTER, new),
            "API, change": partial(self.send, CHANGE, change, **self.auth),
            "page": partial(self.send, SIGN_IN, form=page),
            "page, sign-up": partial(self.send, SIGN_UP, form=join),
            "page, once more": partial(self.send, AGAIN, form=wrong),
        }

    def test_two_are_hashed_at_once_whichever_door_they_come_in_by(self):
        with Hashing() as hashing:
            answers = at_once([door for door in self.doors().values() for _ in "12"])

        assert hashing.times >= len(answers)
        assert hashing.most == 2, (hashing.most, answers)
        assert 503 not in answers
        assert not [answer for answer in answers if isinstance(answer, Exception)]

    def test_who_hashes_holds_no_connection(self):
        with Hashing() as hashing:
            for name, door in self.doors().items():
                with self.subTest(name):
                    hashing.held.clear()
                    at_once([door])
                    assert set(hashing.held) == {None}

    def test_who_waits_too_long_is_told_at_every_door(self):
        full = Bound(1, seconds=0.05)
        with patch.object(hashers, "_hashing", full), full.entered():
            answers = {name: door() for name, door in self.doors().items()}

        assert set(answers.values()) == {503}, answers

    def test_it_is_said_in_one_shape_and_on_a_page_in_words(self):
        full = Bound(1, seconds=0.05)
        with patch.object(hashers, "_hashing", full), full.entered():
            told = self.client.post(
                LOGIN,
                {"email": "alice@example.com", "password": PASSWORD},
                content_type="application/json",
            )
            page = self.client.post(
                SIGN_IN, {"login": "alice@example.com", "password": PASSWORD}
            )

        assert told.json() == {
            "code": "overloaded",
            "detail": "Too much is going on here at once; try again in a few seconds.",
            "retry_after": 5,
        }
        assert told["Retry-After"] == page["Retry-After"] == "5"
        self.assertContains(page, "Too much is going on here at once", 1, 503)

    @override_settings(ACCOUNT_RATE_LIMITS={"login_failed": "5/5m/key"})
    def test_a_password_nobody_looked_at_is_no_failure(self):
        full = Bound(1, seconds=0)
        body = {"email": "alice@example.com", "password": PASSWORD}
        with patch.object(hashers, "_hashing", full), full.entered():
            assert [self.send(LOGIN, body) for _ in range(6)] == [503] * 6

        assert self.send(LOGIN, body) == 200

    def test_a_password_of_before_is_still_good_and_modernised(self):
        self.alice.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
        self.alice.save()

        assert self.send(LOGIN, {"email": self.alice.email, "password": PASSWORD}) == (
            200
        )
        assert User.objects.get(pk=self.alice.pk).password.startswith("argon2$")
