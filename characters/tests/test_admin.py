"""What the operator does with characters on the admin site."""

from unittest import mock

from django.contrib.admin.models import DELETION, LogEntry
from django.test import TestCase
from django.urls import reverse

from accounts.models import AuditEvent
from accounts.tests.factories import ada, alice, charlie, sofia
from accounts.tests.uploads import OwnUploads, picture, upload
from characters.admin import CharacterAdmin
from characters.errors import HasConversations
from characters.models import Character
from characters.tests.factories import make_character, talk

LIST = reverse("admin:characters_character_changelist")
ADD = reverse("admin:characters_character_add")

FIELDS = {
    "name": "Nora",
    "tone": "friendly",
    "dominance": "0.5",
    "affection": "0.5",
    "explicit_level": "0",
    "rating": "everyone",
    "is_public": "on",
}


def page(name: str, slug: str = "nora") -> str:
    return reverse(f"admin:characters_character_{name}", args=[slug])


class AdminCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()

    def setUp(self):
        super().setUp()
        self.client.force_login(self.ada)

    def save(self, path=None, **fields):
        return self.client.post(path or page("change"), FIELDS | fields)

    def act(self, action, *slugs, **given):
        asked = {"action": action, "_selected_action": slugs}
        return self.client.post(LIST, asked | given, follow=True)

    def character(self, slug="nora"):
        return Character.objects.get(slug=slug)

    def events(self):
        door = {"via": "admin site"}
        events = AuditEvent.objects.filter(actor=self.ada, action__startswith="char")
        assert all(event.details.items() >= door.items() for event in events)
        return [
            (event.action, event.object_id, event.details.get("fields"))
            for event in events.order_by("at")
        ]


class FormTests(OwnUploads, AdminCase):
    def test_making_one_is_recorded(self):
        answer = self.save(ADD, slug="nora", boundaries="Violence\n\n Jealousy ")

        assert answer.status_code == 302, answer.context["errors"]
        assert self.character().boundaries == ["Violence", "Jealousy"]
        assert self.events() == [("character.made", "nora", None)]

    def test_changing_one_is_recorded_with_what_and_without_the_words(self):
        make_character(boundaries=["Violence"], tags=["wool"])

        self.save(boundaries="Violence", tags="wool\nsilk", tagline="A spy.")

        assert self.character().tags == ["wool", "silk"]
        ((action, slug, fields),) = self.events()
        assert (action, slug) == ("character.changed", "nora")
        assert set(fields) == {"tags", "tagline"}

    def test_saving_what_is_there_already_changes_nothing(self):
        make_character(boundaries=["Violence"], tags=["wool"])

        self.save(boundaries="Violence\n", tags=" wool")

        assert self.events() == []
        assert "No fields changed" in LogEntry.objects.get().get_change_message()

    def test_a_picture_is_recorded_when_it_comes_and_when_it_goes(self):
        make_character()

        with self.captureOnCommitCallbacks(execute=True):
            self.save(avatar=upload(picture()))
        assert self.stored() == [self.character().avatar.name]
        with self.captureOnCommitCallbacks(execute=True):
            self.save(**{"avatar-clear": "on"})

        assert self.character().avatar == ""
        assert self.stored() == []
        assert self.events() == [("character.changed", "nora", ["avatar"])] * 2

    def test_it_refuses_what_the_api_refuses(self):
        make_character()
        for wrong, value in (
            ("explicit_level", "1"),
            ("dominance", "nan"),
            ("affection", "1.5"),
            ("boundaries", "x" * 301),
            ("tags", "\n".join("abcdefghijklmnopqrstu")),
            ("description", "x" * 32_001),
        ):
            with self.subTest(wrong):
                answer = self.save(**{wrong: value})
                assert set(answer.context["adminform"].form.errors) == {wrong}
        assert self.events() == []

    def test_a_slug_stays(self):
        make_character()

        self.save(slug="norah")

        assert [one.slug for one in Character.objects.all()] == ["nora"]

    def test_it_shows_the_prompt(self):
        make_character(boundaries=["Violence"])

        shown = self.client.get(page("change"))

        self.assertContains(shown, "You never do any of this:\n- Violence")


