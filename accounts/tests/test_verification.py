"""Confirming one's e-mail address before signing in, where the operator asks for it."""

import re
from datetime import timedelta
from unittest import mock

from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone

from accounts import arrivals, setup, timing
from accounts.models import AuditEvent, User
from accounts.tests.cases import JsonTestCase, a_clock, in_one_window
from accounts.tests.factories import PASSWORD, ada, alice, auth, everything

REGISTER = "/api/v1/auth/register"
SIGN_IN = "/accounts/login/"
SIGN_UP = "/accounts/signup/"
RESET = "/accounts/password/reset/"
SENT = "/accounts/confirm-email/"
EMAIL = "alice@example.com"
NEW = "another long password"


class VerificationTestCase(JsonTestCase):
    def register(self, email=EMAIL, password=PASSWORD, **fields):
        return self.post(REGISTER, {"email": email, "password": password} | fields)

    def sign_up(self, email=EMAIL, **fields):
        body = {"email": email, "password1": PASSWORD} | fields
        return self.client.post(SIGN_UP, body)

    def sign_in(self, email=EMAIL, password=PASSWORD, client=None):
        body = {"login": email, "password": password}
        return (client or Client()).post(SIGN_IN, body)

    def assert_opens(self, email=EMAIL, password=PASSWORD):
        assert self.login(email, password).status_code == 200
        assert self.sign_in(email, password).status_code == 302

    def assert_stays_closed(self, email=EMAIL, password=PASSWORD):
        assert self.login(email, password).status_code == 401
        assert self.sign_in(email, password).status_code == 200
        cache.clear()

    def link(self, number=-1):
        return re.search(r"/accounts/confirm-email/\S+", mail.outbox[number].body)[0]

    def three_minutes_pass(self):
        cache.clear()
        mail.outbox.clear()


@override_settings(EMAIL_VERIFICATION="required")
class RegistrationTests(VerificationTestCase):
    def test_signing_up_sends_a_link(self):
        for sign_up in (self.register, self.sign_up):
            with self.subTest(sign_up.__name__):
                email = f"{sign_up.__name__}@example.com"
                answer = sign_up(email)

                assert answer.status_code in (201, 302)
                assert mail.outbox[-1].to == [email]
                assert self.link()
        assert len(mail.outbox) == 2

    def test_the_account_opens_after_its_link_and_not_before(self):
        for sign_up in (self.register, self.sign_up):
            with self.subTest(sign_up.__name__):
                email = f"{sign_up.__name__}@example.com"
                sign_up(email)
                link = self.link()
                self.assert_stays_closed(email)

                Client().post(link)

                self.assert_opens(email)

    def test_looking_at_the_link_confirms_nothing(self):
        # Some mail servers follow every link before anybody reads the mail.
        self.register()

        page = Client().get(self.link())

        self.assertContains(page, EMAIL)
        assert not EmailAddress.objects.get().verified

    def test_the_page_leads_to_the_mail_and_signs_nobody_in(self):
        answer = self.sign_up(next="/c/")

        assert answer["Location"] == f"{SENT}?next=%2Fc%2F"
        page = self.client.get(answer["Location"])
        self.assertContains(page, f"A mail is on its way to {EMAIL}")
        self.assertContains(page, f"{SIGN_IN}?next=%2Fc%2F")
        assert "_auth_user_id" not in self.client.session

    def test_the_link_leads_to_a_filled_in_sign_in_and_where_one_wanted_to_go(self):
        self.sign_up("Alice@Example.com", next="/c/")

        answer = self.client.post(self.link())

        assert answer["Location"] == f"{SIGN_IN}?next=%2Fc%2F"
        form = self.client.get(answer["Location"]).context["form"]
        assert form["login"].value() == "Alice@Example.com"

    def test_the_link_fills_the_sign_in_of_another_browser_in(self):
        self.register()
        other = Client()

        answer = other.post(self.link())

        assert answer["Location"] == SIGN_IN
        assert other.get(SIGN_IN).context["form"]["login"].value() == EMAIL

    def test_the_link_of_somebody_else_leads_not_where_one_wanted_to_go(self):
        self.sign_up("bob@example.com", next="/c/")
        self.register()

        answer = self.client.post(self.link())

        assert answer["Location"] == SIGN_IN
        form = self.client.get(SIGN_IN).context["form"]
        assert form["login"].value() == EMAIL

    def test_a_confirmed_address_is_recorded(self):
        self.register()
        Client().post(self.link())

        event = AuditEvent.objects.get(action="user.email_confirmed")
        assert event.actor == User.objects.get()

    def test_signing_up_again_sends_a_new_link_and_takes_nothing_over(self):
        self.register(display_name="Alice")
        before = everything()
        for sign_up in (self.register, self.sign_up):
            with self.subTest(sign_up.__name__):
                self.three_minutes_pass()

                sign_up(password=NEW, password1=NEW, display_name="Eve")

                assert everything() == before
                assert mail.outbox[0].to == [EMAIL]
                assert self.link()
                # Whoever chose the first password may be somebody else.
                assert RESET in mail.outbox[0].body
        Client().post(self.link())
        assert self.login(password=NEW).status_code == 401
        self.assert_opens()

    def test_who_has_confirmed_is_told_of_the_account_when_signed_up_again(self):
        self.register()
        Client().post(self.link())
        self.three_minutes_pass()

        self.register()

        assert "confirm-email" not in mail.outbox[0].body
        assert SIGN_IN in mail.outbox[0].body

    def test_no_answer_of_the_api_sets_a_cookie(self):
        assert not self.register().cookies
        assert not self.login().cookies


