"""The beginning of a message on one line: what the page shows of it, without markup.

Markdown is read as the page reads it, so what is HTML there is text here as well.
"""

import re

import regex
from markdown_it import MarkdownIt
from markdown_it.token import Token

PREVIEW_LENGTH = 160
TITLE_LENGTH = 60
#: How much of a message is read: marks and addresses are not shown, and take room.
READ_LENGTH = 2 * PREVIEW_LENGTH

#: Without any of these a text is what it says, and need not be parsed.
_MARKS = re.compile(
    r"[*`\[\\]|~~|(?<!\w)_|<\w|&[#\w]+;|^[ \t]*(?:[#>|:=+-]|\d+[.)])", re.MULTILINE
)
#: What begins in what is read and does not end in it, or not before it was cut.
_CUT_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*$")
_OPEN_MARKS = re.compile(r"(?<!\S)(?:\*{1,3}|_{1,3}|~~|`)(?=\S)")

_parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(
    ["table", "strikethrough"]
)


def preview(text: str) -> str:
    """Return the beginning of `text` as plain words on one line."""
    read = shorten(text, READ_LENGTH)
    shown = _plain(read, is_cut=len(read) < len(text)) if _MARKS.search(read) else read
    # Of nothing but marks, such as a line of stars, they are what was said.
    return shorten(_on_one_line(shown) or _on_one_line(read), PREVIEW_LENGTH)


def title(text: str) -> str:
    """Return what a conversation is called that begins with `text`."""
    return shorten(preview(text), TITLE_LENGTH)


def shorten(text: str, length: int) -> str:
    """Return at most `length` characters of `text`, and no part of what is one sign.

    A family, a flag or a letter with its accents is several characters.
    """
    if len(text) <= length:
        return text
    if text[length].isascii():  # which always begins a new one
        return text[:length]
    end = 0
    for sign in regex.finditer(r"\X", text[: length + 1]):
        if sign.end() > length:
            break
        end = sign.end()
    return text[: end or length]


def _plain(text: str, *, is_cut: bool) -> str:
    if is_cut:
        text = _CUT_LINK.sub(r"\1", text)
    shown = " ".join(_words(token) for token in _parser.parse(text))
    return _OPEN_MARKS.sub("", shown) if is_cut else shown


def _words(token: Token) -> str:
    """Return what the page shows of a block, without its children's own marks."""
    if token.type == "list_item_open":  # the number, where it has one
        return f"{token.info}{token.markup}" if token.info else ""
    if token.children is None:
        return token.content
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in token.children
    )


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
