"""What a character may be, whoever makes it."""

import math

from django.core.exceptions import ValidationError
from django.test import TestCase

from characters.models import Character
from characters.rules import BOUNDARIES, LONGEST_TEXT, TAGS


class RuleTests(TestCase):
    def refused(self, **fields) -> set[str]:
        """Return the fields that are refused of such a character."""
        try:
            Character(**{"slug": "odd", "name": "Odd"} | fields).full_clean()
        except ValidationError as error:
            return set(error.message_dict)
        return set()

    def test_a_name_is_enough(self):
        assert self.refused() == set()
        assert self.refused(name="") == {"name"}

    def test_sliders_go_from_0_to_1(self):
        for value in (-0.01, 1.01, math.nan, math.inf, -math.inf):
            with self.subTest(value):
                assert self.refused(dominance=value) == {"dominance"}
                assert self.refused(affection=value) == {"affection"}
        assert self.refused(dominance=0, affection=1) == set()

    def test_only_characters_for_adults_are_explicit(self):
        assert self.refused(explicit_level=1) == {"explicit_level"}
        assert self.refused(explicit_level=1, rating="adult") == set()
        assert self.refused(explicit_level=4, rating="adult") == {"explicit_level"}
        assert self.refused(explicit_level=-1, rating="adult") == {"explicit_level"}

    def test_boundaries_and_tags_are_lists_of_texts_of_one_line(self):
        for value in (
            *({}, None, "", "Violence", 5, ("a",), {"a": 1}),
            *(["a", 1], [None], [["a"]], [""], [" "], ["a\nb"], ["a\u2028b"]),
        ):
            for name in ("boundaries", "tags"):
                with self.subTest(value, name=name):
                    assert self.refused(**{name: value}) == {name}
        assert self.refused(boundaries=[], tags=["ñandú", "a b"]) == set()

    def test_lists_and_texts_have_an_end(self):
        for name, lines in (("boundaries", BOUNDARIES), ("tags", TAGS)):
            many, long = ["a"] * lines.most, ["x" * lines.longest]
            with self.subTest(name):
                assert self.refused(**{name: many}) == set()
                assert self.refused(**{name: [*many, "a"]}) == {name}
                assert self.refused(**{name: long}) == set()
                assert self.refused(**{name: [long[0] + "x"]}) == {name}
        for name in ("description", "greeting"):
            with self.subTest(name):
                assert self.refused(**{name: "x" * LONGEST_TEXT}) == set()
                assert self.refused(**{name: "x" * (LONGEST_TEXT + 1)}) == {name}
