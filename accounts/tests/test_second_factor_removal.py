"""Taking second factors away: by oneself, at the same moment, by the operator."""

from functools import partial

from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.cache import cache
from django.test import Client, TestCase, TransactionTestCase, override_settings
from django.urls import NoReverseMatch, reverse

from accounts.mfa import removal, second_factor
from accounts.models import AuditEvent
from accounts.tests.factories import PASSWORD, ada, alice, auth
from accounts.tests.races import at_once
from accounts.tests.second_factors import (
    code_of,
    with_app,
    with_codes,
    with_passkey,
    wrong,
)

ROUNDS = 5
TURN_OFF = "/accounts/2fa/totp/deactivate/"
ROWS = Authenticator.objects


def removal_of(passkey):
    return f"/accounts/2fa/webauthn/keys/{passkey.pk}/remove/"


class PageTests(TestCase):
    """The page asks for what the API asks for: the password and a code."""

    def setUp(self):
        cache.clear()
        self.alice = alice()
        self.secret = with_app(self.alice)
        self.codes = with_codes(self.alice)
        self.client.force_login(self.alice)

    def confirm(self):
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})

    def turn_off(self, code=""):
        return self.client.post(TURN_OFF, {"code": code})

    def test_the_password_alone_removes_nothing(self):
        self.confirm()

        for code in ("", wrong(self.secret), "0" * 12):
            assert self.turn_off(code).status_code == 200
            assert second_factor.has_totp(self.alice)
        assert not AuditEvent.objects.filter(action="second_factor.totp_removed")

    def test_a_code_of_the_app_removes_it(self):
        self.confirm()
        self.assertContains(self.client.get(TURN_OFF), 'name="code"')

        response = self.turn_off(code_of(self.secret))

        assert response["Location"] == reverse("security")
        assert not ROWS.exists()
        assert len(mail.outbox) == 1
        assert self.client.get("/settings/security").status_code == 200

    def test_who_has_lost_the_app_uses_a_recovery_code(self):
        self.confirm()

        self.turn_off(self.codes[0])

        assert not ROWS.exists()

    def test_a_code_without_the_password_removes_nothing(self):
        response = self.turn_off(self.codes[0])

        assert response["Location"].startswith("/accounts/reauthenticate/")
        assert second_factor.has_totp(self.alice)
        # A code shows who it is elsewhere; here it is asked for anyway.
        self.client.post("/accounts/2fa/reauthenticate/", {"code": self.codes[1]})
        response = self.turn_off(self.codes[2])
        assert response["Location"].startswith("/accounts/reauthenticate/")
        assert second_factor.has_totp(self.alice)

    def test_wrong_codes_are_counted_with_those_of_other_doors(self):
        self.confirm()
        for _ in range(9):
            second_factor.verify(self.alice, wrong(self.secret))
        self.turn_off(wrong(self.secret))

        assert self.turn_off(code_of(self.secret)).status_code == 429
        assert second_factor.has_totp(self.alice)

    def test_no_code_is_used_up_where_it_has_to_stay(self):
        self.confirm()

        with self.settings(MFA_REQUIRED_ROLES=["worker"]):
            self.turn_off(self.codes[0])

        assert second_factor.recovery_codes_left(self.alice) == 10

    def test_who_has_no_password_here_shows_otherwise_who_they_are(self):
        self.alice.set_unusable_password()
        self.alice.save()
        self.client.force_login(self.alice)
        self.client.post("/accounts/2fa/reauthenticate/", {"code": self.codes[1]})

        self.turn_off(self.codes[2])

        assert not second_factor.has_totp(self.alice)

    def test_there_is_nothing_to_turn_off_without_one(self):
        ROWS.all().delete()

        assert self.client.get(TURN_OFF).status_code == 404


