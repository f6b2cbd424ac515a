"""The pure parts: tokens, circuits, deadlines, addresses, the demo's words."""

import asyncio
import time

import pytest
from django.test import SimpleTestCase

from llm.circuit import FAILURES_TO_OPEN, OPEN_SECONDS, Circuit
from llm.providers.demo import DemoProvider, reply_to
from llm.providers.failures import from_status
from llm.providers.ollama import OllamaDecoder, base_url
from llm.providers.openai_events import ResponsesDecoder
from llm.providers.patience import Deadline
from llm.tokens import estimate_prompt, estimate_tokens, tokens_of, weigh
from llm.types import ChatMessage, ChatRequest, Chunk


class TokenTests(SimpleTestCase):
    def test_it_reckons_as_byte_pairs_do(self):
        assert estimate_tokens("") == 0
        assert estimate_tokens("a") == 1
        assert estimate_tokens("abcd" * 10) == 10
        assert estimate_tokens("你好世界") == 4
        assert estimate_tokens("\ud800") == 1

    def test_it_may_be_added_up(self):
        whole = "Hola, señora 👋🏽, 你好"
        parts = sum(weigh(character) for character in whole)

        assert tokens_of(parts) == estimate_tokens(whole)

    def test_it_counts_what_a_message_costs_besides_its_words(self):
        assert estimate_prompt([ChatMessage("user", "abcd")] * 3) == 15


