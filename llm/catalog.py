"""Decide which model answers: the one asked for, the operator's default, or the one
that is found.

It knows no conversation and no character: whoever has a preference passes it in.
"""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from database import metrics
from database.threads import in_database
from llm.models import LanguageModel
from llm.providers.base import BaseProvider
from llm.types import Provider

#: provider → the class that reaches it.
PROVIDERS = {
    "demo": "llm.providers.demo.DemoProvider",
    "ollama": "llm.providers.ollama.OllamaProvider",
    "openai": "llm.providers.openai.OpenAIProvider",
}

#: How long the operator's default is believed before the database is asked again.
DEFAULT_SECONDS = 5.0

#: How long it is believed that an Ollama answers, or does not.
PROBE_SECONDS = 30.0

Loop = asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, the provider that reaches it, and how much it reads and writes."""

    provider: Provider
    model: str
    context_tokens: int
    max_output_tokens: int
    temperature: float | None
    label: str


class _State:
    """What this process remembers between turns."""

    def __init__(self) -> None:
        #: Connections belong to an event loop; a process may have several.
        self.providers: WeakKeyDictionary[Loop, dict[str, BaseProvider]] = (
            WeakKeyDictionary()
        )
        self.forget()

    def forget(self) -> None:
        self.default: LanguageModel | None = None
        self.default_until = 0.0
        self.has_ollama: bool | None = None
        self.probe_until = 0.0


_state = _State()

#: What `llm.testing.scripted` puts in the place of every provider.
stand_in: Provider | None = None


async def achoose(preferred: LanguageModel | None = None) -> Choice:
    """Return the model that answers now.

    `preferred` if it is active; else the operator's default; else what LLM_PROVIDER
    names or, by itself, finds.
    """
    if preferred is not None and preferred.is_active:
        return _configured(preferred)
    if stand_in is not None:
        return _by_settings(stand_in.name, "test")
    if default := await _adefault():
        return _configured(default)
    name = await _afind() if settings.LLM_PROVIDER == "auto" else settings.LLM_PROVIDER
    models = {"ollama": settings.OLLAMA_MODEL, "openai": settings.OPENAI_MODEL}
    return _by_settings(name, models.get(name, name))


def max_output_tokens(preferred: LanguageModel | None = None) -> int:
    """Return how many tokens a reply may have of the model that `achoose` returns."""
    if preferred is not None and preferred.is_active:
        return preferred.max_output_tokens
    default = None if stand_in else _default()
    return default.max_output_tokens if default else settings.LLM_MAX_OUTPUT_TOKENS


async def aavailable_models(name: str) -> list[str]:
    """Return what a provider offers; raises ProviderError when it cannot be asked."""
    return await _provider(name).available_models()


async def ais_reachable(name: str) -> bool:
    """Say whether a provider can be asked, without waiting long for the answer."""
    return await _provider(name).is_reachable()


def has_openai() -> bool:
    """Whether the operator named OpenAI, or a server that speaks its API."""
    return bool(settings.OPENAI_API_KEY or settings.OPENAI_BASE_URL)


def _circuits() -> dict[tuple[str, ...], float]:
    # Copies, for it is asked in another thread than the replies are written in.
    return {
        (name, model): float(circuit.is_open)
        for providers in list(_state.providers.values())
        for name, provider in list(providers.items())
        for model, circuit in list(provider.circuits.items())
    }


metrics.ask(
    "tertulia_model_circuit_open",
    "Whether a model that keeps failing is left alone for a while: 1 or 0.",
    _circuits,
    *("provider", "model"),
)


async def aclose() -> None:
    """Give back the connections of this event loop."""
    loop = asyncio.get_running_loop()
    for provider in _state.providers.pop(loop, {}).values():
        await provider.aclose()


def forget() -> None:
    """Look again at the default and at what answers; for when they have changed."""
    _state.forget()


def _configured(row: LanguageModel) -> Choice:
    return Choice(
        provider=stand_in or _provider(row.provider),
        model=row.name,
        context_tokens=row.context_tokens,
        max_output_tokens=row.max_output_tokens,
        temperature=row.temperature,
        label=f"{row.provider}/{row.name}",
    )


def _by_settings(name: str, model: str) -> Choice:
    return Choice(
        provider=stand_in or _provider(name),
        model=model,
        context_tokens=settings.LLM_CONTEXT_TOKENS,
        max_output_tokens=settings.LLM_MAX_OUTPUT_TOKENS,
        temperature=None,
        label=f"{name}/{model}",
    )


async def _adefault() -> LanguageModel | None:
    return _state.default if _is_default_known() else await in_database(_read_default)


def _default() -> LanguageModel | None:
    return _state.default if _is_default_known() else _read_default()


def _is_default_known() -> bool:
    """Whether the default need not be read.

    Of many turns that begin at once one reads it again; the others believe what was
    known before, unless nothing was yet.
    """
    if monotonic() < _state.default_until:
        return True
    if _state.default_until:
        _state.default_until = monotonic() + DEFAULT_SECONDS
    return False


def _read_default() -> LanguageModel | None:
    rows = LanguageModel.objects.filter(is_default=True, is_active=True)
    _state.default = rows.first()
    _state.default_until = monotonic() + DEFAULT_SECONDS
    return _state.default


async def _afind() -> str:
    if await _ahas_ollama():
        return "ollama"
    if has_openai():
        return "openai"
    return "demo"


async def _ahas_ollama() -> bool:
    if monotonic() >= _state.probe_until or _state.has_ollama is None:
        # Set first: whoever comes meanwhile believes the last answer.
        _state.probe_until = monotonic() + PROBE_SECONDS
        _state.has_ollama = await _provider("ollama").is_reachable()
    return _state.has_ollama


def _provider(name: str) -> BaseProvider:
    loop = asyncio.get_running_loop()
    providers = _state.providers.setdefault(loop, {})
    if name not in providers:
        _drop_closed_loops()
        providers[name] = import_string(PROVIDERS[name]).from_settings()
    return providers[name]


def _drop_closed_loops() -> None:
    # A provider's connections refer to its loop, so the weak keys never die.
    for loop in list(_state.providers):
        if loop.is_closed():
            del _state.providers[loop]


def _heed_setting(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith(("LLM_", "OLLAMA_", "OPENAI_")):
        _state.providers.clear()
        _state.forget()


# Django sends it when a test overrides a setting, and never in production.
setting_changed.connect(_heed_setting)
