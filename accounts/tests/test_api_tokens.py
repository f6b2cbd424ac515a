"""Tokens that are not ours to accept."""

from datetime import timedelta
from uuid import uuid4

import jwt
from django.conf import settings
from django.test import TestCase
from django.utils import timezone

from accounts.authentication.bearer import SEEN_EVERY, session_of
from accounts.authentication.sessions import open_session
from accounts.models import Session
from accounts.tests.cases import ME
from accounts.tests.factories import alice, bob


class AccessTokenTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()
        cls.tokens = open_session(cls.alice)
        cls.claims = jwt.decode(
            cls.tokens.access, options={"verify_signature": False, "verify_aud": False}
        )

    def signed(self, key=settings.JWT_SECRET, algorithm="HS256", **claims):
        payload = {
            name: value
            for name, value in (self.claims | claims).items()
            if value is not None
        }
        return jwt.encode(payload, key, algorithm=algorithm)

    def status(self, token, scheme="Bearer"):
        response = self.client.get(ME, HTTP_AUTHORIZATION=f"{scheme} {token}")
        return response.status_code

    def test_it_is_accepted_as_issued(self):
        assert self.status(self.tokens.access) == 200
        assert self.status(self.signed()) == 200
        assert self.status(self.tokens.access, scheme="bearer") == 200

    def test_it_pins_issuer_and_audience(self):
        assert self.claims["iss"] == "tertulia"
        assert self.claims["aud"] == "tertulia"
        for claims in (
            {"aud": "another"},
            {"aud": None},
            {"iss": "another"},
            {"iss": None},
        ):
            with self.subTest(claims):
                assert self.status(self.signed(**claims)) == 401

    def test_it_pins_the_algorithm_and_the_key(self):
        assert self.status(self.signed(key="", algorithm="none")) == 401
        assert self.status(self.signed(algorithm="HS512")) == 401
        assert self.status(self.signed(key="the key before this one" * 2)) == 401

    def test_it_expires(self):
        now = int(timezone.now().timestamp())

        assert self.status(self.signed(exp=now + 30)) == 200
        assert self.status(self.signed(exp=now - 1)) == 401
        assert self.status(self.signed(exp=None)) == 401

    def test_it_needs_a_session_of_its_user(self):
        for claims in (
            {"sid": None},
            {"sid": str(uuid4())},
            {"sid": "7"},
            {"sid": 7},
            {"sid": ["a"]},
            {"user_id": None},
            {"user_id": "7"},
            {"user_id": str(bob().pk)},
            {"jti": None},
            {"token_type": None},
        ):
            with self.subTest(claims):
                assert self.status(self.signed(**claims)) == 401

    def test_it_is_no_refresh_token(self):
        assert self.status(self.tokens.refresh) == 401

    def test_it_knows_nonsense(self):
        for token in (
            "",
            "a",
            "a.b.c",
            "Bearer",
            "ñ",
            "é.é.é",
            "a b",
            "\x00",
            "." * 9999,
        ):
            with self.subTest(ascii(token[:10])):
                assert self.status(token) == 401

    def test_it_ignores_other_schemes(self):
        assert self.status(self.tokens.access, scheme="Basic") == 401
        assert self.status(self.tokens.access, scheme="JWT") == 401

    def test_it_says_which_scheme_it_wants(self):
        response = self.client.get(ME)

        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["code"] == "not_authenticated"

    def test_it_dies_with_its_session(self):
        Session.objects.update(expires_at=timezone.now())

        assert self.status(self.tokens.access) == 401

    def test_it_costs_one_query(self):
        with self.assertNumQueries(1):
            session = session_of(self.tokens.access)
            assert str(session.user.profile) == "Alice"
            assert session.user.daily_limit == settings.DAILY_UNITS_LIMIT

    def test_it_notes_at_most_once_a_minute_when_it_was_seen(self):
        before = timezone.now() - SEEN_EVERY - timedelta(seconds=1)
        Session.objects.update(last_seen_at=before)

        with self.assertNumQueries(2):
            session_of(self.tokens.access)
        with self.assertNumQueries(1):
            session_of(self.tokens.access)

        assert Session.objects.get().last_seen_at > before + SEEN_EVERY

    def test_it_is_not_a_cookie(self):
        self.client.force_login(self.alice)

        assert self.client.get(ME).status_code == 401
