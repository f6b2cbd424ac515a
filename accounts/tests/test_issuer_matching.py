"""Whose account another service's token opens, where somebody else came first."""

from functools import partial

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.test import Client, TestCase, override_settings

from accounts import audit
from accounts.authentication.sessions import open_session
from accounts.models import AuditEvent, ExternalIdentity, Session, User
from accounts.tests.cases import ME
from accounts.tests.factories import PASSWORD, ada, alice
from accounts.tests.key_server import issuer
from accounts.tests.second_factors import with_app, with_codes, with_passkey
from accounts.tests.test_issuers import shared

EMAIL = "alice@example.com"


@override_settings(JWT_ISSUERS=[issuer()])
class MatchingCase(TestCase):
    def setUp(self):
        cache.clear()

    def sign_up(self):
        """Let Mallory make an account in Alice's name."""
        body = {"email": EMAIL, "password": PASSWORD}
        Client().post("/api/v1/auth/register", body, content_type="application/json")
        mail.outbox.clear()
        return User.objects.get(email=EMAIL)

    def come(self, **claims):
        """Let Alice come with a token of her service."""
        with self.captureOnCommitCallbacks(execute=True):
            answer = self.client.get(
                ME, HTTP_AUTHORIZATION=f"Bearer {shared(**claims)}"
            )
        assert answer.status_code == 200, answer.content
        assert answer.json()["email"] == EMAIL

    def is_handed_over(self):
        return AuditEvent.objects.filter(action="account.handed_over").exists()


class HandOverTests(MatchingCase):
    def test_nobody_who_signed_up_with_the_address_keeps_a_key(self):
        user = self.sign_up()
        with_app(user)
        with_codes(user)
        with_passkey(user)
        open_session(user)
        browser = Client()
        browser.force_login(user)

        self.come()

        stored = User.objects.get(email=EMAIL)
        assert not stored.has_usable_password()
        assert not Authenticator.objects.exists()
        assert not Session.objects.live().exists()
        assert not UserSession.objects.exists()
        assert browser.get("/settings/profile").status_code == 302

    def test_it_is_recorded_and_told(self):
        user = self.sign_up()

        self.come()

        event = AuditEvent.objects.get(action="account.handed_over")
        assert (event.actor, event.object_id) == (None, str(user.pk))
        assert event.details == {"issuer": issuer()["issuer"]}
        (message,) = mail.outbox
        assert message.to == [EMAIL]
        assert issuer()["issuer"] in message.body
        assert "/accounts/password/reset/" in message.body

    def test_it_happens_once(self):
        self.sign_up()
        self.come()
        kept = User.objects.get(email=EMAIL)
        kept.set_password(PASSWORD)
        kept.save()

        self.come()
        ExternalIdentity.objects.all().delete()
        self.come(sub="renamed")

        assert User.objects.get(email=EMAIL).check_password(PASSWORD)

    @override_settings(EMAIL_VERIFICATION="required")
    def test_it_holds_for_an_account_that_waits_for_its_link(self):
        user = self.sign_up()
        assert EmailAddress.objects.get(user=user).verified is False

        self.come()

        assert not User.objects.get(email=EMAIL).has_usable_password()


class KeptTests(MatchingCase):
    """Who is known to have the address keeps everything."""

    def assert_kept(self, user):
        open_session(user)

        self.come()

        assert User.objects.get(pk=user.pk).check_password(PASSWORD)
        assert Session.objects.live().exists()
        assert not self.is_handed_over()
        assert mail.outbox == []

    def test_who_confirmed_the_address_does(self):
        user = self.sign_up()
        EmailAddress.objects.create(user=user, email=EMAIL, verified=True)

        self.assert_kept(user)

    def test_whom_the_operator_made_does(self):
        client = Client()
        client.force_login(ada())
        client.post(
            "/admin/accounts/user/add/",
            {
                "email": EMAIL,
                "role": "worker",
                "usable_password": "true",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        self.assert_kept(User.objects.get(email=EMAIL))

    def test_whose_address_the_operator_entered_does(self):
        user = alice()
        audit.record("user.email_changed", of=user, old="a@example.com", new=EMAIL)

        self.assert_kept(user)

    def test_an_address_that_was_confirmed_counts_no_more_when_there_is_another(self):
        user = self.sign_up()
        other = "mallory@example.com"
        EmailAddress.objects.create(user=user, email=other, verified=True)

        self.come()

        assert self.is_handed_over()

    @override_settings(JWT_ISSUERS=[issuer(user="create")])
    def test_whom_an_issuer_made_does(self):
        self.come()
        user = User.objects.get(email=EMAIL)
        ExternalIdentity.objects.all().delete()

        with override_settings(JWT_ISSUERS=[issuer()]):
            self.come()

        assert not self.is_handed_over()
        assert User.objects.get(email=EMAIL).pk == user.pk


class LaterTests(MatchingCase):
    def test_who_made_the_account_cannot_come_back(self):
        self.sign_up()
        sign_in = partial(
            Client().post,
            "/api/v1/auth/login",
            {"email": EMAIL, "password": PASSWORD},
            content_type="application/json",
        )
        assert sign_in().status_code == 200

        self.come()

        assert sign_in().status_code == 401
