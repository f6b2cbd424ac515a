"""The security settings, and the pages around a second factor, as they are served."""

import json
from http import HTTPStatus

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.mfa import second_factor
from accounts.tests.factories import PASSWORD, alice, charlie

SECURITY = "/settings/security"
REQUIRED = {"MFA_REQUIRED_DOMAINS": ["example.com"]}
#: The shape of an answer, of nobody's passkey.
STRANGE = json.dumps(
    {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {
            "clientDataJSON": "e30",
            "authenticatorData": "A" * 50,
            "signature": "AAAA",
            "userHandle": "AAAA",
        },
        "clientExtensionResults": {},
    }
)
#: What is nobody's passkey for other reasons.
SHAPES = [
    '{"response": []}',
    '{"id": "AAAA"}',
    '{"id": "AAAA", "rawId": "AAAA", "response": {"clientDataJSON": "e30"}}',
    '{"response": {"userHandle": 5}}',
]
WHY = "This site asks people like you for a second factor."


def add_passkey(user, name="My laptop"):
    """Store a passkey that nobody holds: enough to be listed, renamed and removed."""
    return Authenticator.objects.create(
        user=user,
        type=Authenticator.Type.WEBAUTHN,
        data={"name": name, "credential": {"clientExtensionResults": {}}},
    )


class SignedIn(TestCase):
    def setUp(self):
        self.alice = alice()
        self.client.force_login(self.alice)

    def confirm(self):
        """Show that it is her, as the pages that change something ask."""
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})

    def main(self, address=SECURITY):
        response = self.client.get(address)
        assert response.status_code == HTTPStatus.OK, response
        return response.content.decode().partition("<main")[2]


class SecurityPageTests(SignedIn):
    def test_it_offers_what_is_not_there(self):
        page = self.main()

        for name in (
            "account_change_password",
            "mfa_activate_totp",
            "mfa_add_webauthn",
        ):
            assert reverse(name) in page
        assert reverse("mfa_generate_recovery_codes") not in page

    def test_it_shows_what_is_there(self):
        TOTP.activate(self.alice, generate_totp_secret())
        passkey = add_passkey(self.alice, "<b>My laptop</b>")
        second_factor.renew_recovery_codes(self.alice)
        self.client.force_login(self.alice)

        page = self.main()

        assert reverse("mfa_deactivate_totp") in page
        assert reverse("mfa_edit_webauthn", args=[passkey.pk]) in page
        assert reverse("mfa_remove_webauthn", args=[passkey.pk]) in page
        assert "&lt;b&gt;My laptop&lt;/b&gt;" in page
        assert "10 are left" in page

    def test_it_warns_who_has_no_recovery_code(self):
        TOTP.activate(self.alice, generate_totp_secret())

        assert "You have none" in self.main()

    @override_settings(PASSWORD_CHANGE_DOMAINS=["example.net"])
    def test_it_leads_to_no_closed_door(self):
        page = self.main()

        assert "/accounts/password/" not in page
        assert "ask the operator" in page

    def test_it_lets_who_has_no_password_choose_one(self):
        self.alice.set_unusable_password()
        self.alice.save()
        self.client.force_login(self.alice)

        assert reverse("account_set_password") in self.main()

    def test_it_costs_the_same_for_many_passkeys(self):
        add_passkey(self.alice)
        self.client.get(SECURITY)
        with CaptureQueriesContext(connection) as for_one:
            self.client.get(SECURITY)
        for number in range(9):
            add_passkey(self.alice, f"Key {number}")

        with self.assertNumQueries(len(for_one)):
            self.client.get(SECURITY)

    def test_it_is_for_people_who_are_signed_in(self):
        self.client.logout()

        response = self.client.get(SECURITY)

        self.assertRedirects(response, f"/accounts/login/?next={SECURITY}")

    def test_lists_of_allauth_lead_to_it(self):
        for name in ("mfa_index", "mfa_list_webauthn"):
            self.assertRedirects(self.client.get(reverse(name)), SECURITY)


