"""Estimate tokens where nobody counted them.

Pure; it knows no model's vocabulary, only what byte-pair encodings have in common.
"""

import re
from collections.abc import Iterable

from llm.types import ChatMessage

#: A token of Latin text is about four bytes of UTF-8.
BYTES_PER_TOKEN = 4

#: What a message costs beyond its words: its role and its delimiters.
TOKENS_PER_MESSAGE = 4

# Han, kana, hangul, Thai, emoji and typographic marks: about one token each, so each
# weighs one byte more than the three it has.
_WIDE = re.compile("[\u0800-\U0010ffff]+")


def weigh(text: str) -> int:
    """Return the weight of `text` in quarters of a token; weights may be added up."""
    if text.isascii():
        return len(text)
    wide = sum(map(len, _WIDE.findall(text)))
    return len(text.encode(errors="surrogatepass")) + wide


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is, rounded up."""
    return tokens_of(weigh(text))


def tokens_of(weight: int) -> int:
    """Return the tokens of an added-up weight, rounded up."""
    return -(-weight // BYTES_PER_TOKEN)


def estimate_prompt(messages: Iterable[ChatMessage]) -> int:
    """Return about how many tokens these messages are as a prompt."""
    return sum(TOKENS_PER_MESSAGE + estimate_tokens(m.content) for m in messages)
