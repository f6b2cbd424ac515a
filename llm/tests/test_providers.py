"""Each provider against a real server that misbehaves in every way we have seen."""

import asyncio
import errno
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

import pytest

from llm.errors import ProviderError
from llm.providers.base import RemoteProvider
from llm.providers.failures import codes_in
from llm.providers.ollama import OllamaProvider
from llm.providers.openai import OpenAIProvider
from llm.providers.patience import Patience
from llm.tests.faces import PROMPT_TOKENS
from llm.tests.faults import IMITATION, TEXT, WORDS
from llm.tests.faulty_server import SECRET_WORDS, FaultyServer
from llm.types import ChatMessage, ChatRequest, FinishReason, Usage

BEGINNING = "".join(WORDS[:3])

#: Enough for a machine that does other things besides, and for a test that waits.
PATIENT = Patience(connect=10, first_token=10, idle=10, total=30)
HURRIED = Patience(connect=10, first_token=0.4, idle=0.25, total=30)

REQUEST = ChatRequest(
    model="ok",
    messages=(
        ChatMessage("system", "You are Luna."),
        ChatMessage("user", "Hola, ¿quién eres?"),
    ),
    max_output_tokens=64,
    context_tokens=4096,
    temperature=0.5,
)


def ollama(url: str, patience: Patience = PATIENT) -> RemoteProvider:
    return OllamaProvider(url, patience)


def openai_chat(url: str, patience: Patience = PATIENT) -> RemoteProvider:
    return OpenAIProvider("", f"{url}/v1", "chat", patience)


def openai_responses(url: str, patience: Patience = PATIENT) -> RemoteProvider:
    return OpenAIProvider("key", f"{url}/v1", "responses", patience)


class Make(Protocol):
    def __call__(self, url: str, patience: Patience = ...) -> RemoteProvider: ...


@pytest.fixture(params=[ollama, openai_chat, openai_responses])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture(autouse=True)
def brief_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm.providers.base.RETRY_WAIT", (0.0, 0.01))
    monkeypatch.setattr("llm.providers.base.LINGER_SECONDS", 0.2)


@dataclass
class Outcome:
    text: str = ""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    error: ProviderError | None = None
    chunks: int = 0

    @property
    def code(self) -> str:
        return self.error.code if self.error else "none"


async def listen(provider: RemoteProvider, request: ChatRequest) -> Outcome:
    outcome = Outcome()
    try:
        async with aclosing(provider.stream(request)) as chunks:
            async for chunk in chunks:
                outcome.text += chunk.text
                outcome.chunks += 1
                outcome.finish_reason = chunk.finish_reason
                outcome.usage = chunk.usage or outcome.usage
    except ProviderError as error:
        outcome.error = error
    return outcome


def ask(make: Make, url: str, model: str, patience: Patience = PATIENT) -> Outcome:
    async def run() -> Outcome:
        provider = make(url, patience)
        try:
            return await listen(provider, replace(REQUEST, model=model))
        finally:
            await provider.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "fault",
    [
        "ok",
        "no_choices",
        "tool_call",
        "split_utf8",
        "crlf",
        "no_last_newline",
        "no_eof",
    ],
)
def test_it_brings_the_exact_text(make: Make, server: FaultyServer, fault: str) -> None:
    outcome = ask(make, server.url, fault)

    assert outcome.text == TEXT
    assert outcome.finish_reason == "stop"
    assert outcome.usage == Usage(PROMPT_TOKENS, len(WORDS), exact=True)
    assert outcome.code == "none"


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("hang_headers", ""),
        ("hang_first", ""),
        ("hang_mid", BEGINNING),
        ("keep_alives", BEGINNING),
    ],
)
def test_it_waits_no_longer_than_it_was_told(
    make: Make, server: FaultyServer, fault: str, text: str
) -> None:
    began = monotonic()

    outcome = ask(make, server.url, fault, HURRIED)

    assert (outcome.text, outcome.code) == (text, "provider_timeout")
    assert monotonic() - began < 4


def test_it_lets_a_model_think_before_it_speaks(
    make: Make, server: FaultyServer
) -> None:
    outcome = ask(make, server.url, "thinking", HURRIED)

    assert outcome.text == TEXT


