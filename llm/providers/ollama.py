"""Models the operator runs with Ollama.

The official client lists the models; replies are asked for without it (see `base.py`).
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import aiohttp
from django.conf import settings

from llm.errors import ProviderError
from llm.providers.base import LIST_SECONDS, RemoteProvider
from llm.providers.decoding import JsonLines, is_count
from llm.providers.patience import Patience
from llm.tokens import estimate_prompt
from llm.types import ChatRequest, FinishReason, Usage

if TYPE_CHECKING:
    import ollama

logger = logging.getLogger(__name__)

DEFAULT_PORT = 11434

#: Our estimate is rough; a prompt that counts less than this part of it was cut.
CUT_RATIO = 0.6

PROBE_SECONDS = 0.5


class OllamaProvider(RemoteProvider):
    name = "ollama"

    def __init__(self, host: str, patience: Patience | None = None) -> None:
        super().__init__(patience)
        self.url = base_url(host)

    @classmethod
    def from_settings(cls) -> Self:
        return cls(settings.OLLAMA_HOST)

    def decoder(self, request: ChatRequest) -> "OllamaDecoder":
        return OllamaDecoder(request)

    def ask(self, request: ChatRequest) -> tuple[str, dict[str, Any]]:
        return "/api/chat", _payload(request)

    async def is_reachable(self) -> bool:
        """Say whether an Ollama answers there, within half a second."""
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(self.url, timeout=timeout) as session,
                session.get("/api/version") as response,
            ):
                return response.status == 200 and "version" in await response.json()
        except (aiohttp.ClientError, OSError, ValueError):
            return False

    async def available_models(self) -> list[str]:
        try:
            async with asyncio.timeout(LIST_SECONDS):
                client = await asyncio.to_thread(self._client)
                async with client:
                    answer = await client.list()
        except Exception as error:
            raise self.explain(error) from error
        return [model.model for model in answer.models if model.model]

    def _client(self) -> "ollama.AsyncClient":
        import ollama

        return ollama.AsyncClient(self.url, trust_env=False)


class OllamaDecoder(JsonLines):
    """Reads the lines of /api/chat."""

    def __init__(self, request: ChatRequest) -> None:
        super().__init__()
        self._request = request

    def event(self, event: dict[str, Any]) -> None:
        if event.get("error"):
            cause = "an error in the answer"
            raise ProviderError("provider_unavailable", cause, is_retryable=True)
        message = event.get("message") or {}
        self.hear(message.get("content"))
        if message.get("thinking"):
            self.is_alive = True
        if message.get("tool_calls"):
            self.refuse_tool_call()
        if event.get("done"):
            self._finish(event)

    def _finish(self, event: dict[str, Any]) -> None:
        self.finish_reason = _finish_reason(event.get("done_reason"))
        self.is_done = True
        # A prompt Ollama has still in its cache may come without a count.
        prompt, completion = event.get("prompt_eval_count"), event.get("eval_count")
        if not is_count(completion):
            return
        estimate = estimate_prompt(self._request.messages)
        if not is_count(prompt):
            self.usage = Usage(estimate, completion, exact=False)
            return
        self.usage = Usage(prompt, completion, exact=True)
        if prompt < estimate * CUT_RATIO or prompt >= self._request.context_tokens:
            logger.warning(
                "Ollama cut the prompt for %s: it read %d tokens of about %d, "
                "with room for %d.",
                self._request.model,
                prompt,
                estimate,
                self._request.context_tokens,
            )


def base_url(host: str) -> str:
    """Return the address in the spellings OLLAMA_HOST is written in.

    `ollama serve` reads the same variable as the address it listens on, 0.0.0.0
    included, and takes a missing scheme and port for granted.
    """
    parts = urlsplit(host if "://" in host else f"http://{host}")
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104
    name = f"[{name}]" if ":" in name else name
    has_own_port = parts.port or (parts.scheme == "https" and 443)
    return f"{parts.scheme}://{name}:{has_own_port or DEFAULT_PORT}"


def _payload(request: ChatRequest) -> dict[str, Any]:
    options: dict[str, Any] = {
        # Without it Ollama takes its own default and cuts the prompt in silence.
        "num_ctx": request.context_tokens,
        "num_predict": request.max_output_tokens,
    }
    if request.temperature is not None:
        options["temperature"] = request.temperature
    return {
        "model": request.model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "stream": True,
        "options": options,
    }


def _finish_reason(given: object) -> FinishReason:
    return "length" if given == "length" else "stop"
