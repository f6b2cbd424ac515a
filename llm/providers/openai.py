"""Models rented from OpenAI, or from anything that speaks its API.

The official client lists the models; replies are asked for without it (see `base.py`).
"""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings

from llm.errors import ProviderError
from llm.providers.base import LIST_SECONDS, RemoteProvider
from llm.providers.decoding import EventStream
from llm.providers.failures import from_status, kind_of
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
    heeds_proxies = True

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
        self.url = (url or OPENAI_URL).rstrip("/")
        self.api = api
        self.headers = {"Authorization": f"Bearer {self.key}"}

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL, settings.OPENAI_API
        )

    def decoder(self, request: ChatRequest) -> EventStream:
        return ChatDecoder() if self.api == "chat" else ResponsesDecoder()

    def ask(self, request: ChatRequest) -> tuple[str, dict[str, Any]]:
        if self.api == "chat":
            return "/chat/completions", self._chat_payload(request)
        return "/responses", _responses_payload(request)

    async def available_models(self) -> list[str]:
        openai = await asyncio.to_thread(import_module, "openai")
        try:
            async with asyncio.timeout(LIST_SECONDS):
                client = await asyncio.to_thread(self._client)
                async with client:
                    return [model.id async for model in client.models.list()]
        except openai.APIStatusError as error:
            headers = error.response.headers
            raise from_status(error.status_code, error.body, headers) from error
        except openai.APITimeoutError as error:
            raise ProviderError("provider_timeout", kind_of(error)) from error
        except openai.APIConnectionError as error:
            # The client hides which system error it was.
            raise ProviderError("provider_unavailable", kind_of(error)) from error
        except Exception as error:
            raise self.explain(error) from error

    def _client(self) -> "openai.AsyncOpenAI":
        import openai

        return openai.AsyncOpenAI(
            api_key=self.key,
            base_url=self.url,
            max_retries=0,
            timeout=openai.Timeout(LIST_SECONDS, connect=self.patience.connect),
        )

    def _chat_payload(self, request: ChatRequest) -> dict[str, Any]:
        # OpenAI renamed the limit; the servers that imitate it know the old name.
        limit = "max_completion_tokens" if self.url == OPENAI_URL else "max_tokens"
        return {
            **_payload(request),
            "messages": _messages(request),
            "stream_options": {"include_usage": True},
            limit: request.max_output_tokens,
        }


def _responses_payload(request: ChatRequest) -> dict[str, Any]:
    return {
        **_payload(request),
        "input": _messages(request),
        "max_output_tokens": max(MIN_RESPONSES_TOKENS, request.max_output_tokens),
        # Conversations are kept here, by us.
        "store": False,
    }


def _payload(request: ChatRequest) -> dict[str, Any]:
    payload: dict[str, Any] = {"model": request.model, "stream": True}
    if request.temperature is not None:
        payload["temperature"] = request.temperature
    return payload


def _messages(request: ChatRequest) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in request.messages]