@pytest.mark.parametrize(
    ("fault", "text", "code"),
    [
        ("html200", "", "provider_bad_response"),
        ("empty200", "", "provider_bad_response"),
        ("json_array", "", "provider_bad_response"),
        ("json_array_lines", "", "provider_bad_response"),
        ("gzip_lie", "", "provider_bad_response"),
        ("nodone", TEXT, "provider_unavailable"),
        ("cut_fin", BEGINNING, "provider_unavailable"),
        ("cut_rst", BEGINNING, "provider_unavailable"),
        ("bad_json", BEGINNING, "provider_bad_response"),
        ("bad_json_in_one_read", BEGINNING, "provider_bad_response"),
        ("bad_utf8", BEGINNING, "provider_bad_response"),
        ("wrong_types", BEGINNING, "provider_bad_response"),
        ("deep_json", BEGINNING, "provider_bad_response"),
        ("huge_line", BEGINNING, "provider_bad_response"),
        ("error_event", BEGINNING, "provider_unavailable"),
        ("role_only", "", "provider_bad_response"),
        ("null_content", "", "provider_bad_response"),
        ("blank", " \n", "provider_bad_response"),
        ("http400", "", "provider_rejected"),
        ("http401", "", "provider_auth"),
        ("http403", "", "provider_auth"),
        ("http404", "", "provider_unavailable"),
        ("http429", "", "provider_busy"),
        ("http500", "", "provider_unavailable"),
        ("http502", "", "provider_unavailable"),
        ("http503", "", "provider_unavailable"),
    ],
)
def test_it_keeps_the_words_and_names_the_fault(
    make: Make, server: FaultyServer, fault: str, text: str, code: str
) -> None:
    outcome = ask(make, server.url, fault)

    assert (outcome.text, outcome.code) == (text, code)
    assert outcome.finish_reason is None
    assert outcome.error is not None
    # Neither whoever asked nor the log is told what the provider said.
    for told in (outcome.error.detail, str(outcome.error), str(outcome.error.cause)):
        assert SECRET_WORDS not in told
        assert "quién" not in told


def test_it_tells_the_log_which_status_and_which_codes(
    make: Make, server: FaultyServer
) -> None:
    outcome = ask(make, server.url, "http400")

    assert outcome.error is not None
    assert outcome.error.cause == "HTTP 400 invalid_request_error"


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (
            '{"error": {"type": "invalid_request_error", "code": "invalid_api_key"}}',
            ["invalid_request_error", "invalid_api_key"],
        ),
        ({"code": "model_not_found", "message": "what you said"}, ["model_not_found"]),
        ('{"error": {"type": "I have said it", "code": 401}}', []),
        ('{"error": "model \'x\' not found"}', []),
        ("[" * 100_000, []),
        ("<html>", []),
        (None, []),
    ],
)
def test_it_takes_only_codes_out_of_an_error(body: object, codes: list[str]) -> None:
    assert codes_in(body) == codes


def test_it_reports_a_refused_connection(make: Make) -> None:
    outcome = ask(make, "http://127.0.0.1:9", "ok")

    assert outcome.code == "provider_unavailable"
    assert outcome.error is not None
    assert outcome.error.cause == f"ConnectionRefusedError {errno.ECONNREFUSED}"


def test_it_takes_an_imitated_protocol_for_text(
    make: Make, server: FaultyServer
) -> None:
    outcome = ask(make, server.url, "imitation")

    assert outcome.text == IMITATION
    assert outcome.finish_reason == "stop"


def test_it_drops_what_cannot_be_stored(make: Make, server: FaultyServer) -> None:
    outcome = ask(make, server.url, "unstorable")

    assert outcome.text == "ab 😀 \ufffd"


def test_it_says_that_the_model_reached_its_limit(
    make: Make, server: FaultyServer
) -> None:
    outcome = ask(make, server.url, "length")

    assert (outcome.text, outcome.finish_reason) == (TEXT, "length")


def test_it_cuts_a_model_that_does_not_stop(make: Make, server: FaultyServer) -> None:
    outcome = ask(make, server.url, "long")

    assert len(outcome.text) == 4096
    assert outcome.finish_reason == "length"
    assert outcome.usage is not None
    assert not outcome.usage.exact
    assert server.wait_for_hangup()


