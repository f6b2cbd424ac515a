"""What went wrong, told by its kind, its codes and its place, never by its words.

The words of an exception quote what somebody typed, what a row holds or what another
server says. It knows no logger.
"""

import re
import traceback
from collections.abc import Iterator
from contextlib import suppress

from django.core.exceptions import DisallowedHost

#: Where the libraries in use keep the number or the short name of a failure.
CODES = ("errno", "sqlstate", "sqlite_errorname", "smtp_code", "status", "code")

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")

#: Those whose words are names out of the code, or the host that was asked for.
SPEAKING = (AttributeError, DisallowedHost, ImportError, NameError)

#: So many of what led to one another are told.
DEPTH = 6


def tell(error: BaseException) -> str:
    """Return the kind and the codes of `error` and of what led to it, on one line."""
    return " from ".join(dict.fromkeys(_kind(one) for one in chain(error)))


def trace(error: BaseException) -> str:
    """Return the traceback of `error` and of what led to it, the first one first."""
    return "\n".join(
        "Traceback (most recent call last):\n"
        + "".join(traceback.format_tb(one.__traceback__))
        + _kind(one)
        for one in reversed(list(chain(error)))
    )


def without_words(text: str, error: BaseException) -> str:
    """Return `text` with the words of `error` replaced by what may be told of it."""
    words: dict[str, str] = {}
    for one in chain(error):
        if type(one) not in SPEAKING:
            with suppress(Exception):
                words |= {repr(one): _kind(one), str(one): _kind(one)}
    for said in sorted(filter(None, words), key=len, reverse=True):
        text = text.replace(said, words[said])
    return text


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error`, what it was raised from, and so on."""
    for _number in range(DEPTH):
        if error is None:
            return
        yield error
        is_hidden = error.__suppress_context__
        error = error.__cause__ or (None if is_hidden else error.__context__)


def _kind(error: BaseException) -> str:
    name = type(error).__name__
    if type(error) in SPEAKING:
        return f"{name}: {error}"
    return " ".join([name, *dict.fromkeys(_codes(error))])


def _codes(error: BaseException) -> Iterator[str]:
    found = [getattr(error, name, None) for name in CODES]
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # how Amazon's client tells it
        about = response.get("Error")
        found.append(about.get("Code") if isinstance(about, dict) else None)
    for code in found:
        if isinstance(code, int) or (isinstance(code, str) and _CODE.fullmatch(code)):
            yield str(int(code)) if isinstance(code, int) else code
