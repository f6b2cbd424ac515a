"""The model that is there when no model is: it needs nothing and says what it is.

It writes the same reply to the same request, in the character's name, so that the
product can be seen at work before anything is connected.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Self

from django.utils.translation import gettext as _

from llm.providers.base import BaseProvider
from llm.tokens import estimate_prompt, estimate_tokens
from llm.types import ChatRequest, Chunk, FinishReason, Usage

#: About as fast as a person reads along.
WORDS_PER_SECOND = 25.0

QUOTED_CHARS = 120

_NAME = re.compile(r"\b(?:You are|Your name is|Eres|Te llamas) ([A-ZÁÉÍÓÚÑ][\w'’-]*)")
_TONE = re.compile(r"\b[Tt]on[eo]\b(?: is| es)?:? *([^\n.,;]{3,40})")
_CODE = re.compile(r"```|\b(?:code|script|program|function|código|función)\b", re.I)
_WORD = re.compile(r"\S+\s*")


class DemoProvider(BaseProvider):
    name = "demo"

    def __init__(self, words_per_second: float | None = WORDS_PER_SECOND) -> None:
        """Write at this pace; at none, without waiting."""
        self._pause = 1 / words_per_second if words_per_second else 0.0

    @classmethod
    def from_settings(cls) -> Self:
        return cls()

    async def available_models(self) -> list[str]:
        return ["demo"]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        finish_reason: FinishReason = "stop"
        written = ""
        for word in _WORD.findall(reply_to(request)):
            if estimate_tokens(written + word) > request.max_output_tokens:
                finish_reason = "length"
                break
            await asyncio.sleep(self._pause)
            written += word
            yield Chunk(word)
        usage = Usage(
            estimate_prompt(request.messages), estimate_tokens(written), exact=False
        )
        yield Chunk(finish_reason=finish_reason, usage=usage)


def reply_to(request: ChatRequest) -> str:
    """Return the reply, in Markdown; of one that broke off, the rest."""
    if request.is_continuation:
        *history, begun, _ask = request.messages
        whole = reply_to(replace(request, messages=(*history,), is_continuation=False))
        return whole.removeprefix(begun.content) or whole
    persona = "\n".join(m.content for m in request.messages if m.role == "system")
    asked = [m.content for m in request.messages if m.role == "user"]
    question = asked[-1] if asked else ""
    blocks = [
        _greeting(persona),
        _echo(question, turn=len(asked)),
        _how_to_connect(),
    ]
    if _CODE.search(question):
        blocks.append(_code())
    return "\n\n".join(blocks)


def _greeting(persona: str) -> str:
    name, tone = _NAME.search(persona), _TONE.search(persona)
    if name is None:
        return _("Hello. **No model is connected**, so this is the built-in demo.")
    if tone is None:
        return _(
            "*{name} looks up.* **No model is connected**, so the built-in demo "
            "speaks for me."
        ).format(name=name[1])
    return _(
        "*{name} looks up, {tone}.* **No model is connected**, so the built-in demo "
        "speaks for me."
    ).format(name=name[1], tone=tone[1].strip())


def _echo(question: str, turn: int) -> str:
    quoted = " ".join(question.split())
    if len(quoted) > QUOTED_CHARS:
        quoted = quoted[:QUOTED_CHARS].rstrip() + "…"
    return _(
        "You wrote:\n\n> {quoted}\n\nThat was message {turn} of what I can see of our "
        "conversation. A real model would answer it here, word by word, as this text "
        "arrives."
    ).format(quoted=quoted, turn=turn)


def _how_to_connect() -> str:
    return _(
        "To connect a model, the operator does one of these and starts the server "
        "again:\n\n"
        "- **Ollama**, on your own machine: install it, run `ollama pull llama3.1:8b`; "
        "it is found by itself, or elsewhere with `OLLAMA_HOST`.\n"
        "- **OpenAI**: set `OPENAI_API_KEY`.\n"
        "- **Anything that speaks its API**: set `OPENAI_BASE_URL`."
    )


def _code() -> str:
    return _("And because you asked for code, this is how it looks:") + (
        '\n\n```python\ndef greet(name: str) -> str:\n    return f"Hello, {name}."\n```'
    )
