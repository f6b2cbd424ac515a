from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import TestCase, TransactionTestCase

from accounts.tests.races import at_once
from characters.models import Character
from characters.seeding import FIRST_CHARACTERS, seed


class SeedingTests(TestCase):
    def test_it_creates_the_first_characters(self):
        assert seed() == 3

        assert set(Character.objects.values_list("slug", flat=True)) == {
            "assistant",
            "luna",
            "vera",
        }

    def test_it_gives_them_the_sliders_of_the_contract(self):
        seed()

        rows = Character.objects.values_list("slug", "tone", "dominance", "affection")
        assert ("luna", "playful", 0.6, 0.8) in rows
        assert ("vera", "romantic", 0.3, 0.9) in rows

    def test_it_creates_characters_that_are_valid(self):
        for fields in FIRST_CHARACTERS:
            Character(**fields).full_clean()

    def test_it_has_an_assistant_for_everyone(self):
        seed()

        assert not Character.objects.get(slug="assistant").is_adult

    def test_it_creates_nothing_the_second_time(self):
        seed()

        assert seed() == 0
        assert Character.objects.count() == 3

    def test_it_leaves_an_operators_own_characters_alone(self):
        Character.objects.create(slug="own", name="Own")

        assert seed() == 0
        assert Character.objects.get().slug == "own"


class SeedingRaceTests(TransactionTestCase):
    def test_it_creates_each_once_when_processes_start_together(self):
        made = at_once([seed] * 4)

        assert not [result for result in made if isinstance(result, Exception)]
        assert Character.objects.count() == 3


class ConstraintTests(TestCase):
    def assert_refused(self, **fields):
        with self.assertRaises(IntegrityError), transaction.atomic():
            Character.objects.create(slug="odd", name="Odd", **fields)

    def test_it_keeps_sliders_between_0_and_1(self):
        self.assert_refused(dominance=1.1)
        self.assert_refused(affection=-0.1)

    def test_it_lets_only_adult_characters_be_explicit(self):
        self.assert_refused(explicit_level=1, rating="everyone")
        self.assert_refused(explicit_level=4, rating="adult")

    def test_it_refuses_the_same_in_a_form(self):
        with self.assertRaises(ValidationError):
            Character(slug="odd", name="Odd", dominance=2).full_clean()
