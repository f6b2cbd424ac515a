from django.test import TestCase
from django.utils import timezone

from characters.models import Character
from characters.seeding import seed

LIST = "/api/v1/characters"

FIELDS = {
    "slug",
    "name",
    "tagline",
    "description",
    "avatar_url",
    "tone",
    "dominance",
    "affection",
    "explicit_level",
    "boundaries",
    "tags",
    "rating",
}


class CharacterApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        seed()

    def slugs(self):
        return [found["slug"] for found in self.client.get(LIST).json()["results"]]

    def test_it_lists_characters_without_a_sign_in(self):
        assert sorted(self.slugs()) == ["assistant", "luna", "vera"]

    def test_it_shows_one_without_a_sign_in(self):
        shown = self.client.get(f"{LIST}/luna").json()

        assert set(shown) == FIELDS
        assert shown["name"] == "Luna"
        assert shown["avatar_url"] is None
        assert shown["boundaries"] == ["Humiliation", "Jealous scenes"]

    def test_it_answers_with_a_trailing_slash_too(self):
        assert self.client.get(f"{LIST}/").status_code == 200
        assert self.client.get(f"{LIST}/luna/").json()["slug"] == "luna"

    def test_it_hides_what_is_archived_or_private(self):
        Character.objects.filter(slug="luna").update(archived_at=timezone.now())
        Character.objects.filter(slug="vera").update(is_public=False)

        assert self.slugs() == ["assistant"]
        missing = self.client.get(f"{LIST}/nobody")
        for slug in ("luna", "vera"):
            hidden = self.client.get(f"{LIST}/{slug}")
            assert hidden.status_code == 404
            assert hidden.content == missing.content

    def test_it_changes_nothing(self):
        for method in (self.client.post, self.client.put, self.client.delete):
            answer = method(f"{LIST}/luna", {}, content_type="application/json")
            assert answer.status_code in (401, 405)
        assert Character.objects.count() == 3

    def test_it_lists_any_number_in_as_many_queries(self):
        with self.assertNumQueries(2):
            self.slugs()
        Character.objects.bulk_create(
            Character(slug=f"c{number}", name="C") for number in range(30)
        )
        with self.assertNumQueries(2):
            assert len(self.slugs()) == 33

    def test_it_pages(self):
        page = self.client.get(LIST, {"limit": 2, "offset": 2}).json()

        assert page["count"] == 3
        assert len(page["results"]) == 1
        assert page["next"] is None