@override_settings(EMAIL_VERIFICATION="required")
class LinkTests(VerificationTestCase):
    def setUp(self):
        self.register()

    def assert_good_for_nothing(self, link):
        page = Client().get(link)
        self.assertContains(page, "This link is used up")
        self.assertNotContains(page, EMAIL)
        assert Client().post(link).status_code == 404

    def test_it_works_once(self):
        Client().post(self.link())

        self.assert_good_for_nothing(self.link())

    def test_it_works_for_three_days(self):
        later = timezone.now() + timedelta(days=3, minutes=1)
        with mock.patch(
            "django.core.signing.time.time", return_value=later.timestamp()
        ):
            self.assert_good_for_nothing(self.link())

        assert not EmailAddress.objects.get().verified

    def test_it_cannot_be_made_up(self):
        start, _, signature = self.link().strip("/").rpartition(":")
        forged = f"/{start}:{signature[::-1]}/"
        for link in (forged, f"{SENT}1:2:3/", f"{SENT}nothing/"):
            with self.subTest(link):
                self.assert_good_for_nothing(link)

    def test_it_goes_with_the_account(self):
        User.objects.get().delete()

        self.assert_good_for_nothing(self.link())


@override_settings(EMAIL_VERIFICATION="required")
class SignInTests(VerificationTestCase):
    def test_it_says_the_same_of_a_wrong_password_and_an_unconfirmed_address(self):
        self.register()
        wrong, right = self.login(password="wrong password"), self.login()
        wrong_page, right_page = self.sign_in(password="wrong password"), self.sign_in()

        self.assert_refused(right, 401, "invalid_credentials")
        assert right.content == wrong.content
        assert "not confirmed yet" in right.json()["detail"]
        errors = right_page.context["form"].errors
        assert errors == wrong_page.context["form"].errors
        assert "not confirmed yet" in str(errors)

    @override_settings(EMAIL_VERIFICATION="off")
    def test_it_speaks_of_no_mail_where_none_is_sent(self):
        assert "confirmed" not in self.login().json()["detail"]
        assert "confirmed" not in str(self.sign_in().context["form"].errors)

    def test_who_signs_somebody_up_learns_nothing_by_signing_in(self):
        """The password is right for a new account, and wrong for an old one."""
        alice()
        for sign_in in (self.login, self.sign_in):
            seen = []
            for email in (EMAIL, f"{sign_in.__name__}@example.com"):
                self.register(email, NEW)
                with in_one_window():
                    answers = [sign_in(email, NEW) for _ in range(7)]
                seen.append([answer.status_code for answer in answers])
                cache.clear()

            assert seen[0] == seen[1]
            assert seen[0][5:] == [429, 429]

    def test_what_comes_after_the_hash_is_drawn_out_to_one_length_for_everyone(self):
        self.register()
        for sign_in in (self.login, self.sign_in):
            for who in (
                {"password": PASSWORD},
                {"password": "wrong password"},
                {"email": "nobody@example.com"},
            ):
                with self.subTest(sign_in.__name__, **who), a_clock() as clock:
                    sign_in(**who)

                    assert clock.now == timing.SECONDS

    def test_it_is_recorded_as_a_wrong_password_is(self):
        self.register()
        self.login()

        (event,) = AuditEvent.objects.filter(action="sign_in.failed")
        assert event.object_id == str(User.objects.get(email=EMAIL).pk)

    def test_the_right_password_sends_another_link(self):
        self.register()
        for sign_in in (self.login, self.sign_in):
            with self.subTest(sign_in.__name__):
                self.three_minutes_pass()

                sign_in()

                assert mail.outbox[0].to == [EMAIL]
        Client().post(self.link())
        self.assert_opens()

    def test_the_wrong_password_sends_none(self):
        self.register()
        self.three_minutes_pass()

        self.login(password="wrong password")
        self.sign_in(password="wrong password")

        assert mail.outbox == []

    def test_links_are_sent_once_in_three_minutes(self):
        self.register()
        for _ in range(2):
            self.login()
            self.sign_in()

        assert len(mail.outbox) == 1

    def test_a_new_password_by_mail_confirms_the_address(self):
        self.register()
        self.client.post(RESET, {"email": EMAIL})
        link = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[-1].body)[0]
        form = self.client.get(link, follow=True)
        assert self.login().status_code == 401

        path = form.redirect_chain[-1][0]
        self.client.post(path, {"password1": NEW, "password2": NEW})

        self.assert_opens(password=NEW)