@override_settings(
    MFA_REQUIRED_ROLES=["worker"], ACCOUNT_RATE_LIMITS={"login_failed": None}
)
class RaceTests(TransactionTestCase):
    """Whoever needs a second factor keeps one, however many go at the same moment."""

    def setUp(self):
        self.alice = alice()
        with_app(self.alice)
        self.client.force_login(self.alice)
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})

    def post(self, path, **fields):
        """Press a button in one of several tabs of the same browser."""
        tab = Client()
        tab.cookies = self.client.cookies
        return tab.post(path, fields).status_code

    def test_of_two_passkeys_removed_at_once_one_stays(self):
        for _ in range(ROUNDS):
            ROWS.all().delete()
            keys = [with_passkey(self.alice) for _ in range(2)]

            results = at_once([partial(self.post, removal_of(key)) for key in keys])

            assert results == [302, 302]
            assert ROWS.count() == 1

    def test_of_app_and_passkey_removed_at_once_on_pages_one_stays(self):
        for _ in range(ROUNDS):
            ROWS.all().delete()
            code, passkey = code_of(with_app(self.alice)), with_passkey(self.alice)

            results = at_once(
                [
                    partial(self.post, TURN_OFF, code=code),
                    partial(self.post, removal_of(passkey)),
                ]
            )

            assert set(results) <= {200, 302}
            assert ROWS.count() == 1

    def test_of_app_over_the_api_and_passkey_on_the_page_one_stays(self):
        for _ in range(ROUNDS):
            ROWS.all().delete()
            secret, key = with_app(self.alice), with_passkey(self.alice)
            self.client.force_login(self.alice)
            self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})
            headers = auth(self.alice)

            def over_api():
                answer = Client().delete(
                    "/api/v1/me/totp",
                    {"password": PASSWORD, "code": code_of(secret)},  # noqa: B023
                    content_type="application/json",
                    **headers,  # noqa: B023
                )
                return answer.status_code

            api, page = at_once([over_api, partial(self.post, removal_of(key))])

            # Who comes second may find that the first has ended its session.
            assert (api == 204) != (page == 302), (api, page)
            assert ROWS.count() == 1


class SetUpRaceTests(TransactionTestCase):
    def test_a_code_sent_twice_at_once_sets_one_app_up(self):
        user = alice()
        self.client.force_login(user)
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        path = "/accounts/2fa/totp/activate/"
        for _ in range(ROUNDS):
            ROWS.all().delete()
            secret = self.client.get(path).context["form"].secret
            body = {"code": code_of(secret, 0)}

            def press():
                tab = Client()
                tab.cookies = self.client.cookies
                answer = tab.post(path, body)  # noqa: B023
                return answer.get("Location")

            results = at_once([press] * 3)

            assert results == ["/accounts/2fa/recovery-codes/"] * 3
            assert ROWS.filter(type="totp").count() == 1


class OperatorTests(TestCase):
    def setUp(self):
        self.ada, self.alice = ada(), alice()
        self.client.force_login(self.ada)

    def remove(self, *users):
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(
                reverse("admin:accounts_user_changelist"),
                {
                    "action": "remove_second_factor",
                    "_selected_action": [str(user.pk) for user in users],
                },
                follow=True,
            )

    def test_the_person_is_told_by_mail(self):
        with_app(self.alice)

        self.remove(self.alice)

        (letter,) = mail.outbox
        assert letter.to == [self.alice.email]
        assert "operator" in letter.body
        assert "ended" in letter.body
        assert "{" not in letter.subject + letter.body

    def test_who_had_none_gets_no_mail(self):
        self.remove(self.alice)

        assert mail.outbox == []

    def test_a_removal_that_is_undone_tells_nobody(self):
        with_app(self.alice)

        with self.captureOnCommitCallbacks():
            removal.remove_all(self.alice, actor=self.ada)

        assert mail.outbox == []

    @override_settings(MFA_REQUIRED_ROLES=["admin"])
    def test_administrators_do_not_take_their_own(self):
        with_app(self.ada)
        with_app(self.alice)

        response = self.remove(self.ada, self.alice)

        assert second_factor.has_totp(self.ada)
        assert not second_factor.has_totp(self.alice)
        self.assertContains(response, "Your own is on your security page")
        actors = AuditEvent.objects.filter(action="second_factor.removed")
        assert [event.object_id for event in actors] == [str(self.alice.pk)]


class AdminPageTests(TestCase):
    def setUp(self):
        self.ada, self.alice = ada(), alice()
        self.client.force_login(self.ada)

    def shown(self):
        path = reverse("admin:accounts_user_change", args=[self.alice.pk])
        return self.client.get(path)

    def test_no_page_shows_secrets(self):
        with_app(self.alice)

        for name in ("changelist", "add"):
            with self.assertRaises(NoReverseMatch):
                reverse(f"admin:mfa_authenticator_{name}")
        row = ROWS.get()
        for path in ("", "add/", f"{row.pk}/change/"):
            response = self.client.get(f"/admin/mfa/authenticator/{path}")
            assert response.status_code == 404
        self.assertNotContains(self.shown(), row.data["secret"])

    def test_a_users_page_tells_what_they_have(self):
        with_app(self.alice)
        with_passkey(self.alice)
        with_passkey(self.alice)
        with_codes(self.alice)

        self.assertContains(
            self.shown(), "authenticator app, 2 passkeys, 10 recovery codes"
        )

    def test_a_users_page_tells_that_they_have_none(self):
        self.assertContains(self.shown(), '<div class="readonly">none</div>')

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_a_users_page_tells_that_they_have_to_set_one_up(self):
        self.assertContains(self.shown(), "none; to be set up at the next sign-in")
