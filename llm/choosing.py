"""Help the operator choose the model that answers: what there is, whether it answers.

It knows no request and no page. A provider's own words stay in the log; what is told
here says which variable or command helps.
"""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llm import catalog
from llm.errors import ProviderError
from llm.models import LanguageModel
from llm.providers.ollama import base_url
from llm.types import ChatMessage, ChatRequest

#: What a trial may take: a large model is loaded from the disk first.
TRIAL_SECONDS = 60.0

#: Room for a sentence, and for the thoughts of a model that thinks before it.
TRIAL_TOKENS = 600
TRIAL_CHARS = 300

#: In names of models that OpenAI lists and that hold no conversation.
_MUTE = ("embed", "whisper", "tts", "dall-e", "image", "moderation", "transcribe")

#: code → what the operator can do about it.
ADVICE = {
    "provider_unavailable": gettext_lazy(
        "It cannot be reached, or does not know this model. See that it runs, and that "
        "OLLAMA_HOST or OPENAI_BASE_URL names its address."
    ),
    "provider_timeout": gettext_lazy(
        "It took too long. A large model takes a while to load the first time: try "
        "again, or choose a smaller one."
    ),
    "provider_auth": gettext_lazy(
        "It refused the key. Set OPENAI_API_KEY to a good one and start the server "
        "again."
    ),
    "provider_busy": gettext_lazy(
        "It is busy, or the account has no credit left. Try again in a moment."
    ),
    "provider_rejected": gettext_lazy(
        "It refused the request. This model may not be made for conversations, or "
        "OPENAI_API should be set to chat."
    ),
    "provider_bad_response": gettext_lazy(
        "Its answer cannot be understood. Where it is not OpenAI itself, set "
        "OPENAI_API to chat."
    ),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """The models of one provider, and what to do where there is none."""

    provider: str
    models: tuple[str, ...] = ()
    advice: str = ""

    @property
    def name(self) -> str:
        return str(LanguageModel.Provider(self.provider).label)

    @property
    def labels(self) -> list[str]:
        """The models as the rest of the product calls them: `provider/name`."""
        return [f"{self.provider}/{name}" for name in self.models]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model answered, after how many seconds; or the code of what went wrong."""

    model: str
    answer: str = ""
    seconds: float = 0.0
    code: str = ""

    @property
    def advice(self) -> str:
        return str(ADVICE[self.code]) if self.code else ""


async def alook() -> tuple[list[Offer], str]:
    """Return what each provider offers now, and the label of the model that answers."""
    catalog.forget()
    choice = await catalog.achoose()
    offers = await asyncio.gather(_ollama(), _openai())
    return [*offers, Offer("demo", ("demo",))], choice.label


def labels(offers: Iterable[Offer]) -> list[str]:
    return [label for offer in offers for label in offer.labels]


def suggest(offers: Iterable[Offer], answering: str) -> str:
    """Return the label of the model to begin with: what answers, if it is there."""
    offered = labels(offers)
    wished = f"ollama/{settings.OLLAMA_MODEL}", f"openai/{settings.OPENAI_MODEL}"
    is_demo = answering.startswith("demo/")
    ranked = [*wished, answering] if is_demo else [answering, *wished]
    return next((label for label in ranked if label in offered), offered[0])


async def atry(provider: str, name: str) -> Trial:
    """Ask a model for one short sentence."""
    choice = await catalog.achoose(LanguageModel(provider=provider, name=name))
    request = ChatRequest(
        model=choice.model,
        messages=(ChatMessage("user", _("Say hello in one short sentence.")),),
        max_output_tokens=TRIAL_TOKENS,
        context_tokens=settings.LLM_CONTEXT_TOKENS,
    )
    begun, answer = monotonic(), ""
    try:
        async with (
            asyncio.timeout(TRIAL_SECONDS),
            aclosing(choice.provider.stream(request)) as chunks,
        ):
            async for chunk in chunks:
                answer += chunk.text
                if len(answer) >= TRIAL_CHARS:
                    break
    except ProviderError as error:
        return Trial(choice.label, code=error.code)
    except TimeoutError:
        return Trial(choice.label, code="provider_timeout")
    words = answer.strip()[:TRIAL_CHARS]
    return Trial(choice.label, words, monotonic() - begun)


def choose(provider: str, name: str) -> LanguageModel:
    """Let a model answer whoever has no other preference; raises IntegrityError when
    another one is chosen at the same moment."""
    with transaction.atomic():
        found = LanguageModel.objects.filter(provider=provider, name=name)
        model = found.first() or LanguageModel.objects.create(
            label=name[:100],
            provider=provider,
            name=name,
            context_tokens=settings.LLM_CONTEXT_TOKENS,
            max_output_tokens=settings.LLM_MAX_OUTPUT_TOKENS,
        )
        model.make_default()
    catalog.forget()
    return model


async def _ollama() -> Offer:
    if not await catalog.ais_reachable("ollama"):
        return Offer(
            "ollama",
            advice=_(
                "Nothing answers at {address}. Start Ollama there, or set OLLAMA_HOST "
                "and start the server again."
            ).format(address=base_url(settings.OLLAMA_HOST)),
        )
    offer = await _list("ollama")
    if offer.models or offer.advice:
        return offer
    return Offer(
        "ollama",
        advice=_("It answers and has no model yet: run “ollama pull {model}”.").format(
            model=settings.OLLAMA_MODEL
        ),
    )


async def _openai() -> Offer:
    if not catalog.has_openai():
        return Offer(
            "openai",
            advice=_(
                "Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server that speaks "
                "its API, and start the server again."
            ),
        )
    offer = await _list("openai")
    if offer.models:
        return offer
    # Not every server that speaks the API lists its models.
    return Offer("openai", (settings.OPENAI_MODEL,), offer.advice)


async def _list(provider: str) -> Offer:
    try:
        names = await catalog.aavailable_models(provider)
    except ProviderError as error:
        return Offer(provider, advice=str(ADVICE[error.code]))
    talking = [name for name in names if not any(word in name for word in _MUTE)]
    return Offer(provider, tuple(sorted(set(talking))))
