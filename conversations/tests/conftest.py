"""Sites of real processes whose model tells a known story."""

import os
from collections.abc import Callable, Iterator

import pytest

from config.testing import Server
from conversations.tests.clients import Person
from conversations.tests.storyteller import Storyteller

#: Processes of one site sign and read each other's tokens.
SECRETS = {"SECRET_KEY": "s" * 50, "JWT_SECRET": "j" * 50}

Serve = Callable[..., Server]


@pytest.fixture
def storyteller() -> Iterator[Storyteller]:
    with Storyteller() as model:
        yield model


@pytest.fixture
def serve(make_server: Serve, storyteller: Storyteller) -> Serve:
    """Make servers whose replies are `story(words)`, `rate` words a second."""

    def serve_one(words: int = 200, rate: int = 100, **environment: str) -> Server:
        return make_server(
            **{
                **SECRETS,
                "LLM_PROVIDER": "ollama",
                "OLLAMA_HOST": storyteller.url,
                "OLLAMA_MODEL": f"story-{words}-{rate}",
                "LLM_CONTEXT_TOKENS": "100000",
                "LLM_MAX_OUTPUT_TOKENS": "20000",
                "DAILY_UNITS_LIMIT": "10000000",
                "CHAT_RATE": "1000/m",
                **environment,
            }
        )

    return serve_one


@pytest.fixture(params=["redis", "database alone"])
def pair(
    request: pytest.FixtureRequest, serve: Serve
) -> Callable[..., tuple[Server, Server]]:
    """Make two processes of one site, with a Redis between them and without one."""
    redis = {"redis": os.environ.get("REDIS_URL", "")}.get(request.param, "")

    def serve_two(**options: str) -> tuple[Server, Server]:
        first = serve(REDIS_URL=redis, **options)
        url = first.environment["DATABASE_URL"]
        return first, serve(REDIS_URL=redis, DATABASE_URL=url, **options)

    return serve_two


@pytest.fixture
def sign_up() -> Iterator[Callable[..., Person]]:
    """Make people; `sign_up(server)` is Alice."""
    people: list[Person] = []

    def one(server: Server, email: str = "alice@example.com") -> Person:
        people.append(Person.sign_up(server, email))
        return people[-1]

    yield one
    for person in people:
        person.close()
