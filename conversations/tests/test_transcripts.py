import pytest

from conversations.transcripts import Transcript


def test_it_numbers_events_from_one():
    transcript = Transcript()

    assert [transcript.append(), transcript.append("Hel"), transcript.append("lo")] == [
        1,
        2,
        3,
    ]
    assert (transcript.seq, transcript.text, transcript.lengths) == (
        3,
        "Hello",
        "0,3,2",
    )


@pytest.mark.parametrize(
    ("after", "rest"),
    [(-1, "Hello"), (0, "Hello"), (1, "Hello"), (2, "lo"), (3, ""), (10**30, "")],
)
def test_it_returns_what_came_after_an_event(after, rest):
    assert Transcript(["", "Hel", "lo"]).since(after) == rest


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [""],
        ["", "Hel", "lo", ""],
        ["", "¿Qué", " 😀", "\n", ""],
        ["", "one", "", "", "two"],
    ],
)
def test_it_is_restored_from_its_text_and_lengths(parts):
    original = Transcript(parts)

    restored = Transcript.restore(original.text, original.lengths)

    assert restored.lengths == original.lengths
    assert [restored.since(after) for after in range(restored.seq + 1)] == [
        original.since(after) for after in range(original.seq + 1)
    ]


def test_it_knows_the_text_of_the_last_run():
    assert Transcript(["", "one ", "", "", "two ", "three"]).last_run() == "two three"
    assert Transcript(["", "one", ""]).last_run() == ""
    assert Transcript().last_run() == ""
