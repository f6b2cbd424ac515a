"""What an operator is offered, and what a trial says."""

from unittest import mock

from asgiref.sync import sync_to_async
from django.test import SimpleTestCase, TestCase, override_settings

from llm import catalog, choosing, errors
from llm.choosing import Offer
from llm.errors import ProviderError
from llm.models import LanguageModel
from llm.testing import scripted
from llm.tests.faulty_server import SECRET_WORDS, FaultyServer

NOBODY = "http://127.0.0.1:9"


@override_settings(
    LLM_PROVIDER="auto", OLLAMA_HOST=NOBODY, OPENAI_API_KEY="", OPENAI_BASE_URL=""
)
class LookTests(TestCase):
    def setUp(self) -> None:
        catalog.forget()
        self.addCleanup(catalog.forget)

    async def look(self) -> tuple[dict[str, Offer], str]:
        offers, answering = await choosing.alook()
        await catalog.aclose()
        return {offer.provider: offer for offer in offers}, answering

    async def test_it_names_the_variables_where_nothing_is_connected(self):
        offers, answering = await self.look()

        assert answering == "demo/demo"
        assert offers["ollama"].models == offers["openai"].models == ()
        assert NOBODY in offers["ollama"].advice
        assert "OLLAMA_HOST" in offers["ollama"].advice
        assert "OPENAI_API_KEY" in offers["openai"].advice
        assert offers["demo"].models == ("demo",)

    async def test_it_lists_what_the_providers_offer(self):
        with (
            FaultyServer() as server,
            override_settings(
                OLLAMA_HOST=server.url, OPENAI_BASE_URL=f"{server.url}/v1"
            ),
        ):
            offers, answering = await self.look()

        assert offers["ollama"] == Offer("ollama", ("ok:latest",))
        assert offers["openai"] == Offer("openai", ("ok",))
        assert answering == "ollama/llama3.1:8b"

    async def test_it_finds_what_was_started_meanwhile(self):
        await self.look()

        with FaultyServer() as server, override_settings(OLLAMA_HOST=server.url):
            offers, _answering = await self.look()

        assert offers["ollama"].models

    async def test_it_names_the_model_to_try_where_the_list_cannot_be_had(self):
        with override_settings(OPENAI_BASE_URL=NOBODY, OPENAI_MODEL="mine"):
            offers, _answering = await self.look()

        assert offers["openai"].models == ("mine",)
        assert "OPENAI_BASE_URL" in offers["openai"].advice

    async def test_it_says_how_to_get_a_first_model(self):
        with (
            FaultyServer() as server,
            override_settings(OLLAMA_HOST=server.url),
            mock.patch.object(catalog, "aavailable_models", return_value=[]),
        ):
            offers, _answering = await self.look()

        assert "ollama pull llama3.1:8b" in offers["ollama"].advice

    async def test_it_leaves_out_what_cannot_talk(self):
        names = ["gpt-4.1-mini", "text-embedding-3-small", "whisper-1", "dall-e-3"]
        with (
            override_settings(OPENAI_API_KEY="sk-1"),
            mock.patch.object(catalog, "aavailable_models", return_value=names),
        ):
            offers, _answering = await self.look()

        assert offers["openai"].models == ("gpt-4.1-mini",)


class SuggestTests(SimpleTestCase):
    demo = Offer("demo", ("demo",))

    def test_it_keeps_what_answers(self):
        offers = [Offer("ollama", ("a", "llama3.1:8b")), Offer("openai", ("b",))]

        assert choosing.suggest([*offers, self.demo], "openai/b") == "openai/b"

    def test_it_takes_a_model_that_is_there_for_one_that_is_not(self):
        offers = [Offer("ollama", ("a",)), self.demo]

        assert choosing.suggest(offers, "ollama/llama3.1:8b") == "ollama/a"

    def test_it_prefers_any_wished_model_to_the_demo(self):
        offers = [Offer("ollama", ("a", "llama3.1:8b")), self.demo]

        assert choosing.suggest(offers, "demo/demo") == "ollama/llama3.1:8b"

    def test_it_takes_the_demo_where_nothing_else_is(self):
        assert choosing.suggest([self.demo], "demo/demo") == "demo/demo"


class TrialTests(TestCase):
    async def attempt(self, model: str) -> choosing.Trial:
        with (
            FaultyServer() as server,
            override_settings(
                OPENAI_BASE_URL=f"{server.url}/v1",
                OPENAI_API="chat",
                LLM_FIRST_TOKEN_TIMEOUT=0.3,
            ),
        ):
            trial = await choosing.atry("openai", model)
            await catalog.aclose()
        return trial

    async def test_it_shows_what_the_model_says(self):
        trial = await self.attempt("ok")

        assert trial.model == "openai/ok"
        assert trial.answer
        assert trial.seconds > 0
        assert not trial.advice

    async def test_it_says_what_to_do_about_every_failure(self):
        for model, code in {
            "http401": "provider_auth",
            "http404": "provider_unavailable",
            "http400": "provider_rejected",
            "http429": "provider_busy",
        }.items():
            with self.subTest(model):
                trial = await self.attempt(model)
                assert (trial.code, trial.answer) == (code, "")
                assert trial.advice
                assert SECRET_WORDS not in trial.advice

    async def test_it_asks_for_little_and_takes_no_more(self):
        with scripted(*["a long story "] * 100) as script:
            trial = await choosing.atry("ollama", "talkative")

        assert len(trial.answer) <= choosing.TRIAL_CHARS
        assert script.requests[0].max_output_tokens == choosing.TRIAL_TOKENS
        assert script.closed == 1

    async def test_it_does_not_wait_for_ever(self):
        with (
            scripted("Once", "upon", delay=5),
            mock.patch.object(choosing, "TRIAL_SECONDS", 0.05),
        ):
            trial = await choosing.atry("ollama", "slow")

        assert trial.code == "provider_timeout"

    async def test_it_tells_of_a_reply_that_broke_off(self):
        with scripted("Hel", fail_with=ProviderError("provider_unavailable")):
            trial = await choosing.atry("ollama", "weak")

        assert (trial.code, trial.answer) == ("provider_unavailable", "")

    def test_every_failure_has_an_advice(self):
        assert set(choosing.ADVICE) == set(errors.SENTENCES)


class ChooseTests(TestCase):
    def setUp(self) -> None:
        self.addCleanup(catalog.forget)

    async def test_the_chosen_model_answers(self):
        with override_settings(LLM_CONTEXT_TOKENS=4321):
            await catalog.achoose()
            model = await sync_to_async(choosing.choose)("demo", "small")

        choice = await catalog.achoose()
        assert choice.label == "demo/small"
        assert (choice.context_tokens, model.is_default) == (4321, True)

    def test_it_takes_the_row_there_is(self):
        row = LanguageModel.objects.create(
            label="Ours", provider="ollama", name="a", is_active=False
        )

        choosing.choose("ollama", "a")

        row.refresh_from_db()
        assert row.is_default
        assert row.is_active
        assert LanguageModel.objects.count() == 1
