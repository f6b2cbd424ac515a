"""Pictures of characters, which the operator uploads."""

from django.test import TestCase
from django.urls import reverse

from accounts.tests.factories import ada
from accounts.tests.uploads import GREEN, OwnUploads, opened, picture, upload
from characters.models import Character

FIELDS = {
    "slug": "nora",
    "name": "Nora",
    "tone": "friendly",
    "dominance": "0.5",
    "affection": "0.5",
    "explicit_level": "0",
    "rating": "everyone",
    "is_public": "on",
}


class CharacterAvatarTests(OwnUploads, TestCase):
    def setUp(self):
        super().setUp()
        self.client.force_login(ada())
        self.save(reverse("admin:characters_character_add"), avatar=upload(picture()))

    def save(self, path=None, **fields):
        path = path or reverse("admin:characters_character_change", args=["nora"])
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(path, FIELDS | fields)

    def avatar(self):
        return Character.objects.get(slug="nora").avatar

    def test_it_keeps_and_serves_a_square_without_its_name(self):
        self.assertRegex(self.avatar().name, r"^characters/[0-9a-f]{32}\.webp$")

        served = self.client.get(self.avatar().url)

        assert opened(served.content).size == (512, 512)
        shown = self.client.get("/api/v1/characters/nora").json()
        assert shown["avatar_url"] == self.avatar().url

    def test_it_keeps_one_file(self):
        self.save(avatar=upload(picture(GREEN)))

        assert self.stored() == [self.avatar().name]

    def test_it_refuses_what_is_no_picture(self):
        response = self.save(avatar=upload(b"GIF89a"))

        self.assertContains(response, "not a whole JPEG, PNG or WebP")
        assert self.stored() == [self.avatar().name]

    def test_it_goes_with_the_character(self):
        with self.captureOnCommitCallbacks(execute=True):
            Character.objects.filter(slug="nora").delete()

        assert self.stored() == []
