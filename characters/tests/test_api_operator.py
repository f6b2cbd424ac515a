"""What administrators, and programs with the operator key, do with characters."""

from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import ada, alice, auth, bob, charlie, sofia
from characters.models import Character
from characters.persona import system_prompt
from characters.rules import BOUNDARIES, TAGS
from characters.tests.factories import make_character, talk
from llm.models import LanguageModel

LIST = "/api/v1/admin/characters"
SECRET = "an operator key of more than thirty-two characters"
KEY = {"HTTP_X_ADMIN_KEY": SECRET}

LUNA = {
    "slug": "luna",
    "name": "Luna",
    "tagline": "Night owl.",
    "description": "Restores old jukeboxes.",
    "greeting": "There you are.",
    "tone": "playful",
    "dominance": 0.6,
    "affection": 0.8,
    "explicit_level": 1,
    "boundaries": ["Humiliation", "Jealous scenes"],
    "tags": ["playful", "romance"],
    "rating": "adult",
    "model": "Large",
    "is_public": False,
}


class CharacterCase(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()
        cls.auth = auth(cls.ada)
        cls.large = LanguageModel.objects.create(
            label="Large", provider="demo", name="demo"
        )

    def get(self, slug="", **query):
        return self.client.get(f"{LIST}/{slug}" if slug else LIST, query, **self.auth)

    def make(self, body=None, **fields):
        return self.post(LIST, body or fields, **self.auth)

    def patch(self, slug, body=None, **fields):
        return self.client.patch(
            f"{LIST}/{slug}",
            body or fields,
            content_type="application/json",
            **self.auth,
        )

    def delete(self, slug):
        return self.client.delete(f"{LIST}/{slug}", **self.auth)

    def stored(self, slug="nora"):
        return Character.objects.get(slug=slug)

    def events(self):
        return [
            (event.action, event.object_id, event.details)
            for event in AuditEvent.objects.filter(action__startswith="char").order_by(
                "at"
            )
        ]

    def assert_wrong(self, response, *fields):
        self.assert_refused(response, 400, "invalid")
        assert {one["field"] for one in response.json()["errors"]} == set(fields)


class ListTests(CharacterCase):
    def slugs(self, **query):
        return [found["slug"] for found in self.get(**query).json()["results"]]

    def test_it_lists_everybody_by_pages(self):
        make_character("nora")
        make_character("hidden", is_public=False)
        make_character("gone", archived_at=timezone.now())

        assert self.slugs() == ["nora", "hidden", "gone"]
        page = self.get(limit=1, offset=1).json()
        assert (page["count"], page["results"][0]["slug"]) == (3, "hidden")
        assert "offset=2" in page["next"]

    def test_it_finds_characters(self):
        make_character("nora", tagline="Knits.")
        make_character("luna", name="Moon", rating="adult")
        make_character("vera", archived_at=timezone.now(), rating="adult")

        assert self.slugs(q="KNITS") == ["nora"]
        assert self.slugs(q="moo") == ["luna"]
        assert self.slugs(q="un") == ["luna"]
        assert self.slugs(q="nobody") == []
        assert self.slugs(rating="adult") == ["luna", "vera"]
        assert self.slugs(is_archived="true") == ["vera"]
        assert self.slugs(is_archived="false") == ["nora", "luna"]
        assert self.slugs(rating="adult", is_archived="false") == ["luna"]

    def test_it_refuses_nonsense_as_a_filter(self):
        for query in ({"rating": "x"}, {"is_archived": "x"}, {"limit": 0}):
            with self.subTest(query):
                self.assert_wrong(self.get(**query), *query)

    def test_it_costs_the_same_however_many_there_are(self):
        other = bob()
        talk(other, make_character("nora", model=self.large))
        with CaptureQueriesContext(connection) as few:
            self.get()
        for number in range(20):
            talk(other, make_character(f"c{number}", model=self.large))

        with self.assertNumQueries(len(few)):
            assert len(self.slugs()) == 21


class MakeTests(CharacterCase):
    def test_it_makes_what_was_sent(self):
        made = self.make(LUNA)

        assert made.status_code == 201, made.content
        luna = self.stored("luna")
        assert made.json() == LUNA | {
            "avatar_url": None,
            "is_archived": False,
            "archived_at": None,
            "created_at": luna.created_at.isoformat().replace("+00:00", "Z"),
            "conversations": 0,
            "system_prompt": system_prompt(luna),
        }
        assert luna.model == self.large
        assert self.get("luna").json() == made.json()

    def test_a_name_is_enough(self):
        made = self.make(name="Nora").json()

        assert (made["slug"], made["tone"], made["rating"]) == (
            "nora",
            "friendly",
            "everyone",
        )
        assert (made["boundaries"], made["is_public"]) == ([], True)
        assert self.client.get("/api/v1/characters/nora").status_code == 200

    def test_it_makes_a_slug_of_the_name(self):
        for name, slug in (
            ("Doña Inés", "dona-ines"),
            ("doña inés!", "dona-ines-2"),
            ("Doña Inés", "dona-ines-3"),
            ("ひかり", "character"),
            ("…!", "character-2"),
            ("x" * 80, "x" * 50),
            ("x" * 79, "x" * 50 + "-2"),
        ):
            with self.subTest(name):
                assert self.make(name=name).json()["slug"] == slug

    def test_it_refuses_a_slug_that_is_taken(self):
        make_character("nora")

        self.assert_wrong(self.make(name="Nora", slug="nora"), "slug")
        self.assert_wrong(self.make(name="Nora", slug="no ra"), "slug")

    def test_it_can_be_archived_from_the_beginning(self):
        assert self.make(name="Nora", is_archived=True).json()["is_archived"]

        assert self.stored().archived_at is not None

    def test_it_is_recorded(self):
        self.make(name="Nora")

        assert self.events() == [("character.made", "nora", {"via": "api"})]
        event = AuditEvent.objects.get(action="character.made")
        assert (event.actor, event.object_type) == (self.ada, "character")

    def test_what_is_refused_is_not_made(self):
        self.make(name="Nora", explicit_level=2)

        assert not Character.objects.exists()
        assert self.events() == []


class RuleTests(CharacterCase):
    """The model's rules, which `test_models.py` tries one by one, at this door."""

    def setUp(self):
        make_character()

    def assert_refuses(self, *wrong, **fields):
        self.assert_wrong(self.make({"name": "A"} | fields), *wrong)
        self.assert_wrong(self.patch("nora", fields), *wrong)

    def test_only_characters_for_adults_are_explicit(self):
        self.assert_refuses("explicit_level", explicit_level=1)
        self.patch("nora", rating="adult", explicit_level=2)
        self.assert_wrong(self.patch("nora", rating="everyone"), "explicit_level")
        assert self.stored().rating == "adult"

    def test_it_keeps_numbers_in_their_limits(self):
        for name, values in (
            ("dominance", (-0.1, 1.1, "x", "0.5", "NaN", True, None, 10**30)),
            ("affection", (-0.1, 1.1, [], None)),
            ("explicit_level", (-1, 4, 0.5, "0", False, None)),
        ):
            for value in values:
                with self.subTest(name, value=value):
                    self.assert_refuses(name, **{name: value})
        for number in ("NaN", "1e999", "9" * 400):
            answer = self.patch("nora", f'{{"dominance": {number}}}')
            self.assert_refused(answer, 400, "malformed")

    def test_it_keeps_lists_in_their_limits(self):
        for name, lines in (("boundaries", BOUNDARIES), ("tags", TAGS)):
            with self.subTest(name):
                self.assert_refuses(name, **{name: ["a"] * (lines.most + 1)})
                self.assert_refuses(name, **{name: ["a\nb"]})
                for value in ("Violence", {"a": 1}, None):
                    self.assert_refuses(name, **{name: value})
                for text in ("", " ", "x" * (lines.longest + 1), None, 5):
                    self.assert_refuses(f"{name}.1", **{name: ["a", text]})

    def test_it_refuses_what_there_is_not(self):
        for name in ("tone", "rating", "model"):
            with self.subTest(name):
                self.assert_refuses(name, **{name: "nothing of the kind"})

    def test_it_refuses_a_label_that_several_models_have(self):
        LanguageModel.objects.create(label="Large", provider="demo", name="other")

        self.assert_refuses("model", model="Large")

    def test_a_picture_is_not_sent_as_an_address(self):
        answer = self.patch("nora", avatar_url="http://localhost/static/Nora.jpg")

        self.assert_wrong(answer, "avatar_url")
        assert "PATCH /api/v1/admin/characters/nora/avatar" in answer.json()["detail"]
        answer = self.make(name="Luna", avatar_url="http://localhost/static/L.jpg")
        self.assert_wrong(answer, "avatar_url")
        assert not Character.objects.filter(name="Luna").exists()


class ChangeTests(CharacterCase):
    def setUp(self):
        make_character(tagline="Knits.", model=self.large)

    def test_it_changes_what_is_sent_and_nothing_else(self):
        answer = self.patch("nora", dominance=0.9, tags=["wool"], model=None)

        assert answer.status_code == 200, answer.content
        nora = self.stored()
        assert (nora.dominance, nora.tags, nora.model) == (0.9, ["wool"], None)
        assert (nora.tagline, nora.affection) == ("Knits.", 0.5)
        assert answer.json() == self.get("nora").json()
        assert answer.json()["system_prompt"] == system_prompt(nora)

    def test_it_takes_back_what_it_has_answered(self):
        shown = self.get("nora").json()

        assert self.patch("nora", shown).json() == shown
        assert self.events() == []

    def test_a_slug_stays(self):
        answer = self.patch("nora", {"slug": "norah", "name": "Norah"})

        self.assert_wrong(answer, "slug")
        assert self.stored().name == "Nora"

    def test_it_records_what_changed_without_the_words(self):
        self.patch("nora", tagline="Secretly a spy.", tone="serious", name="Nora")

        ((action, slug, details),) = self.events()
        assert (action, slug) == ("character.changed", "nora")
        assert set(details.pop("fields")) == {"tagline", "tone"}
        assert details == {"via": "api"}
        assert AuditEvent.objects.get(action=action).actor == self.ada

    def test_it_archives_and_restores(self):
        archived = self.patch("nora", is_archived=True).json()
        self.patch("nora", is_archived=True)

        assert archived["is_archived"]
        assert archived["archived_at"]
        assert self.client.get("/api/v1/characters/nora").status_code == 404
        first = self.stored().archived_at

        self.patch("nora", is_archived=True, name="Nora II")
        assert self.stored().archived_at == first
        restored = self.patch("nora", is_archived=False).json()
        assert (restored["is_archived"], restored["archived_at"]) == (False, None)
        assert [action for action, _slug, _details in self.events()] == [
            "character.archived",
            "character.changed",
            "character.restored",
        ]

    def test_it_counts_conversations(self):
        for user in (alice(), bob()):
            talk(user, self.stored())

        assert self.get("nora").json()["conversations"] == 2


class DeleteTests(CharacterCase):
    def setUp(self):
        make_character()

    def test_it_deletes_and_records_it(self):
        assert self.delete("nora").status_code == 204

        assert not Character.objects.exists()
        assert self.events() == [("character.deleted", "nora", {"via": "api"})]
        self.assert_refused(self.delete("nora"), 404, "not_found")

    def test_it_says_to_archive_who_is_talked_with(self):
        talk(alice(), self.stored())

        answer = self.delete("nora")

        self.assert_refused(answer, 409, "has_conversations")
        assert "archive" in answer.json()["detail"]
        assert Character.objects.exists()
        assert self.events() == []


class WhoMayTests(CharacterCase):
    def setUp(self):
        make_character()

    def asked(self, **headers):
        """Ask for everything, with bodies that are no good."""
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/nora"),
            ("PATCH", "/nora"),
            ("DELETE", "/nora"),
            ("PATCH", "/nora/avatar"),
            ("DELETE", "/nora/avatar"),
        ):
            for slug in (path, path.replace("nora", "nobody")):
                yield self.client.generic(
                    method, f"{LIST}{slug}", "{", "application/json", **headers
                )

    def test_it_is_not_for_workers_and_supervisors(self):
        for user in (charlie(), sofia()):
            for answer in self.asked(**auth(user)):
                self.assert_refused(answer, 403, "permission_denied")

    def test_it_is_not_for_who_is_not_signed_in(self):
        for headers in ({}, KEY):
            for answer in self.asked(**headers):
                self.assert_refused(answer, 401, "not_authenticated")

    @override_settings(ADMIN_SECRET=SECRET)
    def test_the_operator_key_opens_it_and_is_recorded(self):
        self.auth = KEY

        assert self.make(LUNA).status_code == 201
        assert self.patch("luna", {"name": "Moon"}).status_code == 200
        assert self.patch("luna", {"is_archived": True}).status_code == 200
        assert self.get().json()["count"] == 2
        assert self.delete("luna").status_code == 204

        door = {"via": "operator_key"}
        assert self.events() == [
            ("character.made", "luna", door),
            ("character.changed", "luna", door | {"fields": ["name"]}),
            ("character.archived", "luna", door),
            ("character.deleted", "luna", door),
        ]
        made = AuditEvent.objects.filter(action__startswith="character")
        assert {event.actor for event in made} == {None}

    def test_what_there_is_not_is_not_found(self):
        missing = self.get("nobody")

        self.assert_refused(missing, 404, "not_found")
        for answer in (self.patch("nobody", name=""), self.delete("nobody")):
            assert answer.content == missing.content

    def test_it_answers_with_a_trailing_slash_too(self):
        for path in (LIST, f"{LIST}/nora"):
            assert self.client.get(f"{path}/", **self.auth).status_code == 200
        assert self.post(f"{LIST}/", {"name": "A"}, **self.auth).status_code == 201

    def test_no_cache_keeps_it(self):
        assert "no-store" in self.get()["Cache-Control"]
