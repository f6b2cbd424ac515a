"""The same character changed, deleted and talked with at the same moment."""

from collections import Counter
from contextlib import contextmanager
from functools import partial
from threading import Event

import pytest
from django.core.exceptions import ValidationError
from django.db.models.signals import post_save, pre_delete
from django.http import Http404
from django.test import Client, TransactionTestCase
from django.urls import reverse

from accounts.models import AuditEvent, User
from accounts.tests.factories import ada, alice, auth
from accounts.tests.races import at_once
from characters import administration
from characters.models import Character
from characters.tests.factories import make_character

API = "/api/v1"
ROUNDS = 8
JSON = "application/json"


class RaceCase(TransactionTestCase):
    def setUp(self):
        self.admin = ada()
        self.auth, self.hers = auth(self.admin), auth(alice())
        self.door = {"actor": self.admin, "via": "api"}
        self.conversations = Character._meta.get_field("conversations").related_model

    def begin(self):
        return Client(raise_request_exception=False).post(
            f"{API}/conversations", {"character": "nora"}, JSON, **self.hers
        )

    def begin_on_page(self):
        browser = Client(raise_request_exception=False)
        browser.force_login(User.objects.get(email="alice@example.com"))
        return browser.post("/characters/nora/start")

    def delete(self):
        return Client(raise_request_exception=False).delete(
            f"{API}/admin/characters/nora", **self.auth
        )


class DeletionRaceTests(RaceCase):
    def assert_one_of_both(self, deleted, begun, begun_status=201):
        """Either the character is gone or there is a conversation, and all say so."""
        found = (deleted.status_code, begun.status_code)
        there = (Character.objects.count(), self.conversations.objects.count())
        if there == (0, 0):
            # 400: gone before the request looked for it.
            assert found in ((204, 404), (204, 400)), found
        else:
            assert there == (1, 1)
            assert found == (409, begun_status)
            assert deleted.json()["code"] == "has_conversations"
        self.conversations.objects.all().delete()
        Character.objects.all().delete()

    def test_deleting_meets_a_conversation_that_begins(self):
        for _ in range(ROUNDS):
            make_character(greeting="There you are.")
            self.assert_one_of_both(*at_once([self.delete, self.begin]))

    def test_deleting_meets_a_conversation_that_begins_on_the_page(self):
        for _ in range(ROUNDS):
            make_character()
            found = at_once([self.delete, self.begin_on_page])
            self.assert_one_of_both(*found, begun_status=302)

    @pytest.mark.postgres
    def test_who_began_before_it_was_deleted_and_ends_after_is_told(self):
        """Their conversation is written, and not to be seen when it is looked for."""
        for begin in (self.begin, self.begin_on_page):
            make_character()
            with between(post_save, self.conversations) as (is_there, go_on):

                def delete(is_there=is_there, go_on=go_on):
                    assert is_there.wait(10)
                    try:
                        return self.delete()
                    finally:
                        go_on.set()

                deleted, begun = at_once([delete, begin])

            assert (deleted.status_code, begun.status_code) == (204, 404)
            assert not self.conversations.objects.exists()

    @pytest.mark.postgres
    def test_who_begins_while_it_is_being_deleted_waits_and_is_told(self):
        make_character()
        with between(pre_delete, Character) as (is_there, go_on):

            def begin():
                assert is_there.wait(10)
                go_on.set()
                return self.begin()

            deleted, begun = at_once([self.delete, begin])

        self.assert_one_of_both(deleted, begun)

    def test_of_two_who_delete_it_one_is_told_that_it_is_gone(self):
        for _ in range(ROUNDS):
            character = make_character()

            results = at_once(
                [partial(administration.delete, character, **self.door)] * 2
            )

            assert Counter(map(type, results)) == {type(None): 1, Http404: 1}, results
        events = AuditEvent.objects.filter(action="character.deleted")
        assert events.count() == ROUNDS


class ChangeRaceTests(RaceCase):
    def change_on_page(self):
        browser = Client(raise_request_exception=False)
        browser.force_login(self.admin)
        fields = {
            "name": "Nora",
            "tone": "friendly",
            "dominance": "0.5",
            "affection": "0.5",
            "explicit_level": "0",
            "rating": "everyone",
        }
        page = reverse("admin:characters_character_change", args=["nora"])
        return browser.post(page, fields).status_code

    def test_two_changes_do_not_make_what_neither_may(self):
        for _ in range(ROUNDS):
            character = make_character(rating="adult")

            results = at_once(
                [
                    partial(
                        administration.change, character, **self.door, rating="everyone"
                    ),
                    partial(
                        administration.change, character, **self.door, explicit_level=2
                    ),
                ]
            )

            kinds = Counter(map(type, results))
            assert kinds == {type(None): 1, ValidationError: 1}, results
            Character.objects.get().full_clean()
            character.delete()

    def test_nor_does_a_form_that_meets_the_api(self):
        for _ in range(ROUNDS):
            character = make_character(rating="adult", is_public=False)

            on_page, by_api = at_once(
                [
                    self.change_on_page,
                    partial(
                        administration.change, character, **self.door, explicit_level=2
                    ),
                ]
            )

            # The form says what all fields are to be, and the last word counts.
            assert on_page == 302, on_page
            assert by_api is None or isinstance(by_api, ValidationError)
            assert Character.objects.get().rating == "everyone"
            Character.objects.get().full_clean()
            character.delete()

    def test_a_change_that_comes_too_late_finds_it_gone(self):
        for _ in range(ROUNDS):
            character = make_character()

            changed, deleted = at_once(
                [
                    partial(administration.change, character, **self.door, name="N"),
                    partial(administration.delete, character, **self.door),
                ]
            )

            assert changed is None or isinstance(changed, Http404), changed
            assert deleted is None
            assert not Character.objects.exists()


class NamingRaceTests(RaceCase):
    def make(self, **fields):
        return Client(raise_request_exception=False).post(
            f"{API}/admin/characters", {"name": "Nora"} | fields, JSON, **self.auth
        )

    def test_every_character_of_one_name_gets_a_slug_of_its_own(self):
        for _ in range(ROUNDS):
            answers = at_once([self.make] * 6)

            assert [answer.status_code for answer in answers] == [201] * 6
            slugs = {answer.json()["slug"] for answer in answers}
            assert slugs == {"nora", *(f"nora-{number}" for number in range(2, 7))}
            Character.objects.all().delete()

    def test_a_slug_is_given_once(self):
        for _ in range(ROUNDS):
            answers = at_once([partial(self.make, slug="nora")] * 4)

            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [201, 400, 400, 400]
            refused = next(a for a in answers if a.status_code == 400).json()
            assert refused["errors"][0]["field"] == "slug"
            Character.objects.all().delete()


@contextmanager
def between(signal, sender):
    """Stop whoever sends `signal` until told to go on; say that they are there."""
    is_there, go_on = Event(), Event()

    def wait(**_signal):
        is_there.set()
        assert go_on.wait(10)

    signal.connect(wait, sender=sender, weak=False)
    try:
        yield is_there, go_on
    finally:
        signal.disconnect(wait, sender=sender)
