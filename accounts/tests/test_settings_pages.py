"""The pages of one's picture, appearance and language, and what is noted of ages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from django.test import Client, TestCase
from django.test.signals import template_rendered
from django.urls import reverse
from django.utils import translation

from accounts.data import exports
from accounts.models import AuditEvent, Profile, User
from accounts.tests.factories import ada, alice, auth
from accounts.tests.uploads import GREEN, OwnUploads, picture, upload

PROFILE, AVATAR = "/settings/profile", "/settings/avatar"
APPEARANCE, LANGUAGE, THEME = "/settings/appearance", "/settings/language", "/theme"


class PicturePageTests(OwnUploads, TestCase):
    def setUp(self):
        super().setUp()
        self.alice = alice()
        self.client.force_login(self.alice)

    def send(self, content: bytes, **fields):
        return self.client.post(AVATAR, {"file": upload(content)} | fields)

    def test_it_shows_the_picture_wherever_there_is_a_face(self):
        assert self.send(picture())["Location"] == PROFILE

        page = self.client.get(PROFILE, follow=True).content.decode()

        assert page.count(f'src="{Profile.objects.get().avatar.url}"') == 2
        assert "Your picture is saved." in page

    def test_it_removes_the_picture(self):
        self.send(picture())

        with self.captureOnCommitCallbacks(execute=True):
            response = self.client.post(AVATAR, {"remove": "yes"})

        assert response["Location"] == PROFILE
        assert not Profile.objects.get().avatar
        assert self.stored() == []

    def test_it_says_beside_the_field_what_is_wrong(self):
        too_large = picture().ljust(2 * 1024 * 1024 + 1, b"\0")
        for body, status, sentence in (
            ({}, 422, "This field is required."),
            ({"file": upload(b"text")}, 400, "not a whole JPEG, PNG or WebP"),
            ({"file": upload(too_large)}, 413, "2 MB"),
        ):
            with self.subTest(sentence):
                response = self.client.post(AVATAR, body)
                assert response.status_code == status
                self.assertContains(response, sentence, status_code=status)
                assert not Profile.objects.get().avatar

    def test_it_keeps_what_the_profile_says(self):
        self.send(picture(), display_name="Eve", birthdate="2000-01-01")

        assert Profile.objects.get().display_name == "Alice"
        assert Profile.objects.get().birthdate is None

    def test_it_is_for_people_signed_in(self):
        self.client.logout()

        assert self.send(picture())["Location"].startswith("/accounts/login/")
        assert self.stored() == []

    def test_it_asks_for_the_token_of_the_form(self):
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.alice)

        response = client.post(AVATAR, {"file": upload(picture())})

        assert response.status_code == 403
        assert self.stored() == []


class AppearanceTests(TestCase):
    def choose(self, theme, back=APPEARANCE):
        return self.client.post(THEME, {"theme": theme, "next": back})

    def test_it_draws_every_page_as_chosen(self):
        for theme, drawn in (("dark", True), ("light", True), ("auto", False)):
            with self.subTest(theme):
                assert self.choose(theme, "/")["Location"] == "/"
                page = self.client.get("/").content.decode()
                assert (f'<html lang="en" data-theme="{theme}">' in page) == drawn
                assert f'value="{theme}" aria-pressed="true"' in page

    def test_it_has_a_page_for_people_signed_in(self):
        assert self.client.get(APPEARANCE).status_code == 302
        self.client.force_login(alice())

        self.assertContains(self.client.get(APPEARANCE), "Light, dark")

    def test_it_ignores_what_is_no_theme(self):
        for theme in ("blue", "", '"><script>'):
            assert "theme" not in self.choose(theme).cookies

    def test_it_draws_nothing_of_a_forged_cookie(self):
        self.client.cookies["theme"] = "'><script>alert(1)</script>"

        self.assertNotContains(self.client.get("/"), "alert(1)")

    def test_it_leads_nowhere_else(self):
        for back in ("https://evil.example/", "//evil.example", "javascript:x", ""):
            assert self.choose("dark", back)["Location"] == "/"

    def test_it_leads_back_to_addresses_and_nothing_else(self):
        for back in ("profile", "settings/profile", "a b\n", "?x", " /c/", "\n/"):
            with self.subTest(back):
                assert self.choose("dark", back)["Location"] == "/"
        for back in ("/c/?page=2", "/settings/profile"):
            assert self.choose("dark", back)["Location"] == back

    def test_it_changes_nothing_by_a_link(self):
        assert self.client.get(THEME, {"theme": "dark"}).status_code == 405


@contextmanager
def spoken_in(template: str) -> Iterator[list[str]]:
    """Collect the languages in which `template` is rendered."""
    languages: list[str] = []

    def note(sender, **signal):
        if sender.name == template:
            languages.append(translation.get_language())

    template_rendered.connect(note)
    yield languages
    template_rendered.disconnect(note)


class LanguageTests(TestCase):
    def setUp(self):
        self.client.force_login(alice())

    def test_it_changes_the_language_of_the_pages(self):
        response = self.client.post(LANGUAGE, {"language": "es"})

        assert response["Location"] == LANGUAGE
        assert Profile.objects.get().language == "es"
        page = self.client.get(LANGUAGE)
        assert page["Content-Language"] == "es"
        self.assertContains(page, '<html lang="es"')

    def test_it_changes_the_language_of_mail(self):
        self.client.post(LANGUAGE, {"language": "es"})
        stranger = Client(headers={"Accept-Language": "en"})

        with spoken_in("account/email/password_reset_key_message.txt") as languages:
            stranger.post("/accounts/password/reset/", {"email": "alice@example.com"})

        assert languages == ["es"]

    def test_it_names_languages_in_their_own_words(self):
        self.assertContains(self.client.get(LANGUAGE), "Español")

    def test_it_refuses_other_languages(self):
        for value in ("tlh", "", "en\0"):
            response = self.client.post(LANGUAGE, {"language": value})
            assert response.status_code == 422
        assert Profile.objects.get().language == "en"


class NoticeTests(TestCase):
    def setUp(self):
        self.client.force_login(alice())

    def notice(self, path, **fields):
        page = self.client.post(path, fields, follow=True).content.decode()
        return re.search(r'<li class="notice.*?</li>', page, re.DOTALL)[0]

    def test_what_succeeded_is_told_quietly(self):
        said = self.notice(LANGUAGE, language="en")

        assert 'role="status"' in said
        assert "#check" in said

    def test_what_failed_is_an_alert(self):
        for _ in range(3):
            self.client.post("/settings/data/export")
            exports.run_waiting()

        said = self.notice("/settings/data/export")

        assert 'class="notice error"' in said
        assert 'role="alert"' in said
        assert "#alert" in said
        assert "#check" not in said


class BirthdateAuditTests(TestCase):
    def setUp(self):
        self.alice = alice()

    def noted(self):
        events = AuditEvent.objects.filter(action="profile.birthdate_changed")
        return [(event.actor, event.object_id, event.details) for event in events]

    def test_it_notes_what_a_person_sets(self):
        me, header = "/api/v1/me", auth(self.alice)
        for body in ({"gender": "other"}, {"birthdate": "2001-02-03"}) * 2:
            self.client.patch(me, body, content_type="application/json", **header)

        details = {"old": None, "new": "2001-02-03"}
        assert self.noted() == [(self.alice, str(self.alice.pk), details)]

    def test_it_notes_what_the_operator_changes(self):
        operator = ada()
        self.alice.profile.edit(birthdate=date(2001, 2, 3))
        self.client.force_login(operator)

        changed = change(self.client, self.alice, birthdate="1999-02-03")

        assert changed.status_code == 302
        details = {"old": "2001-02-03", "new": "1999-02-03"}
        assert (operator, str(self.alice.pk), details) in self.noted()
        assert len(self.noted()) == 2


class AdminAvatarTests(OwnUploads, TestCase):
    def setUp(self):
        super().setUp()
        self.alice = alice()
        self.client.force_login(ada())

    def change(self, **fields):
        with self.captureOnCommitCallbacks(execute=True):
            return change(self.client, self.alice, **fields)

    def name(self) -> str:
        return Profile.objects.get(pk=self.alice.pk).avatar.name

    def test_it_treats_pictures_of_the_operator_as_everybody_s(self):
        self.change(avatar=upload(picture(), "<b>.html", "text/html"))
        first = self.name()
        self.change(avatar=upload(picture(GREEN)))

        self.assertRegex(first, r"^avatars/[0-9a-f]{32}\.webp$")
        assert self.stored() == [self.name()] != [first]

    def test_it_keeps_the_picture_when_something_else_changes(self):
        self.change(avatar=upload(picture()))
        kept = self.name()

        self.change(display_name="Alicia")

        assert self.stored() == [self.name()] == [kept]

    def test_it_lets_the_operator_remove_a_picture(self):
        self.change(avatar=upload(picture()))

        self.change(**{"avatar-clear": "on"})

        assert self.name() == ""
        assert self.stored() == []

    def test_it_refuses_what_is_no_picture(self):
        response = self.change(avatar=upload(b"<svg/>"))

        self.assertContains(response, "not a whole JPEG, PNG or WebP")
        assert self.stored() == []

    def test_it_says_that_the_storage_is_away(self):
        (self.uploads / "avatars").write_text("in the way")

        with self.assertLogs("tertulia.app", "ERROR"):
            response = self.change(avatar=upload(picture()))

        self.assertContains(response, "Files cannot be stored", status_code=503)
        assert self.name() == ""


def change(client: Client, user: User, **profile: object):
    path = reverse("admin:accounts_user_change", args=[user.pk])
    fields = {
        "user": str(user.pk),
        "display_name": "Alice",
        "language": "en",
        "time_zone": "UTC",
    } | profile
    body = {"email": user.email, "role": user.role, "is_active": "on"}
    body |= {"profile-TOTAL_FORMS": "1", "profile-INITIAL_FORMS": "1"}
    return client.post(
        path, body | {f"profile-0-{name}": value for name, value in fields.items()}
    )


class ChoiceTests(TestCase):
    def setUp(self):
        self.alice = alice()
        self.client.force_login(self.alice)

    def offered(self, field: str) -> dict[str, str]:
        page = self.client.get(PROFILE)
        return dict(page.context["form"].fields[field].choices)

    def test_time_zones_are_of_places(self):
        zones = list(self.offered("time_zone"))

        assert zones[0] == "UTC"
        assert {"Europe/Madrid", "America/Argentina/Buenos_Aires"} <= set(zones)
        assert not {"Factory", "localtime", "GB", "EST", "Etc/GMT+5"} & set(zones)
        assert all("/" in zone for zone in zones[1:])

    def test_a_stored_zone_that_is_not_offered_is_kept(self):
        Profile.objects.filter(user=self.alice).update(time_zone="US/Pacific")

        response = self.client.post(
            PROFILE, {"display_name": "Al", "time_zone": "US/Pacific"}
        )

        assert response.status_code == 302
        assert "US/Pacific" in self.offered("time_zone")
        assert Profile.objects.get(user=self.alice).time_zone == "US/Pacific"

    def test_a_gender_that_is_not_said_is_called_so(self):
        assert self.offered("gender")[""] == "not said"
        assert "---" not in self.client.get(PROFILE).content.decode()
