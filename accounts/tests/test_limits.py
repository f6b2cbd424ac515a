"""How often each door may be knocked at, whichever way one comes."""

from functools import partial
from unittest import mock

from django.test import Client, TransactionTestCase, override_settings

from accounts.errors import in_time
from accounts.tests.cases import LOGIN, JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, auth, bob
from accounts.tests.races import at_once

SIGN_IN = "/accounts/login/"
SIGN_UP = "/accounts/signup/"
RESET = "/accounts/password/reset/"
#: Windows begin at their own times: no test may cross one.
STILL = 1_900_000_000


class DoorTestCase(JsonTestCase):
    def setUp(self):
        self.enterContext(mock.patch("time.time", return_value=STILL))

    def page(self, path=SIGN_IN, **fields):
        return self.client.post(path, fields)

    def sign_in(self, email, password, **more):
        return self.client.post(SIGN_IN, {"login": email, "password": password}, **more)

    def assert_page_says_when(self, answer):
        assert answer.status_code == 429
        seconds = int(answer["Retry-After"])
        assert 1 <= seconds <= 300
        self.assertContains(answer, f"try again in {in_time(seconds)}", status_code=429)

    def assert_answer_says_when(self, answer):
        self.assert_refused(answer, 429, "rate_limited")
        assert answer.json()["retry_after"] == int(answer["Retry-After"])
        assert 1 <= int(answer["Retry-After"]) <= 300


class LoginTests(DoorTestCase):
    def test_it_counts_an_address_over_page_api_and_admin(self):
        for number in range(10):
            email = f"nobody{number}@example.com"
            assert self.login(email).status_code == 401
            assert self.sign_in(email, PASSWORD).status_code == 200
            # The door of the admin site is the page: it only leads there.
            admin = self.client.post("/admin/login/", {"username": email})
            assert admin["Location"].startswith(SIGN_IN)
            assert self.sign_in(email, PASSWORD).status_code == 200

        self.assert_answer_says_when(self.login())
        self.assert_page_says_when(self.sign_in("alice@example.com", PASSWORD))
        assert self.login(REMOTE_ADDR="10.0.0.9").status_code == 401

    def test_it_counts_passkeys_along_so_that_an_office_has_the_same(self):
        passkey = partial(self.page, "/accounts/2fa/webauthn/login/", credential="{}")
        for number in range(15):
            assert passkey().status_code == 302
            assert self.login(f"nobody{number}@example.com").status_code == 401

        self.assert_page_says_when(passkey())
        self.assert_answer_says_when(self.login())

    def test_it_counts_failures_of_an_account_over_page_and_api(self):
        alice()
        for _ in range(2):
            self.sign_in("Alice@example.com", "wrong", REMOTE_ADDR="10.0.0.1")
            self.login(password="wrong", REMOTE_ADDR="10.0.0.2")
        self.sign_in("alice@ｅxample.com", "wrong")

        self.assert_answer_says_when(self.login(REMOTE_ADDR="10.0.0.3"))
        self.assert_page_says_when(self.sign_in("alice@example.com", PASSWORD))

    def test_it_holds_for_administrators_and_the_admin_site(self):
        ada()
        for _ in range(5):
            self.login("ada@example.com", "wrong")

        opened = self.client.get("/admin/login/", follow=True)
        self.assert_page_says_when(self.sign_in("ada@example.com", PASSWORD))
        assert opened.redirect_chain[-1][0].startswith(SIGN_IN)
        assert self.client.get("/admin/").status_code == 302

    def test_it_says_exactly_when_the_account_opens_again(self):
        alice()
        self.login(password="wrong")
        with mock.patch("time.time", return_value=STILL + 100):
            for _ in range(4):
                self.login(password="wrong")
            closed = self.login()
            assert closed["Retry-After"] == "200"
        with mock.patch("time.time", return_value=STILL + 299):
            assert self.login().status_code == 429
        with mock.patch("time.time", return_value=STILL + 301):
            assert self.login().status_code == 200

    def test_trying_again_leads_to_the_form_and_on_to_where_one_wanted_to_go(self):
        for _ in range(5):
            self.login(password="wrong")

        bare = self.page(login="alice@example.com", password="wrong")
        on = self.page(login="alice@example.com", password="wrong", next="/c/?page=2")
        out = self.page(
            login="alice@example.com", password="wrong", next="https://evil.example/"
        )

        for answer, link in (
            (bare, f'href="{SIGN_IN}"'),
            (on, f'href="{SIGN_IN}?next=%2Fc%2F%3Fpage%3D2"'),
            (out, f'href="{SIGN_IN}"'),
        ):
            self.assertContains(answer, link, status_code=429)

    def test_trying_to_leave_again_leads_to_the_page_with_the_form(self):
        self.client.force_login(alice())
        for _ in range(5):
            self.page("/settings/data/delete", password="wrong")

        answer = self.page("/settings/data/delete", password="wrong")

        self.assertContains(
            answer, '<a class="button" href="/settings/data">', status_code=429
        )

    def test_it_closes_for_unknown_emails_as_for_known_ones(self):
        alice()
        known, unknown = (
            [self.login(email, "wrong").status_code for _ in range(7)]
            for email in ("alice@example.com", "nobody@example.com")
        )

        assert known == unknown == [401] * 5 + [429] * 2

    def test_it_counts_passwords_that_are_asked_again(self):
        user = alice()
        headers = auth(user)
        for _ in range(5):
            self.client.delete(
                "/api/v1/me",
                {"password": "wrong"},
                content_type="application/json",
                **headers,
            )

        self.assert_answer_says_when(self.login())

    def test_it_counts_nothing_when_a_form_is_looked_at(self):
        for _ in range(40):
            assert self.client.get(SIGN_IN).status_code == 200


