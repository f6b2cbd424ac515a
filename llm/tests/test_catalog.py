"""Which model answers."""

import asyncio

from asgiref.sync import async_to_sync
from django.test import TestCase, override_settings

from config.testing.numbers import numbers
from llm import catalog
from llm.circuit import FAILURES_TO_OPEN
from llm.models import LanguageModel
from llm.testing import scripted
from llm.tests.faulty_server import FaultyServer
from llm.types import ChatMessage, ChatRequest

NOBODY = "http://127.0.0.1:9"

REQUEST = ChatRequest("m", (ChatMessage("user", "Hola"),), 100, 1000)


def make_model(**fields: object) -> LanguageModel:
    defaults = {"label": "Small", "provider": "demo", "name": "small"}
    return LanguageModel.objects.create(**(defaults | fields))


@override_settings(
    LLM_PROVIDER="auto", OLLAMA_HOST=NOBODY, OPENAI_API_KEY="", OPENAI_BASE_URL=""
)
class ChoiceTests(TestCase):
    def setUp(self) -> None:
        catalog.forget()
        self.addCleanup(catalog.forget)

    async def choose(self, preferred: LanguageModel | None = None) -> str:
        choice = await catalog.achoose(preferred)
        await catalog.aclose()
        return choice.label

    async def test_it_takes_the_demo_where_nothing_is_connected(self):
        assert await self.choose() == "demo/demo"

    async def test_it_takes_openai_where_a_key_is_set(self):
        with override_settings(OPENAI_API_KEY="sk-1"):
            assert await self.choose() == "openai/gpt-4.1-mini"

    async def test_it_takes_openai_where_a_compatible_server_is_named(self):
        with override_settings(OPENAI_BASE_URL=NOBODY, OPENAI_MODEL="mine"):
            assert await self.choose() == "openai/mine"

    async def test_it_takes_ollama_where_it_answers(self):
        with (
            FaultyServer() as server,
            override_settings(OLLAMA_HOST=server.url, OPENAI_API_KEY="sk-1"),
        ):
            assert await self.choose() == "ollama/llama3.1:8b"
            assert await self.choose() == "ollama/llama3.1:8b"

        assert [r.path for r in server.requests] == ["/api/version"]

    async def test_it_takes_the_provider_that_the_settings_name(self):
        with override_settings(LLM_PROVIDER="ollama"):
            assert await self.choose() == "ollama/llama3.1:8b"

    async def test_it_takes_the_operators_default(self):
        await LanguageModel.objects.acreate(
            label="Small", provider="demo", name="small", is_default=True
        )

        assert await self.choose() == "demo/small"

    async def test_it_leaves_out_a_default_that_is_not_active(self):
        await LanguageModel.objects.acreate(
            label="Small", provider="demo", name="s", is_default=True, is_active=False
        )

        assert await self.choose() == "demo/demo"

    async def test_it_takes_the_preferred_model_with_its_own_limits(self):
        model = LanguageModel(
            provider="openai",
            name="big",
            context_tokens=100,
            max_output_tokens=10,
            temperature=0.3,
        )

        choice = await catalog.achoose(model)

        assert choice.label == "openai/big"
        assert choice.model == "big"
        assert (choice.context_tokens, choice.max_output_tokens) == (100, 10)
        assert choice.temperature == 0.3

    async def test_it_leaves_out_a_preferred_model_that_is_not_active(self):
        model = LanguageModel(provider="openai", name="big", is_active=False)

        assert await self.choose(model) == "demo/demo"

    def test_it_asks_the_database_for_the_default_now_and_then_only(self):
        with self.assertNumQueries(1):
            for _ in range(3):
                async_to_sync(catalog.achoose)()

    def test_it_shares_a_provider_within_a_loop(self):
        async def two() -> tuple[object, object]:
            first, second = await catalog.achoose(), await catalog.achoose()
            return first.provider, second.provider

        first, second = async_to_sync(two)()
        third, _ = async_to_sync(two)()

        assert first is second
        assert first is not third

    async def test_it_lists_what_a_provider_offers(self):
        with FaultyServer() as server, override_settings(OLLAMA_HOST=server.url):
            assert await catalog.aavailable_models("ollama") == ["ok:latest"]
            await catalog.aclose()


class DefaultTests(TestCase):
    def test_it_moves_the_default(self):
        old, new = make_model(is_default=True), make_model(is_active=False)

        new.make_default()

        old.refresh_from_db()
        assert not old.is_default
        assert new.is_default
        assert new.is_active


class ScriptTests(TestCase):
    def test_it_answers_for_every_model_in_every_loop(self):
        async def reply() -> str:
            choice = await catalog.achoose(LanguageModel(provider="openai", name="x"))
            stream = choice.provider.stream(REQUEST)
            return "".join([chunk.text async for chunk in stream])

        with scripted("Hello", " world") as script:
            texts = [asyncio.run(reply()) for _ in range(2)]

        assert texts == ["Hello world"] * 2
        assert script.requests == [REQUEST] * 2
        assert (script.finished, script.closed) == (2, 0)

    async def test_it_notes_a_stream_that_was_given_up(self):
        with scripted("Hello", " world", gate=asyncio.Event()) as script:
            stream = (await catalog.achoose()).provider.stream(REQUEST)
            await anext(stream)
            await stream.aclose()

        assert (script.finished, script.closed) == (0, 1)


@override_settings(LLM_PROVIDER="ollama", OLLAMA_HOST=NOBODY)
class CircuitTests(TestCase):
    async def test_it_tells_which_model_is_left_alone(self):
        choice = await catalog.achoose()
        circuit = choice.provider.circuits["m"]
        for _ in range(FAILURES_TO_OPEN - 1):
            circuit.failed()
        before = numbers()
        circuit.failed()
        after = numbers()
        await catalog.aclose()

        name = 'tertulia_model_circuit_open{model="m",provider="ollama"}'
        assert (before[name], after[name]) == (0, 1)
        assert name not in numbers()
