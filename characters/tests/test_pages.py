"""The gallery and the characters' own pages."""

import re
from datetime import date

from django.template.loader import render_to_string
from django.test import Client, TestCase
from django.utils import timezone

from accounts.tests.factories import alice
from characters.models import Character
from characters.templatetags.avatars import face, initial

ADULT = {"birthdate": date(1990, 5, 17)}


def make_character(slug: str, **fields) -> Character:
    return Character.objects.create(slug=slug, **{"name": slug.title()} | fields)


class GalleryTests(TestCase):
    def test_it_shows_whoever_is_published(self):
        make_character("vera", tagline="Reads you poems.", tags=["gentle"])
        make_character("gone", archived_at=timezone.now())
        make_character("secret", is_public=False)

        page = self.client.get("/")

        self.assertContains(page, "Vera")
        self.assertContains(page, "Reads you poems.")
        self.assertContains(page, "gentle")
        self.assertNotContains(page, "Gone")
        self.assertNotContains(page, "Secret")

    def test_it_marks_who_is_for_adults_and_shows_them_to_everybody(self):
        make_character("vera", rating="adult")

        self.assertContains(self.client.get("/"), "18+")

    def test_it_says_that_nobody_is_there(self):
        self.assertContains(self.client.get("/"), "Nobody has arrived yet")

    def test_it_costs_the_same_however_many_there_are(self):
        user = alice()
        self.client.force_login(user)
        for number in range(2):
            user.conversations.create(character=make_character(f"one-{number}"))
        self.client.get("/")

        with self.assertNumQueries(4):
            self.client.get("/")

        for number in range(20):
            user.conversations.create(character=make_character(f"more-{number}"))
        with self.assertNumQueries(4):
            self.client.get("/")

    def test_it_offers_to_go_on_with_recent_conversations(self):
        user = alice()
        user.conversations.create(character=make_character("vera"), title="Snow")
        user.conversations.create(
            character=make_character("luna"), title="Over", status="closed"
        )
        self.client.force_login(user)

        page = self.client.get("/")

        self.assertContains(page, "Snow")
        self.assertNotContains(page, "Over")

    def test_what_the_operator_writes_is_text(self):
        make_character("odd", name="<b>Odd</b>", tagline='"><script>alert(1)</script>')

        page = self.client.get("/")

        self.assertNotContains(page, "<script>alert")
        self.assertNotContains(page, "<b>Odd")


class CharacterTests(TestCase):
    def test_it_introduces_the_character(self):
        make_character("vera", greeting="Sit with me.", description="A translator.")

        page = self.client.get("/characters/vera")

        self.assertContains(page, "Sit with me.")
        self.assertContains(page, "A translator.")
        self.assertContains(page, 'action="/characters/vera/start"')

    def test_it_is_not_found_once_archived(self):
        make_character("vera", archived_at=timezone.now())

        assert self.client.get("/characters/vera").status_code == 404

    def test_it_tells_those_without_birthdate_where_to_add_it(self):
        make_character("vera", rating="adult")
        self.client.force_login(alice())

        page = self.client.get("/characters/vera")

        self.assertContains(page, "Vera is for adults.")
        self.assertContains(page, 'href="/settings/profile"')
        self.assertNotContains(page, "/characters/vera/start")

    def test_it_tells_who_is_too_young_and_of_no_birthdate_to_add(self):
        make_character("vera", rating="adult")
        self.client.force_login(alice(profile={"birthdate": date(2016, 5, 17)}))

        page = self.client.get("/characters/vera")

        self.assertContains(page, "Vera is for adults, and by your birthdate")
        self.assertNotContains(page, "Add a birthdate")
        self.assertNotContains(page, "Go to your profile")
        self.assertNotContains(page, "/characters/vera/start")

    def test_it_lets_adults_begin(self):
        make_character("vera", rating="adult")
        self.client.force_login(alice(profile=ADULT))

        self.assertContains(
            self.client.get("/characters/vera"), "/characters/vera/start"
        )


class FaceTests(TestCase):
    def test_everybody_always_has_the_same_face(self):
        assert face("vera") == face("vera")
        assert len({face(f"character {n}") for n in range(200)}) == 10

    def test_it_shows_the_first_letter(self):
        assert initial("  inés") == "I"
        assert initial("«Ñandú»") == "Ñ"
        assert initial("…") == "·"


class PolicyTests(TestCase):
    """Pages must need nothing that the content security policy forbids."""

    PAGES = (
        *("/", "/characters/vera", "/nowhere", "/accounts/login/", "/accounts/signup/"),
        *("/accounts/password/reset/", "/accounts/password/reset/done/"),
        "/accounts/password/reset/key/a-b/",
    )
    SIGNED_IN = (
        "/",
        "/c/",
        "/settings/profile",
        "/settings/security",
        "/settings/sessions",
        "/settings/appearance",
        "/settings/language",
        "/settings/data",
        "/accounts/logout/",
    )

    def test_no_page_has_script_or_style_inside(self):
        make_character("vera", rating="adult", tags=["gentle"])
        for page in self.PAGES:
            with self.subTest(page):
                self.assert_clean(self.client.get(page).content.decode())
        self.client.force_login(alice())
        for page in (*self.SIGNED_IN, "/accounts/password/change/", "/characters/vera"):
            with self.subTest(page):
                self.assert_clean(self.client.get(page).content.decode())

    def assert_clean(self, html):
        assert "<!doctype html>" in html
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
        assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", html)


class ErrorPageTests(TestCase):
    def test_what_is_not_there_says_so_and_leads_back(self):
        page = self.client.get("/nowhere")

        self.assertContains(page, "Nobody sits here", status_code=404)
        self.assertContains(page, 'href="/"', status_code=404)

    def test_an_outage_is_told_without_database_or_request(self):
        for template in ("500.html", "503.html", "403_csrf.html"):
            with self.subTest(template), self.assertNumQueries(0):
                assert "Tertulia" in render_to_string(template)

    def test_a_form_without_its_token_is_refused_in_words(self):
        strict = Client(enforce_csrf_checks=True)

        page = strict.post("/accounts/login/", {"login": "a", "password": "b"})

        self.assertContains(page, "This page was too old", status_code=403)
