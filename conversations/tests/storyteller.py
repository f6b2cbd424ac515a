"""A model server that tells one long, known story at a steady pace.

The model's name says how much and how fast: `story-300-100` is 300 words, 100 of them
a second. Asked to continue, it goes on where the reply it is shown breaks off, so that
whatever happened in between, the whole must be the story again.
"""

import re
import threading
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

from llm.tests.faces import Face
from llm.tests.faults import Step
from llm.tests.faulty_server import FaultyServer, Received

WORDS = ("and", "señora", "👋🏽", "— 一 —", "zwölf\n\n", 'data: [DONE]\n\n{"seq": 9}')


def story(words: int) -> str:
    return "".join(map(word, range(words)))


def word(number: int) -> str:
    return f"{number} {WORDS[number % len(WORDS)]} "


class Storyteller(FaultyServer):
    """See `FaultyServer` for `url`, `prompts` and `hangups`."""

    def __enter__(self) -> "Storyteller":
        self._asked = threading.local()
        return super().__enter__()

    def _answer(self, connection: Any, request: Received) -> bool:
        self._asked.body = request.body
        return super()._answer(connection, request)

    def _steps(self, model: str, face: Face) -> Iterator[Step]:
        parts = re.fullmatch(r"story-(\d+)-(\d+)", model)
        if parts is None:
            yield from super()._steps(model, face)
            return
        words, rate = map(int, parts.groups())
        yield face.head() or b"\n"
        begun = monotonic()
        for number, text in enumerate(_rest(words, _told(self._asked.body))):
            sleep(max(0.0, begun + number / rate - monotonic()))
            yield face.token(text)
        yield face.end()


def _told(body: dict[str, Any]) -> str:
    """Return how much of the story the prompt has, when it asks to go on."""
    messages = body.get("messages") or body["input"]
    if len(messages) > 1 and messages[-2]["role"] == "assistant":
        before = str(messages[-2]["content"])
        if messages[-1]["content"].startswith("Continue your last message"):
            return before
    return ""


def _rest(words: int, told: str) -> Iterator[str]:
    position = 0
    for number in range(words):
        text = word(number)
        if rest := text[max(0, len(told) - position) :]:
            yield rest
        position += len(text)
