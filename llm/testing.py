"""A model for tests of our own code: it says what it is told to, and remembers.

with scripted("Hello", " world") as script:
    ...
assert len(script.requests) == 1
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from llm import catalog
from llm.errors import ProviderError
from llm.types import ChatRequest, Chunk, FinishReason, Usage


class Gate(Protocol):
    """An asyncio.Event or a threading.Event: the test may run in another loop."""

    def is_set(self) -> bool: ...


@dataclass
class Script:
    """What the model says, and what happened to it.

    Each text is one chunk, after `delay` seconds. `gate` holds back everything that
    follows the first text. `fail_with` is raised after the last text, in place of a
    finish; so is `provider_unavailable` when `finish` is None.
    """

    texts: tuple[str, ...]
    finish: FinishReason | None = "stop"
    usage: Usage | None = None
    delay: float = 0.0
    fail_with: ProviderError | None = None
    gate: Gate | None = None
    name: str = "scripted"
    is_buffered: bool = False
    #: Every request the model received: one provider call each.
    requests: list[ChatRequest] = field(default_factory=list)
    #: Streams that ran to their end, and streams given up before it.
    finished: int = 0
    closed: int = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        try:
            for index, text in enumerate(self.texts):
                if index == 1:
                    await self._wait_for_gate()
                await asyncio.sleep(self.delay)
                yield Chunk(text)
            if len(self.texts) < 2:
                await self._wait_for_gate()
            yield self._ending()
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            raise
        self.finished += 1

    async def aclose(self) -> None:
        """There are no connections."""

    def _ending(self) -> Chunk:
        if self.fail_with is not None:
            raise self.fail_with
        if self.finish is None:
            raise ProviderError("provider_unavailable", "the script has no finish")
        # Ten tokens asked, and one for each text: easy to reckon with in a test.
        usage = self.usage or Usage(prompt=10, completion=len(self.texts), exact=True)
        return Chunk(finish_reason=self.finish, usage=usage)

    async def _wait_for_gate(self) -> None:
        # Asking works for an event of another loop or thread; waiting does not.
        while self.gate is not None and not self.gate.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@contextmanager
def scripted(
    *texts: str,
    finish: FinishReason | None = "stop",
    usage: Usage | None = None,
    delay: float = 0.0,
    fail_with: ProviderError | None = None,
    gate: Gate | None = None,
) -> Iterator[Script]:
    """Let a script answer in the place of every provider, in every thread and loop."""
    script = Script(texts, finish, usage, delay, fail_with, gate)
    before, catalog.stand_in = catalog.stand_in, script
    try:
        yield script
    finally:
        catalog.stand_in = before
