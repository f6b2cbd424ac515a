"""The values that pass between the streaming core and the providers.

Nothing here knows a database row, a protocol or a network.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]

#: Why a reply ended, in the field's usual words.
FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a model is asked: sizes are in tokens."""

    model: str
    messages: tuple[ChatMessage, ...]
    max_output_tokens: int
    context_tokens: int
    temperature: float | None = None
    #: The last message asks to go on with the one before it, which broke off.
    is_continuation: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens used; `exact` when the provider counted them, else our estimate."""

    prompt: int
    completion: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Everything one upstream read brought: text, and at the end why and how much."""

    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class Provider(Protocol):
    """Something that writes replies."""

    name: str
    #: Whether what comes while nobody reads is joined into the next chunk.
    is_buffered: bool

    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Yield the reply as it is written; raise ProviderError when it cannot be.

        The last chunk carries the finish reason. A stream that ends without one
        was interrupted, and says so by raising.
        """
        ...

    async def aclose(self) -> None:
        """Give back the connections."""
        ...