def test_it_estimates_usage_that_nobody_counted(
    make: Make, server: FaultyServer
) -> None:
    outcome = ask(make, server.url, "no_usage")

    assert outcome.usage == Usage(prompt=17, completion=10, exact=False)


def test_it_ignores_and_logs_a_tool_call(
    make: Make, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    ask(make, server.url, "tool_call")

    assert "called a tool" in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_it_tries_again_before_the_first_token(
    make: Make, server: FaultyServer, status: int
) -> None:
    outcome = ask(make, server.url, f"once-http{status}")

    assert outcome.text == TEXT
    assert len(server.prompts) == 2


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        ("http503", 3),
        ("http400", 1),
        ("http401", 1),
        ("cut_rst", 1),
        ("error_event", 1),
        ("empty200", 1),
    ],
)
def test_it_asks_no_more_often_than_is_useful(
    make: Make, server: FaultyServer, fault: str, calls: int
) -> None:
    ask(make, server.url, fault)

    assert len(server.prompts) == calls


@pytest.mark.parametrize("fault", ["hang_first", "hang_headers"])
def test_it_closes_the_connection_of_a_cancelled_reply(
    make: Make, server: FaultyServer, fault: str
) -> None:
    async def run() -> float:
        provider = make(server.url)
        reply = asyncio.create_task(listen(provider, replace(REQUEST, model=fault)))
        await asyncio.to_thread(server.wait_for_prompt)
        stopped = monotonic()
        reply.cancel()
        await asyncio.gather(reply, return_exceptions=True)
        hangup = await asyncio.to_thread(server.wait_for_hangup)
        await provider.aclose()
        return hangup - stopped

    assert asyncio.run(run()) < 1


def test_it_closes_the_connection_of_a_reply_nobody_reads(
    make: Make, server: FaultyServer
) -> None:
    async def run() -> float:
        provider = make(server.url)
        chunks = provider.stream(replace(REQUEST, model="hang_mid"))
        await anext(chunks)
        stopped = monotonic()
        await chunks.aclose()
        hangup = await asyncio.to_thread(server.wait_for_hangup)
        await provider.aclose()
        return hangup - stopped

    assert asyncio.run(run()) < 1


def test_it_leaves_a_slow_reader_its_time(make: Make, server: FaultyServer) -> None:
    async def run() -> str:
        provider, text = make(server.url, HURRIED), ""
        async for chunk in provider.stream(REQUEST):
            if not text:
                await asyncio.sleep(HURRIED.idle * 2)
            text += chunk.text
        await provider.aclose()
        return text

    server.pace = 0.01
    assert asyncio.run(run()) == TEXT


def test_it_gives_a_whole_reply_no_longer_than_the_total(
    make: Make, server: FaultyServer
) -> None:
    server.pace = 0.15

    outcome = ask(make, server.url, "ok", replace(PATIENT, total=0.7))

    assert outcome.code == "provider_timeout"
    assert outcome.text
    assert TEXT.startswith(outcome.text)


def test_it_uses_a_connection_again(make: Make, server: FaultyServer) -> None:
    async def run() -> None:
        provider = make(server.url)
        for _ in range(3):
            await listen(provider, REQUEST)
        await provider.aclose()

    asyncio.run(run())

    assert len(server.prompts) == 3
    assert server.connections == 1


def test_it_leaves_a_failing_endpoint_alone(make: Make, server: FaultyServer) -> None:
    async def run() -> list[str]:
        provider = make(server.url, replace(PATIENT, first_token=0.05))
        request = replace(REQUEST, model="hang_headers")
        codes = [(await listen(provider, request)).code for _ in range(6)]
        provider.patience = PATIENT
        other = await listen(provider, REQUEST)
        await provider.aclose()
        return [*codes, other.code]

    codes = asyncio.run(run())

    # The sixth is not made to wait: nobody was asked.
    assert codes == ["provider_timeout"] * 5 + ["provider_unavailable", "none"]


def test_it_names_the_models_on_offer(make: Make, server: FaultyServer) -> None:
    async def run() -> list[str]:
        provider = make(server.url)
        try:
            return await provider.available_models()
        finally:
            await provider.aclose()

    assert [name.partition(":")[0] for name in asyncio.run(run())] == ["ok"]
