"""What every remote provider has in common: patience, retries, limits, usage.

It knows no protocol: a provider opens an answer and names the decoder that reads it.
Failures of every kind leave here as ProviderError; this is the one place that catches
`Exception`, because client libraries let anything out.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Self

import aiohttp

from llm.circuit import Circuit
from llm.errors import ProviderError
from llm.providers.decoding import Decoder
from llm.providers.failures import ERROR_BYTES, from_exception, from_status
from llm.providers.patience import Deadline, Patience
from llm.tokens import BYTES_PER_TOKEN, estimate_prompt, tokens_of, weigh
from llm.types import ChatRequest, Chunk, Usage

logger = logging.getLogger(__name__)

#: Returns what one read brought, b"" at the end of the answer.
Read = Callable[[], Awaitable[bytes]]

RETRIES = 2

#: Between tries, in seconds, somewhere between these.
RETRY_WAIT = (0.1, 0.5)

#: What the list of models may take.
LIST_SECONDS = 10.0

#: Whoever asks us to wait longer is answered with `provider_busy`, not with silence.
MAX_RETRY_WAIT = 5.0

#: A server that ignores the limit on tokens is cut off at this many times its bytes.
OUTPUT_SLACK = 4
MIN_OUTPUT_BYTES = 4096

#: How long usage, or the end of the connection, may come after the finish reason.
LINGER_SECONDS = 1.0

#: Outcomes that say the endpoint, not the request, is at fault.
ENDPOINT_FAILURES = {"provider_unavailable", "provider_timeout"}


class BaseProvider(ABC):
    """A provider as the catalog keeps it: made from settings, shared, given back."""

    name: str
    is_buffered = False
    #: model → whether it is left alone for a while, of those that were asked.
    circuits: Mapping[str, Circuit] = {}

    @classmethod
    @abstractmethod
    def from_settings(cls) -> Self:
        """Make the provider the operator configured."""

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Yield the reply as it is written (see `llm.types.Provider`)."""

    @abstractmethod
    async def available_models(self) -> list[str]:
        """Return the names of the models it offers, or raise ProviderError."""

    async def is_reachable(self) -> bool:
        """Say whether it can be asked at all, without waiting long for the answer."""
        return True

    async def aclose(self) -> None:  # noqa: B027
        """Give back the connections."""


