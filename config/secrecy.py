"""Find what opens doors in a text, by its value or by what it looks like, and hide it.

It knows no log and no setting. Every pattern reads a text once, however odd it is: what
may begin anywhere must not read on from every place.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "[hidden]"

#: A shorter value is looked for as a whole word: it may be a part of ordinary ones.
LONG = 16

#: What is shorter hides nothing, and would make every line unreadable.
SHORTEST = 4

#: An equals sign or a colon, as forms, headers, JSON and escaped forms write it.
_IS = r"(?:\\*[\"'])?\s{0,3}(?:=|:|%3[dD])\s{0,3}"

#: A quoted value, first of a list or alone, up to the quote that ends it: JSON inside
#: of JSON escapes its quotes. One that is cut ends with the text.
_QUOTED = (
    r"(?P<list>\[)?(?:b|u)?(?P<q>\\*[\"'])(?!\[hidden)"
    r"(?:(?s:.*?)(?<!\\)(?P=q)|(?s:.*))(?(list)[^\]]*\]?)"
)

#: Of words without quotes nobody knows where they end; a header ends with its line.
_HEADERS = ("authorization", "cookie")
_WORDS = ("password", "passwd", "passphrase", "pwd")
_NAMES = (
    *("token", "ticket", "secret", "signature", "credential", "session", "csrf"),
    *("sessionid", "totp", "otp", "recovery_code", "recovery_codes", "admin-key"),
    *("api_key", "api-key", "apikey", "access_key", "access-key", "access_key_id"),
)

Pattern = tuple[tuple[str, ...], re.Pattern[str], str]


def _pattern(needs: tuple[str, ...], pattern: str, instead: str) -> Pattern:
    """Return a pattern with what a text has one of, in small letters, if it fits."""
    return needs, re.compile(pattern), instead


#: What is known by its own looks.
_LOOKS = (
    _pattern(("eyj",), r"(?<![\w-])eyJ[\w-]{6,}(?:\.[\w-]*){1,4}", "[token]"),
    _pattern(("sk-",), r"(?<![\w-])sk-[\w-]{6,}", "[key]"),
    _pattern(("://",), r"(?<=://)[^\s/@\"']+@", f"{HIDDEN}@"),
    _pattern(
        ("bearer", "basic"),
        r"(?i)(?<![\w-])(bearer[\s,:]{1,3}|basic\s{1,3}(?=[\w+/=-]{8}))"
        r"[^\s\"',\[][^\s\"',]*",
        r"\1[token]",
    ),
    _pattern(
        ("/setup/", "/reset/key/", "/confirm-email/"),
        r"(/setup/|/reset/key/|/confirm-email/)[^\s/?\"']+",
        rf"\1{HIDDEN}",
    ),
)

#: What is known by the name before it; in this order.
_NAMED = (
    _pattern(
        ("code", "otp"),
        rf"(?i)((?:(?<![a-z])code|otp){_IS}\[?(?:\\*[\"'])?)\d[\d -]{{4,}}\d",
        rf"\1{HIDDEN}",
    ),
    _pattern(
        (*_HEADERS, *_WORDS, *_NAMES),
        rf"(?i)((?:{'|'.join((*_HEADERS, *_WORDS, *_NAMES))})\d?{_IS}){_QUOTED}",
        rf"\1{HIDDEN}",
    ),
    _pattern(
        _HEADERS,
        rf"(?i)((?:{'|'.join(_HEADERS)}){_IS})(?!\[)[^\s\"'\\][^\"'\r\n\\]*",
        rf"\1{HIDDEN}",
    ),
    _pattern(
        _WORDS,
        rf"(?i)((?:{'|'.join(_WORDS)})\d?{_IS})"
        r"(?!\[)[^\s&;,\"'}\\][^&;,\"'}\r\n\\]*",
        rf"\1{HIDDEN}",
    ),
    _pattern(
        ("__host-", *_NAMES),
        rf"(?i)((?:__host-\w{{1,40}}|{'|'.join(_NAMES)})\d?{_IS})"
        r"(?!\[)[^\s&;,\"'}\\]+",
        rf"\1{HIDDEN}",
    ),
)

_known: tuple[tuple[str, re.Pattern[str] | None], ...] = ()


def keep(values: Iterable[str | None]) -> None:
    """Hide these values from now on, in every spelling they may come along in."""
    global _known
    spellings = {
        spelling
        for value in filter(None, values)
        for spelling in (
            value,
            quote(value),
            quote_plus(value),
            unquote(value),
            quote_plus(unquote(value)),
            quote(value, safe=""),
            json.dumps(value)[1:-1],
            repr(value)[1:-1],
        )
        if len(spelling) >= SHORTEST
    }
    _known = tuple(
        (
            one,
            None if len(one) >= LONG else re.compile(rf"(?<!\w){re.escape(one)}(?!\w)"),
        )
        for one in sorted(spellings, key=lambda one: (-len(one), one))
    )


def password_in(url: str) -> str:
    """Return the password that an address carries, or ""."""
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


def hide(text: str) -> str:
    """Return `text` without what opens doors."""
    for value, word in _known:
        if value in text:
            text = (
                text.replace(value, HIDDEN) if word is None else word.sub(HIDDEN, text)
            )
    lowered = text.lower()
    has_names = "=" in text or ":" in text or "%3" in text
    for needs, pattern, instead in (*_LOOKS, *_NAMED) if has_names else _LOOKS:
        if any(map(lowered.__contains__, needs)):
            text = pattern.sub(instead, text)
    return text
