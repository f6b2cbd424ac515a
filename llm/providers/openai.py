"""Models rented from OpenAI, or from anything that speaks its API.

The official client authenticates, connects and explains refusals; the streamed bytes
we read ourselves, because its objects cost more CPU for each token than everything
else together. Importing it takes a second, so that happens in a thread.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings

from llm.errors import ProviderError
from llm.providers.base import LIST_SECONDS, Read, RemoteProvider
from llm.providers.decoding import EventStream
from llm.providers.failures import from_status
from llm.providers.openai_events import ChatDecoder, ResponsesDecoder
from llm.providers.patience import Patience
from llm.types import ChatRequest

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"

#: The Responses API refuses to write less.
MIN_RESPONSES_TOKENS = 16


class OpenAIProvider(RemoteProvider):
    name = "openai"

    def __init__(
        self,
        key: str,
        url: str = "",
        api: str = "responses",
        patience: Patience | None = None,
    ) -> None:
        super().__init__(patience)
        # Compatible servers often need no key, but the client insists on one.
        self.key = key or "none"
        self.url = url or OPENAI_URL
        self.api = api
        self._client: openai.AsyncOpenAI | None = None

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL, settings.OPENAI_API
        )

    def decoder(self, request: ChatRequest) -> EventStream:
        return ChatDecoder() if self.api == "chat" else ResponsesDecoder()

    @asynccontextmanager
    async def open(self, request: ChatRequest) -> AsyncGenerator[Read, None]:
        client = await self._connected()
        if self.api == "chat":
            answer = client.chat.completions.with_streaming_response.create(
                **self._chat_payload(request)
            )
        else:
            answer = client.responses.with_streaming_response.create(
                **_responses_payload(request)
            )
        async with answer as response:
            yield partial(anext, response.http_response.aiter_bytes(), b"")

    def explain(self, error: Exception) -> ProviderError:
        import openai

        if isinstance(error, openai.APIStatusError):
            return from_status(error.status_code, error.body, error.response.headers)
        return super().explain(error)

    async def available_models(self) -> list[str]:
        try:
            async with asyncio.timeout(LIST_SECONDS):
                client = await self._connected()
                return [model.id async for model in client.models.list()]
        except Exception as error:
            raise self.explain(error) from error

    async def warm_up(self) -> None:
        await self._connected()

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> "openai.AsyncOpenAI":
        if self._client is None:
            client = await asyncio.to_thread(self._make_client)
            # Two first replies at once make two; neither has connected yet.
            self._client = self._client or client
        return self._client

    def _make_client(self) -> "openai.AsyncOpenAI":
        import openai

        client = openai.AsyncOpenAI(
            api_key=self.key,
            base_url=self.url,
            max_retries=0,
            # Only connecting is timed here: `base` times what is read.
            timeout=openai.Timeout(None, connect=self.patience.connect),
            http_client=openai.DefaultAioHttpClient(),
            default_headers={"Accept-Encoding": "identity"},
        )
        # Both import on first use.
        assert client.chat.completions
        assert client.responses
        return client

    def _chat_payload(self, request: ChatRequest) -> dict[str, Any]:
        # OpenAI renamed the limit; the servers that imitate it know the old name.
        limit = "max_completion_tokens" if self.url == OPENAI_URL else "max_tokens"
        return {
            "model": request.model,
            "messages": (),
            "stream": True,
            "extra_body": {
                **_payload(request),
                "messages": _messages(request),
                "stream_options": {"include_usage": True},
                limit: request.max_output_tokens,
            },
        }


def _responses_payload(request: ChatRequest) -> dict[str, Any]:
    return {
        "model": request.model,
        "stream": True,
        "extra_body": {
            **_payload(request),
            "input": _messages(request),
            "max_output_tokens": max(MIN_RESPONSES_TOKENS, request.max_output_tokens),
            # Conversations are kept here, by us.
            "store": False,
        },
    }


def _payload(request: ChatRequest) -> dict[str, Any]:
    # In `extra_body`, which the client sends as it is: what it is given by name it
    # walks through type by type, and that is a third of what a request costs.
    payload: dict[str, Any] = {"model": request.model, "stream": True}
    if request.temperature is not None:
        payload["temperature"] = request.temperature
    return payload


def _messages(request: ChatRequest) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in request.messages]