class RemoteProvider(BaseProvider):
    """A provider reached over HTTP.

    Replies are asked for with plain aiohttp. The official clients cost twice to five
    times the CPU for each token and 0.7 ms more for each turn, and take a second and
    30 MiB to load; they are used where neither matters.
    """

    is_buffered = True
    #: Where replies are asked for, and with which headers.
    url = ""
    headers: Mapping[str, str] = {}
    #: Whether proxies that the environment names are used.
    heeds_proxies = False

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience.from_settings()
        self.circuits = defaultdict(Circuit)
        self._session: aiohttp.ClientSession | None = None

    @abstractmethod
    def ask(self, request: ChatRequest) -> tuple[str, dict[str, Any]]:
        """Return the path below `url` and the JSON that ask for this reply."""

    @asynccontextmanager
    async def open(self, request: ChatRequest) -> AsyncGenerator[Read, None]:
        """Send the request; leaving the context closes its connection."""
        path, payload = self.ask(request)
        async with self._http().post(self.url + path, json=payload) as response:
            if response.status != 200:
                body = await response.content.read(ERROR_BYTES)
                raise from_status(
                    response.status, body.decode(errors="replace"), response.headers
                )
            yield response.content.readany

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self.patience.connect
                ),
                headers={"Accept-Encoding": "identity", **self.headers},
                trust_env=self.heeds_proxies,
            )
        return self._session

    @abstractmethod
    def decoder(self, request: ChatRequest) -> Decoder:
        """Return what reads the answer to this request."""

    def explain(self, error: Exception) -> ProviderError:
        """Return what an exception of the client library means."""
        return from_exception(error)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        circuit = self.circuits[request.model]
        if not circuit.admits():
            raise ProviderError("provider_unavailable", "circuit open")
        try:
            async with aclosing(self._retried(request)) as chunks:
                async for chunk in chunks:
                    if chunk.finish_reason:
                        # Now, because nobody has to ask again after the last chunk.
                        circuit.succeeded()
                    yield chunk
        except ProviderError as error:
            if error.code in ENDPOINT_FAILURES:
                circuit.failed()
            else:
                circuit.succeeded()
            # The cause is logged by who asked.
            logger.warning("%s/%s failed: %s", self.name, request.model, error.code)
            raise
        except BaseException:
            circuit.abandoned()
            raise

    async def _retried(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Try again while nothing of the reply has been seen."""
        end = asyncio.get_running_loop().time() + self.patience.total
        for retries_left in reversed(range(RETRIES + 1)):
            has_begun = False
            try:
                async with aclosing(self._attempt(request, end)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield chunk
                return
            except ProviderError as error:
                wait = max(error.retry_after or 0, random.uniform(*RETRY_WAIT))  # noqa: S311
                is_worth_it = error.is_retryable and wait <= MAX_RETRY_WAIT
                if has_begun or not retries_left or not is_worth_it:
                    raise
                logger.info("%s/%s again: %s", self.name, request.model, error.code)
            await asyncio.sleep(wait)

    async def _attempt(
        self, request: ChatRequest, end: float
    ) -> AsyncGenerator[Chunk, None]:
        """Yield one answer's chunks, the last with its finish reason and usage."""
        decoder = self.decoder(request)
        weight, room = 0, _room(request)
        has_words = False
        try:
            async with aclosing(self._texts(request, decoder, end)) as texts:
                async for text in texts:
                    weight += weigh(text)
                    if weight > room:
                        text = _cut(text, weight - room)
                        decoder.finish_reason = "length"
                    has_words = has_words or not text.isspace()
                    yield Chunk(text)
                    if weight > room:
                        break
        except Exception as error:
            # Once the reply is finished, a fault can only cost us its usage.
            if decoder.finish_reason is None:
                raise self.explain(error) from error
        if decoder.finish_reason is None:
            raise _interruption(has_words)
        if not has_words:
            raise _emptiness(decoder)
        usage = decoder.usage or Usage(
            estimate_prompt(request.messages), tokens_of(weight), exact=False
        )
        yield Chunk(finish_reason=decoder.finish_reason, usage=usage)

    async def _texts(
        self, request: ChatRequest, decoder: Decoder, end: float
    ) -> AsyncGenerator[str, None]:
        """Yield the text of each upstream read, and raise what broke after it."""
        now = asyncio.get_running_loop().time
        deadline = Deadline(min(now() + self.patience.first_token, end))
        async with AsyncExitStack() as stack:
            stack.callback(deadline.stop)
            with deadline:
                read = await stack.enter_async_context(self.open(request))
            is_finishing = False
            while True:
                with deadline:
                    data = await read()
                decoder.feed(data)
                if text := decoder.take():
                    yield text
                if decoder.failure:
                    raise decoder.failure
                if not data:
                    return
                if decoder.finish_reason is None:
                    if decoder.is_alive:
                        decoder.is_alive = False
                        deadline.due = min(now() + self.patience.idle, end)
                elif not is_finishing:
                    is_finishing = True
                    deadline.due = now() + LINGER_SECONDS


def _room(request: ChatRequest) -> int:
    bytes_asked = request.max_output_tokens * BYTES_PER_TOKEN
    return max(MIN_OUTPUT_BYTES, bytes_asked * OUTPUT_SLACK)


def _cut(text: str, surplus: int) -> str:
    return text.encode()[:-surplus].decode(errors="ignore")


def _interruption(has_words: bool) -> ProviderError:
    if has_words:
        return ProviderError("provider_unavailable", "ended without a finish reason")
    return ProviderError("provider_bad_response", "ended without a reply")


def _emptiness(decoder: Decoder) -> ProviderError:
    if decoder.finish_reason == "content_filter":
        return ProviderError("provider_rejected", "withheld by the content filter")
    return ProviderError("provider_bad_response", "a reply without words")
