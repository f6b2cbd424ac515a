"""Nobody learns who has an account, be it from words or from how long they take."""

import re
import statistics
import threading
import time
from smtplib import SMTPRecipientsRefused
from unittest import mock

from django.conf import settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client, TestCase, override_settings

from accounts import timing
from accounts.mail import _sender as sender
from accounts.models import User
from accounts.tests.cases import LOGIN, JsonTestCase, a_clock
from accounts.tests.factories import PASSWORD, alice, bob, everything, make_user
from config.testing.lines import lines_of

REGISTER = "/api/v1/auth/register"
SIGN_IN = "/accounts/login/"
SIGN_UP = "/accounts/signup/"
RESET = "/accounts/password/reset/"
DONE = "/accounts/password/reset/done/"
#: Somebody with each kind of account, and nobody.
PEOPLE = (
    "alice@example.com",
    "bob@example.com",
    "guest@example.com",
    "nobody@example.com",
)


def the_cast():
    alice()
    bob(is_active=False)
    make_user("guest@example.com", None)


class LoginTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        the_cast()

    def test_the_api_says_the_same_of_everyone(self):
        answers = [self.login(email, "wrong password") for email in PEOPLE]

        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.content for answer in answers}) == 1

    def test_the_page_says_the_same_of_everyone(self):
        answers = [
            self.client.post(SIGN_IN, {"login": email, "password": "wrong password"})
            for email in PEOPLE
        ]

        assert {answer.status_code for answer in answers} == {200}
        assert len({str(answer.context["form"].errors) for answer in answers}) == 1

    def test_a_password_is_hashed_once_for_everyone(self):
        for email in PEOPLE:
            with (
                self.subTest(email),
                mock.patch(
                    "django.contrib.auth.hashers.MD5PasswordHasher.encode",
                    autospec=True,
                    return_value="md5$salt$hash",
                ) as encode,
            ):
                self.login(email, "wrong password")

                assert encode.call_count == 1


class RegistrationTests(JsonTestCase):
    """Of everyone in the cast but the last there is an account already."""

    @classmethod
    def setUpTestData(cls):
        the_cast()

    def register(self, email, **fields):
        body = {"email": email, "password": PASSWORD, "display_name": "Eve"} | fields
        return self.post(REGISTER, body)

    def sign_up(self, email, client=None):
        body = {"email": email, "password1": PASSWORD, "next": "/c/"}
        return (client or Client()).post(SIGN_UP, body)

    def test_the_api_answers_the_same_to_everyone(self):
        answers = [self.register(email) for email in PEOPLE]

        assert {answer.status_code for answer in answers} == {201}
        assert len({str(sorted(answer.headers)) for answer in answers}) == 1
        assert [answer.json()["email"] for answer in answers] == list(PEOPLE)
        own = {"id": "", "email": "", "created_at": ""}
        assert len({str(answer.json() | own) for answer in answers}) == 1
        assert not any(answer.cookies for answer in answers)
        made = {answer.json()["id"] for answer in answers}
        assert len(made) == len(PEOPLE)
        assert User.objects.get(pk__in=made).email == PEOPLE[-1]

    def test_the_page_leads_everyone_the_same_way(self):
        seen = set()
        for email in PEOPLE:
            client = Client()
            answer = self.sign_up(email, client)
            page = client.get(answer["Location"]).content.decode()
            page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)
            assert "_auth_user_id" not in client.session
            seen.add((answer.status_code, answer["Location"], page.replace(email, "")))

        assert len(seen) == 1

    def test_nothing_changes_for_who_has_an_account(self):
        before = everything()

        for email in PEOPLE[:-1]:
            self.register(email)
            self.sign_up(email)

        assert everything() == before

    def test_who_has_an_account_is_told_by_mail_and_nobody_else(self):
        for email in PEOPLE:
            self.register(email)

        assert [message.to for message in mail.outbox] == [[e] for e in PEOPLE[:-1]]
        text = mail.outbox[0].body
        assert SIGN_IN in text
        assert RESET in text
        assert PASSWORD not in text

    def test_the_page_tells_them_as_the_api_does(self):
        self.sign_up(PEOPLE[0])
        self.sign_up(PEOPLE[-1])

        assert [message.to for message in mail.outbox] == [[PEOPLE[0]]]

    def test_who_signs_somebody_up_again_and_again_fills_no_mailbox(self):
        for _ in range(5):
            self.register(PEOPLE[0])
            self.sign_up(PEOPLE[0])

        assert len(mail.outbox) == 1

    def test_a_password_is_hashed_once_for_everyone(self):
        for ask in (self.register, self.sign_up):
            # The last account is made: the page asks about somebody else.
            for email in (*PEOPLE[:-1], f"{ask.__name__}@example.com"):
                with (
                    self.subTest(email, ask=ask.__name__),
                    mock.patch(
                        "django.contrib.auth.hashers.MD5PasswordHasher.encode",
                        autospec=True,
                        return_value="md5$salt$hash",
                    ) as encode,
                ):
                    ask(email)

                    assert encode.call_count == 1

    def test_what_comes_after_the_hash_is_drawn_out_to_one_length_for_everyone(self):
        for ask in (self.register, self.sign_up):
            for email in (*PEOPLE[:-1], f"{ask.__name__}@example.com"):
                with self.subTest(email, ask=ask.__name__), a_clock() as clock:
                    ask(email)

                    assert clock.now == timing.SECONDS


class ResetTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        the_cast()

    def test_it_answers_the_same_to_everyone(self):
        for email in PEOPLE:
            with self.subTest(email):
                client = Client()
                answer = client.post(RESET, {"email": email})
                assert (answer.status_code, answer["Location"]) == (302, DONE)
                assert email not in client.get(DONE).content.decode()

    def test_it_writes_to_everyone_and_gives_a_link_to_whom_it_may(self):
        for email in PEOPLE:
            self.client.post(RESET, {"email": email})

        assert [message.to for message in mail.outbox] == [[e] for e in PEOPLE]
        links = ["/reset/key/" in message.body for message in mail.outbox]
        assert links == [True, False, True, False]


class Postman(EmailBackend):
    """Delivers when it is let, and says so."""

    may_go = threading.Event()
    came = threading.Event()

    def send_messages(self, messages):
        self.may_go.wait(10)
        sent = super().send_messages(messages)
        self.came.set()
        return sent


class Broken(EmailBackend):
    came = threading.Event()

    def send_messages(self, messages):
        self.came.set()
        someone = messages[0].to[0]
        raise SMTPRecipientsRefused(
            {someone: (550, f"No such user {someone}".encode())}
        )


@override_settings(EMAIL_BACKEND="accounts.mail.LaterBackend")
class MailTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        the_cast()

    @override_settings(MAIL_BACKEND="accounts.tests.test_enumeration.Postman")
    def test_nobody_waits_for_mail(self):
        self.addCleanup(Postman.may_go.set)
        answer = self.client.post(RESET, {"email": "alice@example.com"})
        assert answer.status_code == 302
        assert mail.outbox == []

        Postman.may_go.set()

        assert Postman.came.wait(10)
        assert mail.outbox[0].to == ["alice@example.com"]

    @override_settings(MAIL_BACKEND="accounts.tests.test_enumeration.Broken")
    def test_mail_that_fails_changes_no_answer_and_names_nobody(self):
        with lines_of("tertulia.app") as written:
            for email in ("alice@example.com", "nobody@example.com"):
                Broken.came.clear()
                answer = self.client.post(RESET, {"email": email})
                assert answer["Location"] == DONE
                assert Broken.came.wait(10)
            # It sends one after another: when this is done, those are logged.
            sender.submit(int).result(10)

        assert len(written()) == 2
        assert "cause=SMTPRecipientsRefused" in written()[0]
        assert "@example.com" not in "".join(written())


@override_settings(
    PASSWORD_HASHERS=["accounts.hashers.BoundedArgon2PasswordHasher"],
    RATELIMIT_ENABLE=False,
    ACCOUNT_RATE_LIMITS=False,
    MAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
    EMAIL_BACKEND="accounts.mail.LaterBackend",
)
class TimeTests(TestCase):
    """Medians, for a machine is never quiet; without the remedy it is tenfold."""

    TRIES = 30

    @classmethod
    def setUpTestData(cls):
        the_cast()

    def ratio(self, ask):
        """Return how many times longer it takes for the slower of two people."""
        times = {"alice@example.com": [], "nobody@example.com": []}
        for number in range(self.TRIES + 1):
            for email, taken in times.items():
                began = time.perf_counter()
                ask(email)
                if number:  # what comes first imports and compiles
                    taken.append(time.perf_counter() - began)
        known, unknown = (statistics.median(taken) for taken in times.values())
        return max(known, unknown) / min(known, unknown)

    def test_the_api_takes_as_long_for_everyone(self):
        assert User.objects.get(email=PEOPLE[0]).check_password(PASSWORD)

        def ask(email):
            body = {"email": email, "password": "wrong password"}
            self.client.post(LOGIN, body, content_type="application/json")

        assert self.ratio(ask) < 1.5

    def test_the_page_takes_as_long_for_everyone(self):
        def ask(email):
            self.client.post(SIGN_IN, {"login": email, "password": "wrong password"})

        assert self.ratio(ask) < 1.5

    def test_a_reset_takes_as_long_for_everyone(self):
        assert settings.EMAIL_BACKEND.endswith("LaterBackend")

        assert self.ratio(lambda email: self.client.post(RESET, {"email": email})) < 1.1