class ArchiveTests(AdminCase):
    def test_it_archives_and_restores_and_records_each(self):
        for slug in ("nora", "luna", "vera"):
            make_character(slug)

        said = self.act("archive", "nora", "luna")
        self.act("archive", "nora")

        self.assertContains(said, "2 characters changed.")
        assert self.character("luna").is_archived
        assert not self.character("vera").is_archived
        self.assertContains(self.act("restore", "nora", "vera"), "1 character changed.")
        assert not self.character("nora").is_archived
        assert sorted(self.events()) == [
            ("character.archived", "luna", None),
            ("character.archived", "nora", None),
            ("character.restored", "nora", None),
        ]
        assert LogEntry.objects.count() == 3


class DeletionTests(OwnUploads, AdminCase):
    def setUp(self):
        super().setUp()
        make_character()

    def left(self):
        return {one.slug for one in Character.objects.all()}

    def test_it_deletes_one_and_records_it(self):
        with self.captureOnCommitCallbacks(execute=True):
            self.save(avatar=upload(picture()))

        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(page("delete"), {"post": "yes"})

        assert self.left() == set()
        assert self.stored() == []
        assert self.events()[1:] == [("character.deleted", "nora", None)]

    def test_it_says_to_archive_who_is_talked_with(self):
        talk(alice(), self.character())
        for ask in (self.client.get, self.client.post):
            answer = ask(page("delete"), {"post": "yes"}, follow=True)
            self.assertRedirects(answer, page("change"))
            self.assertContains(answer, "There are conversations with Nora")
            self.assertNotContains(answer, "alice@example.com")
        assert self.left() == {"nora"}
        assert self.events() == []
        assert not LogEntry.objects.exists()

    def test_it_deletes_several_and_records_each(self):
        make_character("luna")
        self.assertContains(self.act("delete_selected", "nora", "luna"), "Luna")
        assert self.left() == {"nora", "luna"}

        done = self.act("delete_selected", "nora", "luna", post="yes")

        self.assertContains(done, "Successfully deleted 2 characters")
        assert self.left() == set()
        assert sorted(self.events()) == [
            ("character.deleted", "luna", None),
            ("character.deleted", "nora", None),
        ]
        assert LogEntry.objects.filter(action_flag=DELETION).count() == 2

    def test_of_several_it_deletes_none_when_one_is_talked_with(self):
        make_character("luna")
        for user in (alice(), charlie()):
            talk(user, self.character())
        for given in ({}, {"post": "yes"}):
            answer = self.act("delete_selected", "luna", "nora", **given)
            self.assertContains(answer, "There are conversations with Nora: archive")
            assert self.left() == {"nora", "luna"}
        assert self.events() == []
        assert not LogEntry.objects.exists()

    def test_a_conversation_that_comes_after_it_was_looked_for_is_noticed(self):
        make_character("luna")
        talk(alice(), self.character())
        nothing_in_the_way: tuple = ([], {}, set(), [])
        with mock.patch.object(
            CharacterAdmin, "get_deleted_objects", return_value=nothing_in_the_way
        ):
            one = self.client.post(page("delete"), {"post": "yes"}, follow=True)
            several = self.act("delete_selected", "luna", "nora", post="yes")

        for answer in (one, several):
            self.assertContains(answer, HasConversations.detail)
        assert self.left() == {"nora", "luna"}
        assert self.events() == []
        assert not LogEntry.objects.exists()


class WhoMayTests(AdminCase):
    def test_it_is_for_administrators_alone(self):
        make_character()
        for user in (charlie(), sofia()):
            self.client.force_login(user)
            for path in (LIST, ADD, page("change"), page("delete")):
                for answer in (
                    self.client.get(path, follow=True),
                    self.save(path, slug="luna", post="yes"),
                    self.act("archive", "nora"),
                    self.act("delete_selected", "nora", post="yes"),
                ):
                    assert answer.status_code in (302, 403)
        (nora,) = Character.objects.all()
        assert not nora.is_archived
