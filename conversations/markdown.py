"""Markdown for pages: rendered, then sanitised, then trusted.

What a model writes is rendered first and sanitised after, so nothing that rendering
makes of it can slip through.
"""

import re

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from pygments import highlight as pygments_highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "span"),
    *("ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "a", "div"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    "a": {"href"},
    "ol": {"start"},
    "code": {"class"},
    "pre": {"class"},
    "span": {"class"},
    "div": {"class"},
    "th": {"class"},
    "td": {"class"},
}
#: Longer code is shown plain: colouring it would hold the event loop.
MAX_HIGHLIGHT = 20_000

_formatter = HtmlFormatter(nowrap=True, classprefix="hl-")


def _highlight(code: str, language: str, attributes: str) -> str:
    if not language or len(code) > MAX_HIGHLIGHT:
        return ""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    return pygments_highlight(code, lexer, _formatter)


_parser = MarkdownIt(
    "commonmark",
    # Deep nesting costs time and stack without ever being meant.
    {"html": False, "linkify": True, "highlight": _highlight, "maxNesting": 20},
).enable(["table", "strikethrough", "linkify"])
# An image would tell its host that, and when, the reply was read.
_parser.disable("image")


def markdown(text: str) -> SafeString:
    """Return `text` as sanitised HTML: no scripts, styles, images or foreign markup."""
    clean = nh3.clean(
        _parser.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # noqa: S308  sanitised on the line above


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# Markdown's lines end with a line feed; str.splitlines knows a dozen other ends.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class GrowingMarkdown:
    """A text that is still being written, as blocks that are finished and one that
    is not.

    Only the block being written is rendered again, so a long reply costs no more
    per word than a short one. Blocks that belong together across a blank line (a
    loose list) come out apart until the whole is rendered at the end.
    """

    def __init__(self) -> None:
        self._open = ""

    def feed(self, text: str) -> tuple[SafeString, SafeString]:
        """Add `text`; return the HTML of blocks now finished, and of the open one."""
        self._open += text
        end = _finished_up_to(self._open)
        done, self._open = self._open[:end], self._open[end:]
        return (markdown(done) if done else SafeString(), markdown(self._open))


def _finished_up_to(text: str) -> int:
    """Return where the last finished block ends: after a blank line outside a fence."""
    fence, end, position = "", 0, 0
    for line in _LINE.findall(text):
        position += len(line)
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip(fence[0] + " \n"):
            fence = ""
            end = position
        elif not fence and not line.strip() and line.endswith("\n"):
            end = position
    return end
