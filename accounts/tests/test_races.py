"""The same thing at the same moment, on whichever database the suite runs."""

from datetime import date
from functools import partial

from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client, TransactionTestCase, override_settings

from accounts import setup
from accounts.authentication import sessions
from accounts.authentication.bearer import redeem_ticket, session_of
from accounts.errors import InvalidToken, TokenReused
from accounts.models import Profile, Session, SetupLink, User
from accounts.tests.factories import PASSWORD, alice, change
from accounts.tests.races import at_once

ROUNDS = 5
JSON = "application/json"


class RegistrationRaceTests(TransactionTestCase):
    #: One address: small and capital letters, wide ones, a Kelvin sign, a long s, and
    #: what Unicode has for several letters at once.
    SPELLINGS = (
        "kafka.staff@example.com",
        "KAFKA.Staff@EXAMPLE.com",
        "ｋafka.staff@ｅxample.com",
        "\N{KELVIN SIGN}afka.staff@example.com",
        "kafka.\N{LATIN SMALL LETTER LONG S}taff@example.com",
        "kafka.\N{LATIN SMALL LIGATURE ST}aff@example.com",
        "kafka.sta\N{LATIN SMALL LIGATURE FF}@example.com",
        " kafka.staff@example.com ",
    )

    def register(self, number):
        """Ask for an account, over the API and on the page by turns."""
        spelling = number // 2 % len(self.SPELLINGS)
        if number % 2:
            body = {"email": self.SPELLINGS[spelling], "password": PASSWORD}
            return Client().post("/api/v1/auth/register", body, content_type=JSON)
        # The page wants an address in ordinary letters, small or capital.
        form = {"email": self.SPELLINGS[spelling % 2], "password1": PASSWORD}
        return Client().post("/accounts/signup/", form)

    def assert_one_account_of_twenty(self):
        User.objects.all().delete()
        cache.clear()
        mail.outbox.clear()

        answers = at_once([partial(self.register, number) for number in range(20)])

        statuses = [answer.status_code for answer in answers]
        assert statuses == [302, 201] * 10
        user = User.objects.get()
        assert user.email == self.SPELLINGS[0]
        assert user.profile is not None
        ids = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        assert len(set(ids)) == 10
        assert ids.count(str(user.pk)) <= 1
        assert {tuple(message.to) for message in mail.outbox} == {(user.email,)}

    def test_it_makes_one_account_of_twenty(self):
        for _ in range(ROUNDS):
            self.assert_one_account_of_twenty()

    @override_settings(EMAIL_VERIFICATION="required")
    def test_it_makes_one_account_of_twenty_that_waits_for_its_link(self):
        for _ in range(ROUNDS):
            self.assert_one_account_of_twenty()

            assert EmailAddress.objects.get().user == User.objects.get()

    def test_it_tells_addresses_apart_that_only_look_alike(self):
        for email, is_good in (
            ("ilsebill@example.com", True),
            ("ılsebill@example.com", False),
            ("İlsebill@example.com", False),
            ("strasse@example.com", True),
            ("straße@example.com", False),
            ("kаfka@example.com", False),
        ):
            for path, body in (
                ("/api/v1/auth/register", {"email": email, "password": PASSWORD}),
                ("/accounts/signup/", {"email": email, "password1": PASSWORD}),
            ):
                with self.subTest(email, path=path):
                    kind = {} if "signup" in path else {"content_type": JSON}
                    answer = Client().post(path, body, **kind)
                    assert answer.status_code in (200, 201, 302, 400)
            assert User.objects.filter(email=email).exists() == is_good
        assert User.objects.count() == 2


class SessionRaceTests(TransactionTestCase):
    def test_it_exchanges_a_refresh_token_once(self):
        user = alice()
        for _ in range(ROUNDS):
            tokens = sessions.open_session(user)

            results = at_once([partial(sessions.rotate, tokens.refresh)] * 10)

            new = [result for result in results if isinstance(result, sessions.Tokens)]
            refused = [result for result in results if isinstance(result, TokenReused)]
            assert (len(new), len(refused)) == (1, 9), results
            assert session_of(new[0].access) is not None
            assert sessions.rotate(new[0].refresh)

    def test_it_leaves_nothing_alive_when_a_logout_meets_a_refresh(self):
        user = alice()
        for _ in range(ROUNDS):
            tokens = sessions.open_session(user)

            results = at_once(
                [
                    partial(sessions.rotate, tokens.refresh),
                    partial(sessions.end, tokens.refresh),
                ]
            )

            assert isinstance(results[0], sessions.Tokens | InvalidToken), results
            assert results[1] is None
            assert not Session.objects.live().exists()

    def test_it_leaves_nothing_alive_when_a_deactivation_meets_a_refresh(self):
        user = alice()
        for _ in range(ROUNDS):
            change(user, is_active=True)
            tokens = sessions.open_session(user)

            results = at_once(
                [
                    partial(sessions.rotate, tokens.refresh),
                    partial(change, User.objects.get(), is_active=False),
                ]
            )

            assert isinstance(results[0], sessions.Tokens | InvalidToken), results
            assert results[1] is None
            change(user, is_active=True)
            assert not Session.objects.live().exists()

    def test_it_leaves_nothing_alive_when_a_new_password_meets_a_sign_in(self):
        for number in range(ROUNDS):
            User.objects.all().delete()
            knows_the_old = alice()
            changed = User.objects.get()
            changed.set_password(f"another password {number}")

            at_once([partial(sessions.open_session, knows_the_old), changed.save])

            assert not Session.objects.live().exists()

    def test_it_answers_when_a_user_is_deleted_during_a_refresh(self):
        for _ in range(ROUNDS):
            user = alice()
            tokens = sessions.open_session(user)

            results = at_once([partial(sessions.rotate, tokens.refresh), user.delete])

            assert isinstance(results[0], sessions.Tokens | InvalidToken), results
            assert not Session.objects.exists()

    def test_it_redeems_a_ticket_once(self):
        session = session_of(sessions.open_session(alice()).access)
        for _ in range(ROUNDS):
            ticket = sessions.issue_ticket(session)

            results = at_once([partial(redeem_ticket, ticket)] * 8)

            assert results.count(None) == 7, results
            assert session in results


class ProfileRaceTests(TransactionTestCase):
    def test_it_lets_the_birthdate_be_set_once(self):
        for _ in range(ROUNDS):
            User.objects.all().delete()
            alice()
            profiles = [Profile.objects.get() for _ in range(4)]

            results = at_once(
                [
                    partial(profile.edit, birthdate=date(1990 + number, 1, 1))
                    for number, profile in enumerate(profiles)
                ]
            )

            assert results.count(None) == 1, results


class SetupRaceTests(TransactionTestCase):
    def test_it_makes_one_administrator_of_one_link_or_two(self):
        for _ in range(ROUNDS):
            User.objects.all().delete()
            links = [setup.setup_link("http://localhost") for _ in range(2)]
            tokens = [link.rpartition("/")[2] for link in links]

            results = at_once(
                [
                    partial(
                        setup.make_first_admin,
                        tokens[number % 2],
                        f"admin{number}@example.com",
                        PASSWORD,
                    )
                    for number in range(4)
                ]
            )

            assert results.count(None) == 3, results
            assert User.objects.get().role == User.Role.ADMIN
            assert not SetupLink.objects.exists()
