"""One spelling of an address, wherever it is typed, stored or compared."""

from importlib import import_module

from allauth.account.models import EmailAddress
from django.apps import apps
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client, TestCase, override_settings

from accounts import passwords
from accounts.addresses import is_at, normalize_email, validate_email_spelling
from accounts.mfa import second_factor
from accounts.models import User
from accounts.tests.factories import PASSWORD, make_user

#: One domain, as people, programs and DNS write it.
SPELLINGS = (
    "a@münchen.de",
    "a@xn--mnchen-3ya.de",
    "a@MÜNCHEN.DE",
    "A@XN--MNCHEN-3YA.DE",
    "a@mu\N{COMBINING DIAERESIS}nchen.de",
    "a@münchen\N{IDEOGRAPHIC FULL STOP}de",
    "a@ｍünchen.de",
)
KEPT = "a@xn--mnchen-3ya.de"
#: What no server can be called.
IMPOSSIBLE = (
    "a@-ü.de",
    "a@ü..de",
    "a@" + "ü" * 64 + ".de",
    "a@" + "ü" * 9000 + ".de",
    "a@\N{ZERO WIDTH JOINER}ü.de",
    "a@☕.com",
    "a@\N{ARABIC-INDIC DIGIT ONE}\N{EXTENDED ARABIC-INDIC DIGIT ONE}.com",
)


class SpellingTests(TestCase):
    def setUp(self):
        cache.clear()

    def register(self, email):
        body = {"email": email, "password": PASSWORD}
        path = "/api/v1/auth/register"
        return Client().post(path, body, content_type="application/json")

    def test_a_domain_has_one_spelling(self):
        for email in SPELLINGS:
            with self.subTest(email):
                assert normalize_email(email) == KEPT

    def test_a_sharp_s_is_no_double_one(self):
        assert normalize_email("a@straße.de") != normalize_email("a@strasse.de")

    def test_what_is_ignored_in_a_domain_makes_no_second_one(self):
        for ignored in ("\N{SOFT HYPHEN}", "\N{ZERO WIDTH SPACE}"):
            assert normalize_email(f"a@exam{ignored}ple.org") == "a@example.org"

    def test_names_in_quotes_are_refused(self):
        for email in (
            '"a;=1+1;b"@example.org',
            '"a\x1b[31mb"@example.org',
            "a@exam\N{LINE SEPARATOR}ple.org",
        ):
            with self.subTest(email), self.assertRaises(ValidationError):
                validate_email_spelling(normalize_email(email))
            assert self.register(email).status_code == 400

    def test_it_makes_one_account_however_a_domain_is_spelled(self):
        for email in SPELLINGS:
            assert self.register(email).status_code == 201
        for email in SPELLINGS[:2]:
            form = {"email": email, "password1": PASSWORD}
            Client().post("/accounts/signup/", form)

        assert User.objects.get().email == KEPT

    def test_one_signs_in_with_any_spelling(self):
        make_user(SPELLINGS[0])
        for email in SPELLINGS:
            with self.subTest(email):
                body = {"email": email, "password": PASSWORD}
                answer = self.client.post(
                    "/api/v1/auth/login", body, content_type="application/json"
                )
                assert answer.status_code == 200, answer.content
                if "\N{IDEOGRAPHIC FULL STOP}" in email:
                    continue  # which the page takes for no address
                browser = Client()
                browser.post("/accounts/login/", {"login": email, "password": PASSWORD})
                assert "_auth_user_id" in browser.session

    def test_a_domain_that_cannot_be_is_refused_as_an_address(self):
        for email in IMPOSSIBLE:
            with self.subTest(ascii(email)[:40]):
                with self.assertRaises(ValidationError):
                    validate_email_spelling(normalize_email(email))
                answer = self.register(email)
                assert answer.status_code == 400
                assert answer.json()["code"] == "invalid"
                for path, field in (
                    ("/accounts/signup/", "email"),
                    ("/accounts/login/", "login"),
                    ("/accounts/password/reset/", "email"),
                ):
                    form = {field: email, "password": PASSWORD, "password1": PASSWORD}
                    assert Client().post(path, form).status_code in (200, 302)
        assert not User.objects.exists()


class DomainRuleTests(TestCase):
    def test_the_rules_about_domains_know_every_spelling(self):
        names = [email.partition("@")[2] for email in SPELLINGS]
        for rule in [*names, " münchen.de "]:
            with self.subTest(rule):
                for email in SPELLINGS:
                    user = User(email=normalize_email(email))
                    with override_settings(MFA_REQUIRED_DOMAINS=[rule]):
                        assert second_factor.is_required(user)
                    with override_settings(PASSWORD_CHANGE_DOMAINS=[rule]):
                        assert passwords.may_change(user)

    def test_nobody_else_is_meant(self):
        user = User(email="a@example.com")
        with override_settings(
            MFA_REQUIRED_DOMAINS=["münchen.de", "☕.com", ""],
            PASSWORD_CHANGE_DOMAINS=["münchen.de"],
        ):
            assert not second_factor.is_required(user)
            assert not passwords.may_change(user)
        assert not is_at("nobody", [""]) or is_at("", [""])


class MigrationTests(TestCase):
    """What was stored before there was one spelling."""

    def migrate(self):
        module = import_module("accounts.migrations.0004_one_spelling_of_domains")
        module.respell(apps, None)

    def stored(self, email):
        user = make_user(f"{User.objects.count()}@example.com")
        User.objects.filter(pk=user.pk).update(email=email)
        EmailAddress.objects.create(user=user, email=email, verified=True)
        return user

    def emails(self):
        return set(User.objects.values_list("email", flat=True))

    def test_it_spells_anew_what_is_there_and_touches_nothing_else(self):
        user = self.stored("a@münchen.de")
        self.stored("b@example.com")

        self.migrate()

        assert self.emails() == {KEPT, "b@example.com"}
        assert EmailAddress.objects.get(user=user).email == KEPT

    def test_it_leaves_two_people_with_one_address_to_the_operator(self):
        self.stored(KEPT)
        self.stored("a@münchen.de")

        self.migrate()

        assert self.emails() == {KEPT, "a@münchen.de"}

    def test_it_leaves_what_cannot_be_spelled(self):
        self.stored("a@☕.com")

        self.migrate()

        assert self.emails() == {"a@☕.com"}