@override_settings(EMAIL_VERIFICATION="required")
class ExemptTests(VerificationTestCase):
    def test_an_account_that_nobody_signed_up_for_is_open(self):
        alice()

        self.assert_opens()

    def test_it_stays_open_when_somebody_asks_for_a_new_password(self):
        alice()
        self.client.post(RESET, {"email": EMAIL})
        assert EmailAddress.objects.filter(verified=False).exists()

        self.assert_opens()

    def test_the_first_administrator_is_open(self):
        token = setup.setup_link("http://localhost").rpartition("/")[2]
        setup.make_first_admin(token, EMAIL, PASSWORD)

        self.assert_opens()

    def test_an_account_that_the_operator_makes_is_open(self):
        self.client.force_login(ada())
        self.client.post(
            "/admin/accounts/user/add/",
            {
                "email": EMAIL,
                "role": "worker",
                "usable_password": "true",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        self.assert_opens()

    def test_an_address_that_the_operator_confirms_is_open_and_recorded_as_such(self):
        self.register()
        operator = ada()
        self.client.force_login(operator)
        self.client.post(
            "/admin/accounts/user/",
            {
                "action": "confirm_address",
                "_selected_action": str(EmailAddress.objects.get().user_id),
            },
        )

        self.assert_opens()
        event = AuditEvent.objects.get(action="user.email_confirmed")
        assert event.actor == operator
        assert arrivals.KEY not in self.client.session

    def test_an_address_that_the_operator_gives_is_open(self):
        self.register()
        user = User.objects.get()
        self.client.force_login(ada())
        inline = {"profile-TOTAL_FORMS": "0", "profile-INITIAL_FORMS": "0"}
        self.client.post(
            f"/admin/accounts/user/{user.pk}/change/",
            {"email": "al@example.com", "role": "worker", "is_active": "on"} | inline,
        )

        self.assert_opens("al@example.com")

    def test_who_signed_up_before_it_was_asked_for_is_open(self):
        with override_settings(EMAIL_VERIFICATION="off"):
            self.register()
            self.sign_up("bob@example.com")

        self.assert_opens()
        self.assert_opens("bob@example.com")

    def test_an_account_is_open_when_it_is_not_asked_for_any_more(self):
        self.register()
        self.sign_up("bob@example.com")

        with override_settings(EMAIL_VERIFICATION="off"):
            self.assert_opens()
            self.assert_opens("bob@example.com")

    def test_who_is_signed_in_already_can_still_show_that_it_is_them(self):
        self.register()
        user = User.objects.get()
        header = auth(user)
        mail.outbox.clear()

        answer = self.client.delete(
            "/api/v1/me",
            {"password": PASSWORD},
            content_type="application/json",
            **header,
        )

        assert answer.status_code == 202
        assert "confirm-email" not in "".join(message.body for message in mail.outbox)


class OffTests(VerificationTestCase):
    def test_it_asks_nobody(self):
        self.register()
        self.sign_up("bob@example.com")

        assert mail.outbox == []
        assert not EmailAddress.objects.exists()
        self.assert_opens()
        self.assert_opens("bob@example.com")
