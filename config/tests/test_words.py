"""How pages and mails speak: one word for one thing, one voice in Spanish."""

import functools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from unittest import mock

import allauth
import django
import pytest
import rest_framework
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib import admin
from django.core import mail
from django.core.cache import cache
from django.test import TestCase
from django.urls import reverse
from django.utils import formats, translation
from django.utils.functional import Promise

from accounts.models import Export, User
from accounts.tests.factories import PASSWORD, ada, alice, make_user
from config.management.commands import translations
from config.management.commands.translations import (
    Text,
    _texts_of_code,
    _texts_of_template,
    find_texts,
)
from config.tests.forms import FORMS, NOT_ACCEPTED
from config.tests.matrix import Matrix

#: The ways in which Spanish speaks to a stranger.
USTED = re.compile(
    r"\b(su|sus|usted|ustedes|escriba|introduzca|ingrese|haga|por favor|asegúrese|"
    r"compruebe|corrija|empiece|elija|escoja|seleccione|pulse|marque|envíe|inténtelo|"
    r"está seguro|ha olvidado|ha indicado|puede (?:agregar|editar)\w*)\b",
    re.IGNORECASE,
)

#: Where *su* is somebody's or something's, and nobody is spoken to.
OF_SOMEBODY_ELSE = (
    ("cerrar sus sesiones", "of the users who are chosen"),
    ("conserva su contraseña anterior", "of the account"),
    ("al operador que la corrija", "the operator does"),
    ("o en su archivo .env", "of the server"),
    ("por su perfil no consta", "of the owner"),
    ("quien es su propietario", "of the conversation"),
    ("los mensajes de todas sus ramas", "of the conversations"),
    ("indique su dirección", "of the model's server"),
    ("servidor que hable su API", "of OpenAI"),
    ("que hable su API", "of OpenAI"),
    ("olvidaste su contraseña", "of the account"),
    ("su contraseña es la", "of the account"),
    ("con todas sus conversaciones", "of the account"),
    ("su antigua contraseña, su segundo factor y sus sesiones", "of the account"),
    ("alcanzado su longitud", "of the reply"),
    ("todos sus mensajes", "of the conversation"),
    ("ver sus conversaciones", "of somebody in the panel"),
    ("esto en su nombre", "of somebody in the panel"),
    ("su dueño puede leerlo en su copia", "of the conversation, and of its owner"),
    ("con sus códigos de recuperación", "of the second factor"),
    ("se te pedirá su código", "of the app"),
    ("se te pedirán sus códigos", "of the app"),
    ("sus códigos dejarán de servir", "of the app"),
)

#: Means "instead".
IDIOM = "en su lugar"

DJANGO, ALLAUTH, REST = (
    Path(package.__file__).parent for package in (django, allauth, rest_framework)
)
#: What of the packages can be read here.
MET = (
    DJANGO / "forms",
    DJANGO / "core" / "validators.py",
    DJANGO / "contrib" / "auth",
    DJANGO / "contrib" / "admin",
    ALLAUTH / "account",
    ALLAUTH / "mfa",
    ALLAUTH / "templates" / "account",
    ALLAUTH / "templates" / "mfa",
    REST,
)
#: What of them cannot, and why: by the end of a path, or by the words themselves.
NOT_MET_FILES = {
    "admin/500.html": "config.views answers",
    "admin/forms.py": "the door of the admin site is that of the pages",
    "admin/invalid_setup.html": "config.middleware.outage answers",
    "admin/login.html": "the door of the admin site is that of the pages",
    "auth/validators.py": "there are no user names",
    "auth/views.py": "the pages of passwords are allauth's",
    "authtoken/serializers.py": "the app is not installed",
    "registration/": "the pages of passwords are allauth's",
    "confirm_login_code.html": "nobody signs in by a mailed code",
    "account/email.html": "an address is the operator's to change",
    "account/email_change.html": "an address is the operator's to change",
    "account/base_reauthenticate.html": "our pages stand in its place",
    "email/email_confirm_message.txt": "an address is the operator's to change",
    "email/login_code_message.txt": "nobody signs in by a mailed code",
    "email/password_reset_code_message.txt": "a password is reset by a link",
    "phone_change.html": "there are no telephones",
    "messages/cannot_delete_primary_email.txt": "an address is the operator's",
    "signup_by_passkey.html": "who signs up chooses a password",
    "warn_no_email.html": "an address is the operator's to change",
    "verified_email_required.html": "nothing asks for it",
}
NOT_MET_WORDS = {
    "You cannot remove your primary email address.": "the operator changes it",
    "You cannot add more than %d email addresses.": "the operator changes it",
    "You must type the same email each time.": "it is typed once",
    "Your primary email address must be verified.": "accounts.verification says it",
    "Username can not be used. Please use other username.": "there are none",
    "The username and/or password you specified are not correct.": "there are none",
    "The phone number and/or password you specified are not correct.": "no phones",
    "The email address and/or password you specified are not correct.": "ours says it",
    "Please type your current password.": "ours says it",
    "Too many failed login attempts. Try again later.": "RateLimited says it",
    "Use your password": "account/_other_ways.html says it",
    "You cannot add an email address to an account protected by two-factor "
    "authentication.": "an address is the operator's to change",
    "You cannot activate two-factor authentication until you have verified your "
    "email address.": "MFA_ALLOW_UNVERIFIED_EMAIL",
    "Enabling passwordless operation allows you to sign in using just this key, but "
    "imposes additional requirements such as biometrics or PIN protection.": (
        "accounts.mfa.passkeys says it"
    ),
    "Please enter a correct %(username)s and password. Note that both fields may be "
    "case-sensitive.": "ours says it",
    "Your old password was entered incorrectly. Please enter it again.": "ours says it",
}