@override_settings(**REQUIRED)
class RequiredTests(SignedIn):
    def test_the_pages_say_why(self):
        assert WHY in self.main("/accounts/reauthenticate/")
        self.confirm()
        for address in (
            SECURITY,
            reverse("mfa_activate_totp"),
            reverse("mfa_add_webauthn"),
        ):
            with self.subTest(address):
                assert WHY in self.main(address)

    def test_they_do_not_say_it_to_who_has_one(self):
        add_passkey(self.alice)

        page = self.main()

        assert WHY not in page
        assert "the last one cannot be taken away" in page

    def test_the_last_one_cannot_be_turned_off(self):
        TOTP.activate(self.alice, generate_totp_secret())
        self.confirm()

        page = self.main(reverse("mfa_deactivate_totp"))
        self.client.post(reverse("mfa_deactivate_totp"))

        assert "Turn it off" not in page
        assert second_factor.has_totp(self.alice)

    def test_the_last_passkey_cannot_be_removed(self):
        passkey = add_passkey(self.alice)
        self.confirm()
        address = reverse("mfa_remove_webauthn", args=[passkey.pk])

        for response in (
            self.client.get(address, follow=True),
            self.client.post(address, follow=True),
        ):
            self.assertContains(response, "the last one")
        assert Authenticator.objects.filter(pk=passkey.pk).exists()


class PageTests(SignedIn):
    def test_every_page_is_in_our_frame(self):
        passkey = add_passkey(self.alice)
        self.confirm()
        for name, *arguments in (
            ["mfa_activate_totp"],
            ["mfa_edit_webauthn", passkey.pk],
            ["mfa_remove_webauthn", passkey.pk],
            ["mfa_generate_recovery_codes"],
        ):
            with self.subTest(name):
                assert 'class="sheet"' in self.main(reverse(name, args=arguments))

    def test_codes_are_shown_once(self):
        TOTP.activate(self.alice, generate_totp_secret())
        self.confirm()
        self.client.post(reverse("mfa_generate_recovery_codes"))

        first = self.main(reverse("mfa_view_recovery_codes"))
        second = self.main(reverse("mfa_view_recovery_codes"))

        assert first.count("<li>") == 10
        assert 'id="recovery_codes"' not in second
        assert "10 of 10 are left" in second

    def test_a_name_is_not_too_long(self):
        passkey = add_passkey(self.alice)
        self.confirm()
        address = reverse("mfa_edit_webauthn", args=[passkey.pk])

        response = self.client.post(address, {"name": "x" * 61})

        self.assertContains(response, "at most 60 characters")
        passkey.refresh_from_db()
        assert passkey.data["name"] == "My laptop"

    def test_a_new_passkey_is_called_after_the_device(self):
        self.confirm()
        firefox = (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        )

        page = self.client.get(reverse("mfa_add_webauthn"), HTTP_USER_AGENT=firefox)

        self.assertContains(page, 'value="Firefox on Linux"')

    def test_nobody_touches_the_passkey_of_another(self):
        passkey = add_passkey(self.alice)
        self.client.force_login(charlie())
        self.confirm()
        for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
            address = reverse(name, args=[passkey.pk])
            with self.subTest(name):
                for response in (
                    self.client.get(address),
                    self.client.post(address, {"name": "Mine"}),
                ):
                    assert response.status_code == HTTPStatus.NOT_FOUND
        passkey.refresh_from_db()
        assert passkey.data["name"] == "My laptop"

    def test_what_changes_something_asks_again_who_it_is(self):
        passkey = add_passkey(self.alice)
        for name, *arguments in (
            ["mfa_activate_totp"],
            ["mfa_add_webauthn"],
            ["mfa_edit_webauthn", passkey.pk],
            ["mfa_remove_webauthn", passkey.pk],
            ["mfa_generate_recovery_codes"],
        ):
            with self.subTest(name):
                response = self.client.get(reverse(name, args=arguments))
                assert "/accounts/reauthenticate/" in response["Location"]


class StrangePasskeyTests(SignedIn):
    def test_what_is_no_passkey_opens_nothing(self):
        self.client.logout()
        for credential in ("[]", "5", '"x"', "{}", *SHAPES, "{", STRANGE):
            with self.subTest(credential):
                response = self.client.post(
                    reverse("mfa_login_webauthn"), {"credential": credential}
                )
                self.assertRedirects(response, "/accounts/login/")
                assert "_auth_user_id" not in self.client.session


class LetterTests(TransactionTestCase):
    def test_it_says_what_was_changed(self):
        user = alice()
        self.client.force_login(user)
        add_passkey(user)
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})

        self.client.post(reverse("mfa_generate_recovery_codes"))

        (letter,) = mail.outbox
        assert letter.to == [user.email]
        assert letter.subject.endswith("You have new recovery codes")
        assert "If it was not you" in letter.body
