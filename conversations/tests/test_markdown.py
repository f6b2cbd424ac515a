"""What a model writes becomes text on a page, and nothing that acts."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from conversations.markdown import ATTRIBUTES, TAGS, GrowingMarkdown, markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<div style='background:url(https://evil.example/x)'>x</div>",
    "<style>@import 'https://evil.example';</style>",
    "<form action='https://evil.example'><input name=password></form>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<p hx-get='/c/' hx-trigger='load'>x</p>",
    "<hx-partial hx-target='#messages'>x</hx-partial>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href='https://evil.example/'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript&colon;alert(1))",
    "[x](vbscript:msgbox)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "[x](https://a.example 'onmouseover=alert(1)')",
    '[x](https://a.example/"onmouseover="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "![x][pixel]\n\n[pixel]: https://evil.example/pixel.png",
    "[![x](https://evil.example/p.png)](javascript:alert(1))",
    "`<script>alert(1)</script>`",
    "```\n<script>alert(1)</script>\n```",
    "```html\n<img src=x onerror=alert(1)>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "```x onload=alert(1) class=y\nx\n```",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "| a |\n|:-:|\n| b |",
    "# <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "- <script>alert(1)</script>",
    "\x00<scr\x00ipt>alert(1)</script>",
    "</div></article><script>alert(1)</script>",
    "https://evil.example/?q=<script>alert(1)</script>",
    "<a@b.c onmouseover=alert(1)>",
]


class Elements(HTMLParser):
    """Reads HTML as a browser would, and keeps what could do something."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def assert_harmless(html):
    for tag, attributes in Elements(html).found:
        assert tag in TAGS, html[:300]
        # A title is a tooltip, wherever it stands.
        allowed = ATTRIBUTES.get(tag, set()) | {"title", "rel" if tag == "a" else ""}
        assert set(attributes) <= allowed, html[:300]
        if tag == "a":
            address = re.sub(r"[\x00-\x20]", "", attributes.get("href", ""))
            assert urlsplit(address).scheme in ("", "http", "https", "mailto"), address
            assert attributes["rel"] == "noopener noreferrer nofollow"


@pytest.mark.parametrize("text", HOSTILE)
def test_it_makes_nothing_that_acts(text):
    assert_harmless(markdown(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_it_makes_nothing_that_acts_while_it_grows(text):
    for size in (1, 7):
        growing = GrowingMarkdown()
        for start in range(0, len(text), size):
            done, current = growing.feed(text[start : start + size])
            assert_harmless(done)
            assert_harmless(current)


def test_it_shows_markup_as_the_text_it_is():
    assert markdown("<b>x</b> & y") == "<p>&lt;b&gt;x&lt;/b&gt; &amp; y</p>\n"


def test_it_fetches_no_image():
    html = markdown("![a cat](https://evil.example/cat.png)")

    assert "<img" not in html
    assert "src=" not in html


def test_it_renders_what_people_expect():
    html = markdown(
        "# Title\n\n**bold** *soft* ~~gone~~ `code`\n\n1. one\n2. two\n\n- a\n\n"
        "> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[link](https://a.example)\n\n---\n"
    )

    assert {tag for tag, _attributes in Elements(html).found} >= {
        *("h1", "strong", "em", "s", "code", "ol", "ul", "li", "blockquote"),
        *("table", "td", "a", "hr"),
    }


def test_it_links_addresses():
    assert 'href="https://a.example/x"' in markdown("See https://a.example/x.")


def test_it_colours_code_in_a_language_it_knows():
    html = markdown("```python\ndef greet(): return 1\n```")

    assert 'class="hl-' in html
    assert "<pre" in html
    assert "hl-" not in markdown("```no-such-language\ndef greet(): pass\n```")


def test_it_leaves_very_long_code_plain():
    assert "hl-" not in markdown("```python\n" + "x = 1\n" * 5000 + "```")


@pytest.mark.parametrize(
    "bomb",
    [
        "> " * 10_000 + "x",
        "*" * 10_000 + "x",
        "**a " * 8_000,
        "_" * 10_000,
        "*a_" * 10_000,
        "[" * 10_000,
        "[" * 10_000 + "](x)" * 10_000,
        "![" * 10_000,
        "`" * 10_000 + "x",
        "".join("`" * number for number in range(1, 250)),
        "- " * 10_000 + "x",
        "1. " * 10_000,
        "\n".join("  " * depth + "- x" for depth in range(150)),
        "<" * 10_000,
        "&" * 10_000,
        "~" * 10_000,
        "a@" * 10_000,
        "http://" * 3_000,
        "www." * 5_000,
        "|" * 10_000 + "\n" + "|-" * 10_000,
        "[a]: x\n" * 3_000,
        "\\" * 10_000,
        "```python\n" + "(" * 10_000,
        "\n" * 30_000,
    ],
    ids=lambda bomb: f"{bomb[:8]!r}",
)
def test_it_survives_a_bomb(bomb):
    # Not timed; a quadratic one would hold the whole suite.
    assert_harmless(markdown(bomb))


class TestGrowing:
    def grow(self, text, size):
        growing, done, current = GrowingMarkdown(), "", ""
        for start in range(0, len(text), size):
            finished, current = growing.feed(text[start : start + size])
            done += finished
        return done + current

    @pytest.mark.parametrize("size", [1, 2, 5, 17, 1000])
    @pytest.mark.parametrize(
        "text",
        [
            "One line",
            "One paragraph.\n\nAnother one,\nover two lines.\n\nA third.",
            "A list:\n\n- one\n- two\n\nThe end.\n",
            "```python\ndef f():\n\n    return 1\n```\n\nThat was code.",
            "~~~\n```\n\n~~~\n\nx",
            "# Title\n\n> quoted\n\n| a |\n|---|\n| 1 |\n\nend",
            "Odd line\u2028\nends\x0b\nin\x85\nparagraphs\x1c\n\nx",
            "Windows\r\n\r\nlines\r\n",
        ],
    )
    def test_it_equals_the_whole_in_the_end(self, text, size):
        assert self.grow(text, size) == markdown(text)

    def test_it_finishes_a_block_once(self):
        growing = GrowingMarkdown()

        assert growing.feed("One\n") == ("", "<p>One</p>\n")
        assert growing.feed("\nTwo") == ("<p>One</p>\n", "<p>Two</p>\n")
        assert growing.feed("!") == ("", "<p>Two!</p>\n")

    def test_it_keeps_a_block_of_code_open_over_blank_lines(self):
        growing = GrowingMarkdown()

        done, current = growing.feed("```\none\n\ntwo\n")

        assert done == ""
        assert "one\n\ntwo" in current