def is_ours(template: Path) -> bool:
    """Whether a template of ours stands in the place of a package's."""
    _, _, name = template.as_posix().partition("/templates/")
    return bool(name) and (settings.BASE_DIR / "templates" / name).exists()


@functools.cache
def words_of_packages() -> list[Text]:
    with mock.patch.object(translations, "BASE", Path("/")):
        return list(_words_of_packages())


def _words_of_packages() -> Iterator[Text]:
    for place in MET:
        files = [place] if place.is_file() else sorted(place.rglob("*.*"))
        for path in files:
            name = path.as_posix()
            if {"tests", "migrations"} & set(path.parts) or is_ours(path):
                continue
            if any(end in name for end in NOT_MET_FILES):
                continue
            if path.suffix == ".py":
                yield from _texts_of_code(path)
            elif path.suffix in (".html", ".txt"):
                yield from _texts_of_template(path)


def in_spanish(text: Text) -> list[str]:
    with translation.override("es"):
        if text.plural:
            return [translation.ngettext(text.message, text.plural, n) for n in (1, 2)]
        if text.context:
            return [translation.pgettext(text.context, text.message)]
        return [translation.gettext(text.message)]


def is_usted(said: str) -> bool:
    for phrase in (IDIOM, *(phrase for phrase, _whose in OF_SOMEBODY_ELSE)):
        said = re.sub(re.escape(phrase), "", said, flags=re.IGNORECASE)
    return bool(USTED.search(said))


def test_no_word_of_ours_calls_anybody_usted():
    said = [words for text in find_texts().values() for words in in_spanish(text)]

    assert [words for words in said if is_usted(words)] == []


def test_no_word_of_a_package_does():
    texts = [text for text in words_of_packages() if text.message not in NOT_MET_WORDS]

    said = {(text.message, words) for text in texts for words in in_spanish(text)}

    assert len(said) > 400
    assert sorted(pair for pair in said if is_usted(pair[1])) == []


def test_no_exception_is_stale():
    ours = " ".join(
        words for text in find_texts().values() for words in in_spanish(text)
    ).lower()
    theirs = {text.message for text in words_of_packages()}

    assert [
        phrase for phrase, _ in OF_SOMEBODY_ELSE if phrase.lower() not in ours
    ] == []
    assert sorted(set(NOT_MET_WORDS) - theirs) == []


@pytest.mark.parametrize("language", [code for code, _name in settings.LANGUAGES])
@pytest.mark.parametrize("format_", ["DATE_FORMAT", "TIME_FORMAT", "DATETIME_FORMAT"])
def test_no_time_ends_a_sentence_by_itself(language, format_):
    moment = datetime(2026, 11, 28, 16, 26)
    with translation.override(language):
        assert not formats.date_format(moment, format_).endswith(".")


#: What has a name in a form, and what is said of it.
TAGS = re.compile(r"<(label|legend|button|h1|h2|li)\b[^>]*>(.*?)</\1>", re.DOTALL)
ATTRIBUTES = re.compile(r' (?:placeholder|aria-label|title)="([^"]+)"')
#: What is written with a capital wherever it stands.
PROPER = {"API", "E", "IP", "JPEG", "JSON", "OpenAI", "PIN", "PNG", "QR", "Tertulia"}


def words_in(page: str) -> list[str]:
    """Return what the names of fields, buttons and headings of a page say."""
    page = re.sub(r"<option\b.*?</option>", "", page, flags=re.DOTALL)
    found = [text for _tag, text in TAGS.findall(page)] + ATTRIBUTES.findall(page)
    bare = (unescape(re.sub(r"<[^>]+>", " ", text)) for text in found)
    return [" ".join(text.split()) for text in bare if text.strip()]


