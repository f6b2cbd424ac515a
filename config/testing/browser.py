"""Fixtures that drive a real Chromium; their pages come from a `Server` process.

Playwright's synchronous interface keeps an event loop running in the test's thread,
in which Django's ORM and async_to_sync refuse to work: what a browser test needs to
prepare, it prepares through the API or `Server.shell`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "No Chromium was found; install one with: apt-get install chromium"


def executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def require() -> str:
    """Return where Chromium is, or skip and say how to install it.

    With REQUIRE_BROWSER=1 the skip is a failure.
    """
    path = executable()
    if path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium."""
    path = require()

    from playwright.sync_api import sync_playwright

    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: "Browser") -> "Iterator[Callable[..., Page]]":
    """Open pages in contexts (cookie jars) of their own.

    `open_page(base_url=server.url, **playwright.devices["…"])`. At the end of the
    test no page may have requested anything from another host or written an error
    to the console (a refused script among them); what a test expects there, it
    removes from `page.problems`.
    """
    pages: list[Page] = []

    def open_one(**options: Any) -> "Page":
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.problems = []  # type: ignore[attr-defined]
        page.on("console", lambda message: _note_message(page, message))
        page.on("pageerror", lambda error: _problems(page).append(str(error)))
        page.on("request", lambda request: _note_request(page, request.url))
        pages.append(page)
        return page

    yield open_one
    problems = [problem for page in pages for problem in _problems(page)]
    for page in pages:
        page.context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(open_page: "Callable[..., Page]") -> "Page":
    """One page at the size of a laptop's window."""
    return open_page(viewport={"width": 1280, "height": 800})


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept for somebody to look at."""
    from config.environment import BASE_DIR

    directory = BASE_DIR / "var" / "screenshots"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _problems(page: "Page") -> list[str]:
    problems: list[str] = page.problems  # type: ignore[attr-defined]
    return problems


def _note_message(page: "Page", message: "ConsoleMessage") -> None:
    if message.type == "error":
        _problems(page).append(f"{page.url}: {message.text}")


def _note_request(page: "Page", url: str) -> None:
    address = urlsplit(url)
    if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in (
        "127.0.0.1",
        "localhost",
    ):
        _problems(page).append(f"{page.url} requested {url}")