class SignUpTests(DoorTestCase):
    def test_it_counts_page_and_api_together(self):
        for _ in range(10):
            assert self.page(SIGN_UP, email="nobody").status_code == 200
            answer = self.post("/api/v1/auth/register", {"email": "nobody"})
            assert answer.status_code == 400

        body = {"email": "alice@example.com", "password": PASSWORD}
        self.assert_answer_says_when(self.post("/api/v1/auth/register", body))
        self.assert_page_says_when(self.page(SIGN_UP, email="nobody"))


class ResetTests(DoorTestCase):
    def test_it_counts_an_address(self):
        for number in range(20):
            self.page(RESET, email=f"nobody{number}@example.com")

        self.assert_page_says_when(self.page(RESET, email="alice@example.com"))

    def test_it_counts_an_account_known_or_not_in_any_spelling(self):
        alice()
        for name in ("alice", "nobody"):
            for _ in range(5):
                assert self.page(RESET, email=f"{name}@example.com").status_code == 302

            again = self.page(RESET, email=f"{name.upper()}@ｅxample.com")

            self.assert_page_says_when(again)

    def test_it_counts_links_that_are_tried(self):
        path = "/accounts/password/reset/key/1-set-password/"
        for _ in range(20):
            assert self.page(path, password1="x").status_code != 429

        self.assert_page_says_when(self.page(path, password1="x"))


class PasswordPageTests(DoorTestCase):
    def test_it_counts_changes_of_a_password(self):
        self.assert_counted("/accounts/password/change/", 5, password1=PASSWORD)

    def test_it_counts_asking_for_the_password_again(self):
        self.assert_counted("/accounts/reauthenticate/", 10, password=PASSWORD)

    def assert_counted(self, path, times, **fields):
        """Check that a user may send so many, from wherever, and others as many."""
        for user in (alice(), bob()):
            self.client.force_login(user)
            for number in range(times):
                answer = self.client.post(path, fields, REMOTE_ADDR=f"10.0.0.{number}")
                assert answer.status_code in (200, 302), number
            self.assert_page_says_when(self.page(path, **fields))


class TicketTests(DoorTestCase):
    def test_it_counts_a_user_whatever_their_session(self):
        user, other = alice(), auth(bob())
        first, second = auth(user), auth(user)
        for _ in range(15):
            for headers in (first, second):
                answer = self.post("/api/v1/auth/ws-ticket", **headers)
                assert answer.status_code == 200

        self.assert_answer_says_when(self.post("/api/v1/auth/ws-ticket", **first))
        assert self.post("/api/v1/auth/ws-ticket", **other).status_code == 200


class RefreshTests(DoorTestCase):
    def test_it_counts_an_address(self):
        for _ in range(60):
            self.post("/api/v1/auth/refresh", {"refresh_token": "x"})

        limited = self.post("/api/v1/auth/refresh", {"refresh_token": "x"})

        self.assert_answer_says_when(limited)


@override_settings(TRUSTED_PROXY_HOPS=0)
class ForgeryTests(DoorTestCase):
    def test_it_counts_who_forges_addresses_as_one(self):
        for number in range(31):
            answer = self.login(
                f"nobody{number}@example.com",
                HTTP_X_FORWARDED_FOR=f"10.9.8.{number}",
                HTTP_HOST="localhost",
            )

        self.assert_answer_says_when(answer)


class RaceTests(TransactionTestCase):
    def test_it_lets_nobody_guess_faster_by_asking_at_once(self):
        alice()

        def guess(number):
            body = {"email": "alice@example.com", "password": f"guess {number}"}
            return Client().post(LOGIN, body, content_type="application/json")

        answers = at_once([partial(guess, number) for number in range(12)])

        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [401] * 5 + [429] * 7