class FormWordTests(Matrix):
    """Over every page there is that has a form, filled in wrongly as well."""

    def said(self) -> Iterator[tuple[str, str]]:
        for route in {*FORMS, *NOT_ACCEPTED}:
            if route.startswith(("admin/", "c/", "m/", "panel/", "characters/")):
                continue
            actor, _fields = FORMS.get(route, ("owner", {}))
            for who in {actor, "anonymous"}:
                for method in ("get", "post"):
                    with self.undone(page=route, actor=who, method=method):
                        browser = self.world.browser(who)
                        answer = getattr(browser, method)(self.world.page(route))
                        for text in words_in(answer.content.decode(errors="replace")):
                            yield route, text
        yield from self.of_passwords()

    def of_passwords(self) -> Iterator[tuple[str, str]]:
        """What needs a second factor's password first, a link, or no password."""
        nora = make_user("nora@example.com")
        key = default_token_generator.make_token(nora)
        link = reverse(
            "account_reset_password_from_key",
            kwargs={"uidb36": user_pk_to_url_str(nora), "key": key},
        )
        for text in words_in(self.client.get(link, follow=True).content.decode()):
            yield link, text
        nora.set_unusable_password()
        nora.save()
        self.client.force_login(nora)
        address = reverse("account_set_password")
        for text in words_in(self.client.get(address).content.decode()):
            yield address, text

    def test_there_is_one_spelling_of_e_mail(self):
        said = list(self.said())

        labels = {text for _route, text in said}
        assert {"E-mail", "Password", "Current password", "New password"} <= labels
        # Addresses of people are no words.
        words = [
            (route, text)
            for route, text in said
            if re.search(r"\bemail\b", re.sub(r"\S+@\S+", "", text), re.IGNORECASE)
        ]
        assert words == []

    def test_names_have_a_capital_only_where_they_begin(self):
        names = {
            (route, text)
            for route, text in self.said()
            if len(text.split()) < 6 and not re.search(r"[.,:·]", text)
        }

        with_capitals = {
            (route, text)
            for route, text in names
            if any(
                word[0].isupper() and word not in PROPER
                for word in text.split()[1:]
                if "@" not in text
            )
        }
        assert with_capitals == set()


class PasswordWordTests(TestCase):
    """Of one wrong password there is one sentence, to whoever is signed in."""

    WRONG = "This is not your current password; type it once more."

    def setUp(self):
        cache.clear()
        self.alice = alice()
        self.client.force_login(self.alice)

    def assert_told(self, address: str, **form: str):
        answer = self.client.post(address, form)
        said = unescape(answer.content.decode())
        assert self.WRONG in said, said

    def test_it_is_the_same_wherever_it_is_asked_for(self):
        new = {"password1": "another long one", "password2": "another long one"}

        self.assert_told("/accounts/password/change/", oldpassword="wrong", **new)
        self.assert_told("/accounts/reauthenticate/", password="wrong")
        self.assert_told("/settings/data/delete", password="wrong")

    def test_the_mail_about_a_new_one_speaks_like_the_others(self):
        new = {"password1": "another long one", "password2": "another long one"}
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(
                "/accounts/password/change/", {"oldpassword": PASSWORD, **new}
            )

        (sent,) = mail.outbox
        assert sent.subject.endswith("] Your password was changed")
        assert sent.body.startswith("Your password was changed.")


class SentenceEndTests(TestCase):
    def test_a_time_and_our_full_stop_are_one_full_stop(self):
        user = alice()
        Export.objects.create(
            user=user,
            status=Export.Status.READY,
            finished_at=datetime(2026, 11, 28, 16, 26, tzinfo=UTC),
        )
        self.client.force_login(user)

        page = self.client.get("/settings/data").content.decode()

        assert "Made on Nov. 28, 2026, 16:26. It is kept until" in page
        assert ".." not in re.sub(r"<[^>]+>", "", page)


class AdminNameTests(TestCase):
    def test_a_spanish_administrator_reads_no_english_names(self):
        user = ada()
        user.profile.language = "es"
        user.profile.save()
        self.client.force_login(User.objects.get(pk=user.pk))

        page = self.client.get("/admin/").content.decode()

        assert "Administración de Tertulia" in page
        same = [said for said in in_language("en") if said in in_language("es")]
        assert same == []

    def test_every_field_it_shows_can_be_named_in_spanish(self):
        unnamed = [
            f"{model.__name__}.{field.name}"
            for model, shown in admin.site._registry.items()
            for field in model._meta.fields
            if field.name in {*shown.list_display, *(shown.fields or ())}
            or (shown.fields is None and field.editable)
            if not isinstance(field._verbose_name, Promise) and not field.primary_key
        ]
        assert unnamed == []


def in_language(language: str) -> list[str]:
    """Return what the index of the admin site calls apps and models."""
    with translation.override(language):
        models = [model._meta for model in admin.site._registry]
        return [str(meta.app_config.verbose_name) for meta in models] + [
            str(meta.verbose_name_plural) for meta in models
        ]
