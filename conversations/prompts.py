"""Make the request to a model out of persona and history, within a token budget.

Pure: rows in, values out. The system prompt is never cut; of the history the newest
messages are kept, as many as fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from characters import persona
from characters.models import Character
from conversations.models import Message
from llm.catalog import Choice
from llm.tokens import estimate_prompt
from llm.types import ChatMessage, ChatRequest

CONTINUE = (
    "Continue your last message exactly where it broke off. Do not repeat any of it "
    "and do not comment on the interruption."
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request, its estimated size in tokens, and what it was made of."""

    request: ChatRequest
    tokens: int
    manifest: dict[str, Any] = field(default_factory=dict)


def build(
    *,
    character: Character,
    user_name: str,
    explicit_level: int,
    history: Sequence[Message],
    choice: Choice,
    max_output_tokens: int,
    is_continuation: bool = False,
) -> Prompt:
    """Build the request for a reply to the last message of `history` (oldest first).

    With `is_continuation` the last message is the reply that broke off.
    """
    system = persona.system_prompt(
        character, user_name=user_name, explicit_level=explicit_level
    )
    fixed = [ChatMessage("system", system)]
    closing = [ChatMessage("user", CONTINUE)] if is_continuation else []
    output = min(max_output_tokens, choice.max_output_tokens)
    budget = (
        choice.context_tokens
        # A model that may fill all of its context is not left without a history.
        - min(output, choice.context_tokens // 2)
        - estimate_prompt(fixed)
        - estimate_prompt(closing)
    )
    kept, used = _newest_that_fit(history, budget)
    messages = (*fixed, *kept, *closing)
    return Prompt(
        request=ChatRequest(
            model=choice.model,
            messages=messages,
            max_output_tokens=output,
            context_tokens=choice.context_tokens,
            temperature=choice.temperature,
            is_continuation=is_continuation,
        ),
        tokens=estimate_prompt(messages),
        manifest={
            "character": character.slug,
            "persona": persona.VERSION,
            "explicit_level": explicit_level,
            "model": choice.label,
            "tokens": {"system": estimate_prompt(fixed), "history": used},
            "messages": {"kept": len(kept), "dropped": len(history) - len(kept)},
        },
    )


def _newest_that_fit(
    history: Sequence[Message], budget: int
) -> tuple[list[ChatMessage], int]:
    """Return the newest messages whose sizes add up to `budget` at most.

    The newest is kept whatever its size: without it there is nothing to answer. Notes
    of the system are for people: a model would take them for what it is told to do.
    """
    kept: list[ChatMessage] = []
    used = 0
    for message in reversed(history):
        if not message.content or message.role == Message.Role.SYSTEM:
            continue
        value = ChatMessage(
            "assistant" if message.role == Message.Role.ASSISTANT else "user",
            message.content,
        )
        size = estimate_prompt([value])
        if kept and used + size > budget:
            break
        kept.append(value)
        used += size
    kept.reverse()
    return kept, used