class CircuitTests(SimpleTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.circuit = Circuit(clock=lambda: self.now)

    def fail(self, times: int = FAILURES_TO_OPEN) -> None:
        for _ in range(times):
            self.circuit.failed()

    def test_it_opens_after_failures_in_a_row(self):
        self.fail(FAILURES_TO_OPEN - 1)
        assert self.circuit.admits()

        self.fail(1)
        assert not self.circuit.admits()

    def test_it_forgets_failures_when_a_call_succeeds(self):
        self.fail(FAILURES_TO_OPEN - 1)
        self.circuit.succeeded()
        self.fail(1)

        assert self.circuit.admits()

    def test_it_lets_one_probe_through_after_a_while(self):
        self.fail()
        self.now += OPEN_SECONDS

        assert [self.circuit.admits() for _ in range(3)] == [True, False, False]

    def test_it_closes_when_the_probe_succeeds(self):
        self.fail()
        self.now += OPEN_SECONDS
        self.circuit.admits()
        self.circuit.succeeded()

        assert [self.circuit.admits() for _ in range(3)] == [True] * 3

    def test_it_stays_open_when_the_probe_fails(self):
        self.fail()
        self.now += OPEN_SECONDS
        self.circuit.admits()
        self.circuit.failed()

        assert not self.circuit.admits()

    def test_it_lets_another_probe_through_when_one_was_given_up(self):
        self.fail()
        self.now += OPEN_SECONDS
        self.circuit.admits()
        self.circuit.abandoned()

        assert self.circuit.admits()


class DeadlineTests(SimpleTestCase):
    async def test_it_ends_a_wait_that_is_too_long(self):
        deadline = Deadline(asyncio.get_running_loop().time() + 0.01)

        with pytest.raises(TimeoutError), deadline:
            await asyncio.sleep(10)

        assert asyncio.current_task().cancelling() == 0

    async def test_it_counts_no_time_outside(self):
        deadline = Deadline(asyncio.get_running_loop().time() + 0.02)
        with deadline:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        deadline.due = asyncio.get_running_loop().time() + 10
        with deadline:
            await asyncio.sleep(0)
        deadline.stop()

    async def test_it_may_be_moved_in_both_directions(self):
        now = asyncio.get_running_loop().time
        deadline = Deadline(now() + 0.02)
        with deadline:
            deadline.due = now() + 0.08
            await asyncio.sleep(0.05)
        deadline.due = now() + 10
        with deadline:
            await asyncio.sleep(0)
        deadline.due = now() + 0.01
        began = time.monotonic()

        with pytest.raises(TimeoutError), deadline:
            await asyncio.sleep(10)

        assert time.monotonic() - began < 5

    async def test_it_gives_way_to_somebody_elses_cancelling(self):
        deadline = Deadline(asyncio.get_running_loop().time() + 10)

        async def wait() -> None:
            with deadline:
                await asyncio.sleep(10)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline.stop()


class AddressTests(SimpleTestCase):
    def test_it_understands_the_spellings_of_ollama_host(self):
        expected = {
            "127.0.0.1": "http://127.0.0.1:11434",
            "0.0.0.0:8080": "http://127.0.0.1:8080",
            "http://gpu": "http://gpu:11434",
            "https://ollama.example.com/": "https://ollama.example.com:443",
            "[::1]:5": "http://[::1]:5",
            "": "http://127.0.0.1:11434",
        }
        assert {host: base_url(host) for host in expected} == expected


class FailureTests(SimpleTestCase):
    def test_it_honours_both_forms_of_retry_after(self):
        soon = from_status(429, "", {"retry-after": "7"})
        past = from_status(503, "", {"retry-after": "Sat, 21 Nov 2020 07:28:00 GMT"})
        nonsense = from_status(429, "", {"retry-after": "soon"})

        waits = [error.retry_after for error in (soon, past, nonsense)]
        assert waits == [7, 0, None]

    def test_it_does_not_insist_on_an_account_without_credit(self):
        error = from_status(429, {"code": "insufficient_quota"})

        assert error.code == "provider_busy"
        assert not error.is_retryable

    def test_it_reads_a_failed_response(self):
        decoder = ResponsesDecoder()
        decoder.feed(
            b'data: {"type": "response.failed", "response": {"error": '
            b'{"code": "rate_limit_exceeded"}}}\n'
        )
        assert decoder.failure.code == "provider_busy"


class OllamaTests(SimpleTestCase):
    def warnings_of(self, prompt_tokens: int) -> list[str]:
        words = "word " * 800
        request = ChatRequest("m", (ChatMessage("user", words),), 100, 2000)
        line = b'{"done": true, "prompt_eval_count": %d, "eval_count": 1}\n'
        with (
            self.assertNoLogs("llm")
            if prompt_tokens == 900
            else self.assertLogs("llm", "WARNING") as logs
        ):
            OllamaDecoder(request).feed(line % prompt_tokens)
        return logs.output if logs else []

    def test_it_tells_of_a_prompt_that_was_cut(self):
        assert "cut the prompt" in self.warnings_of(300)[0]
        assert "cut the prompt" in self.warnings_of(2000)[0]
        assert self.warnings_of(900) == []


class DemoTests(SimpleTestCase):
    def request(self, question: str, tokens: int = 2048) -> ChatRequest:
        messages = (
            ChatMessage("system", "You are Luna. Tone: playful."),
            ChatMessage("user", question),
        )
        return ChatRequest("demo", messages, tokens, 8192)

    async def chunks(self, request: ChatRequest) -> list[Chunk]:
        return [chunk async for chunk in DemoProvider(None).stream(request)]

    async def test_it_says_what_it_is_in_the_characters_name(self):
        request = self.request("Who are you?")

        chunks = await self.chunks(request)

        text = "".join(chunk.text for chunk in chunks)
        assert text == reply_to(request)
        assert "Luna" in text
        assert "No model is connected" in text
        assert "OPENAI_API_KEY" in text
        assert "> Who are you?" in text
        assert chunks[-1].finish_reason == "stop"
        assert not chunks[-1].usage.exact

    async def test_it_shows_code_to_those_who_ask_for_it(self):
        assert "```python" in reply_to(self.request("Write some code"))
        assert "```" not in reply_to(self.request("Hello"))

    async def test_it_keeps_to_the_limit(self):
        chunks = await self.chunks(self.request("Hello", tokens=10))

        assert chunks[-1].finish_reason == "length"
        assert chunks[-1].usage.completion <= 10
