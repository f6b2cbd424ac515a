"""Turn the bytes of a streamed answer into text, one upstream read at a time.

It knows lines, JSON and server-sent events; what an event means, each provider's own
decoder says. It reads nothing and waits for nothing.
"""

import json
import logging
import re
from abc import ABC, abstractmethod
from typing import Any, TypeGuard

from llm.errors import ProviderError
from llm.types import FinishReason, Usage

logger = logging.getLogger(__name__)

#: No honest line is longer. The last event of OpenAI's Responses repeats the prompt
#: and the whole reply, so the limit is generous; it is what bounds our memory.
MAX_LINE_BYTES = 4 * 1024 * 1024

decode_json = json.JSONDecoder().decode


class Decoder(ABC):
    """What one streamed answer has said so far.

    `feed` never raises: what precedes a broken line is kept, and `failure` says what
    broke, so that no word that arrived is lost.
    """

    def __init__(self) -> None:
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        #: The model said something, if only to itself, since this was last reset.
        self.is_alive = False
        #: The answer says that nothing more follows.
        self.is_done = False
        self.failure: Exception | None = None
        self._texts: list[str] = []
        self._partial = bytearray()

    def feed(self, data: bytes) -> None:
        """Take one read as it came; an empty one ends the answer."""
        if self.is_done or self.failure:
            return
        end = data.rfind(b"\n") + 1 if data else 0
        if data and not end:
            self._keep(data)
            return
        block = bytes(self._partial) + data[:end] if self._partial else data[:end]
        self._partial.clear()
        try:
            self._lines(block)
        except Exception as error:
            self.failure = error
        self._keep(data[end:])

    def take(self) -> str:
        """Return, once, the text that has come since the last call."""
        if not self._texts:
            return ""
        text = "".join(self._texts)
        self._texts.clear()
        return text if text.isascii() and "\0" not in text else _storable(text)

    def hear(self, text: Any) -> None:
        """Note text of the reply; None and "" are what some servers begin with."""
        if text:
            if type(text) is not str:
                raise TypeError(f"text is a {type(text).__name__}")
            self._texts.append(text)
            self.is_alive = True

    def refuse_tool_call(self) -> None:
        """Note that the model called a tool; we offered it none."""
        logger.warning("The model called a tool that nobody offered; ignored.")

    @abstractmethod
    def lines(self, block: str) -> None:
        """Read complete lines."""

    def _lines(self, block: bytes) -> None:
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            # What is whole before the broken line is still good.
            self.lines(block[: block.rfind(b"\n", 0, error.start) + 1].decode())
            raise
        self.lines(text)

    def _keep(self, data: bytes) -> None:
        self._partial += data
        if len(self._partial) > MAX_LINE_BYTES:
            self._partial.clear()
            self.failure = ProviderError(
                "provider_bad_response", f"a line over {MAX_LINE_BYTES} bytes"
            )


class JsonLines(Decoder):
    """One JSON object a line, as Ollama answers."""

    def lines(self, block: str) -> None:
        for line in block.split("\n"):
            if line and not line.isspace():
                self.event(_object(decode_json(line.strip())))

    @abstractmethod
    def event(self, event: dict[str, Any]) -> None:
        """Read one object."""


class EventStream(Decoder):
    """Server-sent events with one line of JSON each, as OpenAI answers."""

    _DATA = re.compile(r"^data:[ \t]*(\S.*)", re.MULTILINE)

    def lines(self, block: str) -> None:
        for data in self._DATA.findall(block):
            if data.startswith("[DONE]"):
                self.is_done = True
                return
            self.event(_object(decode_json(data)))

    @abstractmethod
    def event(self, event: dict[str, Any]) -> None:
        """Read one event's data."""


def is_count(value: Any) -> TypeGuard[int]:
    """Say whether a server's number of tokens is one whose sums can be stored."""
    return type(value) is int and 0 <= value < 2**30


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise TypeError(f"expected an object, found a {type(value).__name__}")
    return value


def _storable(text: str) -> str:
    """Join halves of surrogate pairs; drop what no database and no UTF-8 can hold."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
