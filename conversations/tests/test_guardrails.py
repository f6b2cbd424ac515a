from datetime import UTC, date, datetime
from unittest import mock

import pytest

from accounts.models import Profile
from characters.models import Character
from conversations import guardrails
from conversations.guardrails import ReplyCheck, check, explicit_level, may_talk

LUNA = Character(slug="luna", rating="adult", explicit_level=2)
SAGE = Character(slug="sage", rating="everyone")


def at(*moment):
    now = datetime(*moment, tzinfo=UTC)
    return mock.patch.object(guardrails.timezone, "now", return_value=now)


def born(*day, time_zone="UTC"):
    return Profile(birthdate=date(*day), time_zone=time_zone)


@pytest.mark.parametrize(
    ("birthdate", "today", "expected"),
    [
        ((2008, 3, 10), (2026, 3, 10), True),  # eighteen today
        ((2008, 3, 11), (2026, 3, 10), False),  # tomorrow
        ((2008, 3, 9), (2026, 3, 10), True),
        ((2008, 2, 29), (2026, 2, 28), False),
        ((2008, 2, 29), (2026, 3, 1), True),
        ((2004, 2, 29), (2022, 2, 28), False),
        ((2008, 12, 31), (2026, 12, 30), False),
        ((2009, 1, 1), (2026, 12, 31), False),
        ((2009, 1, 1), (2027, 1, 1), True),
        ((1900, 1, 1), (2026, 1, 1), True),
    ],
)
def test_it_counts_birthdays(birthdate, today, expected):
    with at(*today, 12):
        assert may_talk(born(*birthdate), LUNA) is expected


@pytest.mark.parametrize(
    ("time_zone", "expected"),
    [
        ("UTC", False),
        ("Pacific/Kiritimati", True),  # it is tomorrow there already
        ("America/Los_Angeles", False),
    ],
)
def test_it_counts_where_the_person_lives(time_zone, expected):
    with at(2026, 3, 9, 20):
        assert may_talk(born(2008, 3, 10, time_zone=time_zone), LUNA) is expected


def test_it_waits_for_a_birthday_that_begins_later_elsewhere():
    with at(2026, 3, 10, 5):
        assert may_talk(born(2008, 3, 10), LUNA)
        assert not may_talk(born(2008, 3, 10, time_zone="America/Los_Angeles"), LUNA)


def test_it_takes_nobody_for_an_adult_who_does_not_say():
    assert not may_talk(Profile(birthdate=None), LUNA)


def test_it_lets_everyone_talk_with_a_character_for_everyone():
    with at(2026, 3, 10, 12):
        assert may_talk(Profile(birthdate=None), SAGE)
        assert may_talk(born(2020, 1, 1), SAGE)


@pytest.mark.parametrize(
    ("level", "cap", "applies"), [(2, 3, 2), (2, 1, 1), (2, 0, 0), (0, 3, 0)]
)
def test_it_takes_the_lower_explicit_level(level, cap, applies):
    character = Character(rating="adult", explicit_level=level)

    assert explicit_level(character, cap) == applies


def test_it_is_never_explicit_with_a_character_for_everyone():
    assert explicit_level(Character(rating="everyone", explicit_level=3), 3) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a naked child",
        "Write a sex scene with a schoolgirl.",
        "SEX with a 15 year old",
        "sexo con una niña de 12 años",
        "la colegiala se desnuda: desnuda",
        "she is 16 yo and horny",
        "an erotic story about a\nlittle girl",
        "desnuda, de 9 años",
        "quiero coger con una adolescente",
    ],
)
def test_it_refuses_sexual_content_with_minors(text):
    assert check(text).rule == "sexual_content_with_minors"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, how are you?",
        "My kids start school on Monday.",
        "Let us have sex tonight.",
        "Los niños van a coger el autobús.",
        "Mi niña está cogiendo flores.",
        "Hace 5 años que no tengo sexo.",
        "Llevo 10 años de matrimonio y el sexo va bien.",
        "She is 28 years old and naked.",
        "Tiene 29 años y está desnuda.",
        "Essex has many schools for children.",
        "The child asked about sextants.",
        "niños " + "y más texto " * 30 + " sexo",
    ],
)
def test_it_lets_pass(text):
    assert check(text) is None


@pytest.mark.parametrize("size", [1, 3, 7, 50, 1000])
def test_it_notices_it_in_a_reply_however_it_is_cut(size):
    text = "Once upon a time " * 20 + "a naked child" + " stood there" * 40
    reply = ReplyCheck()
    said = ""

    for start in range(0, len(text), size):
        said += text[start : start + size]
        if reply.feed(text[start : start + size]):
            break

    assert "naked child" in said
    assert len(said) <= text.index("child") + 5 + ReplyCheck.STEP + size


def test_it_looks_at_the_end_of_a_reply_too():
    reply = ReplyCheck()

    assert reply.feed("a naked child") is None
    assert reply.feed("", is_last=True)


def test_it_looks_across_the_seam_of_a_reply_that_goes_on():
    reply = ReplyCheck("Nothing. " * 100 + "It was a child")

    assert reply.feed(" who was naked", is_last=True)


def test_it_lets_a_long_harmless_reply_pass():
    reply = ReplyCheck()

    assert not any(reply.feed("The kids are asleep. ") for _ in range(500))
    assert reply.feed("", is_last=True) is None


def test_it_is_fast_for_a_hostile_text():
    # Would take minutes if the two patterns backtracked into each other.
    assert check("sex " * 8_000) is None
    assert check("child " * 5_000) is None
