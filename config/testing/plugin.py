"""Gives every test run its own servers and an environment nobody configured.

Loaded by pytest before Django's settings are, see pyproject.toml.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import config.environment
from config.testing.databases import Postgres, Redis
from config.testing.server import bare_environment, running

_started: list[Postgres | Redis] = []
_directory: Path | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="what the tests run on; postgres also brings a Redis (default: sqlite)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, None, None]:
    # A worker of pytest-xdist inherits what the process that started it has set.
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        if url := os.environ.get("REDIS_URL"):
            os.environ["REDIS_URL"] = f"{url[:-1]}{int(worker[2:]) % 16}"
    else:
        _prepare(early_config.known_args_namespace.database)
    return (yield)


def _prepare(database: str) -> None:
    global _directory
    _directory = Path(tempfile.mkdtemp(prefix="tertulia-tests-"))
    signal.signal(signal.SIGTERM, _leave_nothing)
    environment = bare_environment()
    os.environ.clear()
    os.environ.update(environment)
    # The module was imported along with the servers of the tests, before this.
    config.environment.VAR_DIR = _directory / "var"
    os.environ["VAR_DIR"] = str(config.environment.VAR_DIR)
    os.environ["LLM_PROVIDER"] = "demo"
    if database == "postgres":
        postgres, redis = Postgres(), Redis()
        _started.extend([postgres, redis])
        postgres.start()
        redis.start()
        os.environ["DATABASE_URL"] = postgres.url()
        os.environ["REDIS_URL"] = redis.url


def _leave_nothing(*_: object) -> None:
    for server in list(running):
        server.kill()
    pytest_unconfigure()
    os._exit(128 + signal.SIGTERM)


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "postgres: runs only where the suite runs on PostgreSQL and Redis",
        "sqlite: runs only where the suite runs on SQLite",
        "browser: needs a Chromium",
    ):
        config.addinivalue_line("markers", line)

    from django.conf import settings

    # Argon2 is slow by design, and most tests only need somebody signed in.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Every test client would otherwise look through all static files.
    settings.WHITENOISE_AUTOREFRESH = True
    # Not the settings' own, which were read before this run had a directory.
    directory = Path(os.environ["VAR_DIR"])
    directory.mkdir(parents=True, exist_ok=True)
    settings.MEDIA_ROOT = str(directory / "uploads")
    default = settings.DATABASES["default"]
    if default["ENGINE"].endswith("sqlite3"):
        # A file, as in production: connections of several threads lock one another
        # differently in memory.
        path = directory / "tests.sqlite3"
        default.setdefault("TEST", {})["NAME"] = str(path)
        _let_tests_empty_what_is_kept()


def _let_tests_empty_what_is_kept() -> None:
    """Put the triggers of SQLite aside while a test's tables are emptied.

    PostgreSQL truncates, which its triggers do not mind.
    """
    from django.db import connection
    from django.db.backends.sqlite3.operations import DatabaseOperations

    flush = DatabaseOperations.sql_flush

    def sql_flush(self: DatabaseOperations, *args: Any, **options: Any) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
        return [
            *(f"DROP TRIGGER {name}" for name, _sql in triggers),
            *flush(self, *args, **options),
            *(sql for _name, sql in triggers),
        ]

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[assignment]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    other = {"postgres": "sqlite", "sqlite": "postgres"}[config.option.database]
    elsewhere = [item for item in items if item.get_closest_marker(other)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    while _started:
        _started.pop().destroy()
    if _directory is not None:
        shutil.rmtree(_directory, ignore_errors=True)
