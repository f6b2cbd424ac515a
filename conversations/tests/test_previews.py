"""What a list says of a conversation's last message: plain words, whole signs."""

import pytest

from conversations.previews import PREVIEW_LENGTH, READ_LENGTH, preview, shorten

FAMILY = "👨‍👩‍👧"
FLAG = "🇪🇸"

SHOWN = {
    "**Hello** and *good* __day__": "Hello and good day",
    "un**believ**able, snake_case_name": "unbelievable, snake_case_name",
    "2 * 3 * 4, and 5 < 6 > 1": "2 * 3 * 4, and 5 < 6 > 1",
    "~~gone~~ `x * y * z`": "gone x * y * z",
    "# Head\n\nText #tag": "Head Text #tag",
    "Head\n====\nText": "Head Text",
    "- one\n- **two**\n  - three": "one two three",
    "1. one\n2. two": "1. one 2. two",
    "1984. A book": "1984. A book",
    "> quoted\n> twice\n\nsaid": "quoted twice said",
    "```python\nprint('**')\n```\nThere.": "print('**') There.",
    "```\nnever closed *": "never closed *",
    "[a *page*](https://a.example/x_y_z) and": "a page and",
    "<https://a.example>": "https://a.example",
    "https://a.example/x_y_z": "https://a.example/x_y_z",
    "![a cat](https://a.example/cat.png) here": "a cat here",
    "| a | b |\n|---|---|\n| 1 | 2 |": "a b 1 2",
    # What the page shows as it was typed is shown so here.
    "<b>bold</b> <script>x</script>": "<b>bold</b> <script>x</script>",
    "AT&amp;T, R&D \\*really\\*": "AT&T, R&D *really*",
    "one  \ntwo\r\n\r\n\tthree": "one two three",
    # Nothing but marks is what was said.
    "***": "***",
    "": "",
    " \n": "",
}


@pytest.mark.parametrize("text", SHOWN)
def test_it_shows_the_words_without_their_marks(text):
    assert preview(text) == SHOWN[text]


@pytest.mark.parametrize(
    "text",
    [
        "*She walks slowly. " + "On and on. " * 100 + "*",
        "**Note: " + "on and on. " * 100 + "**",
        "`one " + "on and on. " * 100 + "`",
    ],
)
def test_it_shows_no_mark_whose_end_is_far_away(text):
    assert preview(text)[0].isalpha()


def test_it_shows_no_address_whose_end_is_far_away():
    data = "data:image/png;base64," + "A" * 10_000
    assert preview(f"![a cat]({data}) here") == "a cat"
    assert preview(f"See [this page](https://a.example/{'x' * 500})") == "See this page"


def test_it_is_no_longer_than_it_may_be():
    for text in ("word " * 100, "*word* " * 100, "é" * 500, "x" * 500):
        assert PREVIEW_LENGTH - 5 <= len(preview(text)) <= PREVIEW_LENGTH


@pytest.mark.parametrize("sign", [FAMILY, FLAG, "👋🏽", "é", "ञी"])
def test_it_cuts_no_sign_in_two(sign):
    for before in range(len(sign) + 1):
        shown = preview("x" * before + sign * PREVIEW_LENGTH)
        assert shown == "x" * before + sign * ((len(shown) - before) // len(sign))
        assert len(shown) > PREVIEW_LENGTH - len(sign)


def test_it_cuts_no_sign_in_two_where_it_stops_reading():
    address = "x" * (READ_LENGTH - len("[a](https://a.example/) ") - len(FAMILY) - 2)
    shown = preview(f"[a](https://a.example/{address}) {FAMILY}{FAMILY}")
    assert shown == f"a {FAMILY}"


def test_it_cuts_a_sign_that_has_no_end():
    assert len(preview("a" + "\u0301" * 1000)) == PREVIEW_LENGTH


@pytest.mark.parametrize("length", range(8))
def test_a_shorter_text_is_the_beginning_of_the_longer(length):
    text = f"a{FLAG}b{FAMILY}"
    assert text.startswith(shorten(text, length))
    assert shorten(text, 3) == f"a{FLAG}"


def test_it_reads_the_beginning_alone():
    class Long(str):
        """A text that notices when it is read as a whole."""

        def __getitem__(self, key):
            assert isinstance(key, int) or key.stop <= READ_LENGTH + 1
            return str.__getitem__(self, key)

        def __iter__(self):
            raise AssertionError

    assert preview(Long("**word** " * 120_000)).startswith("word word")
