"""Signing in over the API."""

from unittest import mock

from accounts.models import Session, User
from accounts.tests.cases import JsonTestCase, in_one_window
from accounts.tests.factories import alice, bob


class LoginTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def test_it_opens_a_session(self):
        response = self.login(HTTP_USER_AGENT="Tertulia for Android")

        assert response.status_code == 200
        pair = response.json()
        assert pair["token_type"] == "bearer"
        assert pair["expires_in"] == 1800
        assert self.can_use(pair["access_token"])
        session = Session.objects.get()
        assert session.user == self.alice
        assert session.ip == "127.0.0.1"
        assert session.user_agent == "Tertulia for Android"

    def test_it_stores_no_token(self):
        pair = self.login().json()

        session = Session.objects.get()
        assert session.refresh_hash not in pair["refresh_token"]
        assert len(session.refresh_hash) == 64

    def test_it_knows_the_email_in_every_spelling(self):
        for email in ("ALICE@example.com", " alice@EXAMPLE.com", "ａlice@example.com"):
            with self.subTest(email):
                assert self.login(email=email).status_code == 200

    def test_it_says_the_same_of_everyone_it_refuses(self):
        bob(is_active=False)
        bodies = {
            self.login(password="wrong password").content,
            self.login(email="nobody@example.com").content,
            self.login(email="bob@example.com").content,
            self.login(email="bob@example.com", password="wrong password").content,
        }

        assert len(bodies) == 1
        self.assert_refused(
            self.login(email="x@example.com"), 401, "invalid_credentials"
        )
        assert not Session.objects.exists()

    def test_it_hashes_for_unknown_emails_too(self):
        for email in ("alice@example.com", "nobody@example.com"):
            with (
                self.subTest(email),
                mock.patch(
                    "django.contrib.auth.hashers.MD5PasswordHasher.encode",
                    autospec=True,
                    return_value="md5$salt$hash",
                ) as encode,
            ):
                self.login(email=email, password="wrong password")

                assert encode.call_count == 1

    def test_it_closes_after_five_failures_in_any_spelling(self):
        for email in ("alice@example.com", "ALICE@example.com", "ａlice@example.com"):
            for _ in range(2):
                response = self.login(email=email, password="wrong password")
        self.assert_refused(response, 429, "rate_limited")

        response = self.login()

        self.assert_refused(response, 429, "rate_limited")
        assert response["Retry-After"] == "300"

    def test_it_leaves_others_in_when_one_account_is_closed(self):
        bob()
        for _ in range(6):
            self.login(password="wrong password")

        assert self.login(email="bob@example.com").status_code == 200

    def test_it_does_not_count_successes_as_failures(self):
        for _ in range(8):
            assert self.login().status_code == 200

    @in_one_window()
    def test_it_limits_attempts_from_one_address(self):
        for number in range(30):
            self.login(email=f"nobody{number}@example.com", REMOTE_ADDR="10.0.0.9")

        limited = self.login(REMOTE_ADDR="10.0.0.9")
        elsewhere = self.login(REMOTE_ADDR="10.0.0.10")

        self.assert_refused(limited, 429, "rate_limited")
        assert elsewhere.status_code == 200

    @in_one_window()
    def test_it_is_not_fooled_by_a_forged_address(self):
        for number in range(30):
            self.login(
                email=f"nobody{number}@example.com",
                HTTP_X_FORWARDED_FOR=f"10.0.0.{number}",
            )

        response = self.login(HTTP_X_FORWARDED_FOR="10.9.9.9")

        self.assert_refused(response, 429, "rate_limited")

    def test_it_refuses_what_is_no_text(self):
        for email in (None, [], {}, 5.5, True, "", "alice"):
            with self.subTest(email):
                self.assert_refused(self.login(email=email), 400, "invalid")

    def test_it_opens_nothing_when_the_password_changed_meanwhile(self):
        stale = User.objects.get()
        self.alice.set_password("another password")
        self.alice.save()

        with mock.patch("accounts.api.views.authenticated", return_value=stale):
            self.assert_refused(self.login(), 401, "invalid_credentials")
        assert not Session.objects.live().exists()
