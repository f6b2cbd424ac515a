"""From the link in the console to the first reply, in a real browser."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from config.testing import Server
from llm.tests.faulty_server import FaultyServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "a tertulia at the corner"
NOBODY = "http://127.0.0.1:9"

Open = Callable[..., "Page"]


@pytest.fixture
def visit(open_page: Open) -> Open:
    """Follow the link that a server printed, and make the administrator."""

    def one(server: Server, **options) -> "Page":
        page = open_page(base_url=server.url, **options)
        page.context.set_default_timeout(30_000)
        page.goto(link(server))
        page.get_by_label("E-mail").fill("ada@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make my account").click()
        page.wait_for_url("**/setup/second-factor")
        return page

    return one


def link(server: Server) -> str:
    (found,) = re.findall(rf"{server.url}/setup/\S+", server.log)
    return found


def talk(page: "Page") -> str:
    """Begin the first conversation and return the first reply."""
    page.get_by_role("button", name="Begin the first conversation").click()
    page.wait_for_selector("#talk[data-ready]")
    page.get_by_label("Message to").fill("Good evening.")
    page.get_by_label("Message to").press("Enter")
    newest = '#messages > [data-role="assistant"]:last-child'
    page.wait_for_selector(f'{newest}[data-status="complete"]')
    return page.locator(f"{newest} .message-text").inner_text()


def test_it_leads_to_a_first_reply_of_the_demo(visit: Open, server: Server):
    page = visit(server)
    page.get_by_role("link", name="Later").click()

    page.get_by_role("button", name="Leave it as it is").click()

    page.wait_for_url("**/setup/ready")
    assert "demo/demo" in page.locator("main").inner_text()
    assert "No model is connected" in talk(page)


def test_it_leads_to_a_first_reply_of_a_model_that_was_tried(visit: Open, make_server):
    with FaultyServer() as model:
        server = make_server(
            LLM_PROVIDER="auto",
            OLLAMA_HOST=NOBODY,
            OPENAI_BASE_URL=f"{model.url}/v1",
            OPENAI_API="chat",
        )
        page = visit(server)
        page.get_by_role("link", name="Later").click()

        page.get_by_label("Which model answers?").select_option("openai/ok")
        page.get_by_role("button", name="Try it").click()
        tried = page.locator("#trial .prose").inner_text()
        page.get_by_role("button", name="Let it answer").click()
        page.wait_for_url("**/setup/ready*")
        said = talk(page)

    assert tried
    assert said.split() == tried.split()
    assert [prompt["model"] for prompt in model.prompts] == ["ok", "ok"]


def test_it_says_what_is_wrong_and_can_be_tried_again(visit: Open, make_server):
    with FaultyServer() as model:
        server = make_server(
            LLM_PROVIDER="auto",
            OLLAMA_HOST=NOBODY,
            OPENAI_BASE_URL=f"{model.url}/nowhere",
            OPENAI_API="chat",
        )
        page = visit(server)
        page.get_by_role("link", name="Later").click()

        page.get_by_role("button", name="Try it").click()

        trial = page.locator("#trial")
        assert "provider_unavailable" in trial.inner_text()
        assert page.get_by_role("button", name="Let it answer").is_visible()
        assert "Traceback" not in server.log


def test_going_back_and_reloading_is_safe(visit: Open, server: Server):
    page = visit(server)
    page.get_by_role("link", name="Later").click()
    page.wait_for_url("**/setup/model")
    page.go_back()
    page.reload()
    assert page.get_by_role("link", name="Later").is_visible()
    page.goto(link(server))
    assert page.url.endswith("/setup/second-factor")
    page.goto("/setup/model")
    page.get_by_role("button", name="Leave it as it is").click()
    page.wait_for_url("**/setup/ready")

    page.go_back()
    page.reload()

    assert page.url.endswith("/setup/ready")


def test_it_works_without_any_script(visit: Open, server: Server):
    page = visit(server, java_script_enabled=False)
    page.get_by_role("link", name="Later").click()

    page.get_by_label("Which model answers?").select_option("demo/demo")
    page.get_by_role("button", name="Try it").click()
    assert "No model is connected" in page.locator("#trial").inner_text()
    page.get_by_label("Which model answers?").select_option("demo/demo")
    page.get_by_role("button", name="Let it answer").click()
    page.get_by_role("button", name="Begin the first conversation").click()

    page.wait_for_url("**/c/*")


def test_a_second_factor_is_set_up_on_the_way(visit: Open, server: Server):
    page = visit(server)
    page.get_by_role("link", name="Set up an authenticator app").click()

    secret = page.locator("#authenticator_secret").input_value()
    counter = page.evaluate("() => Math.floor(Date.now() / 30000)")
    code = format_hotp_value(hotp_value(secret, counter))
    page.locator("input[name=code]").fill(code)
    page.locator("input[name=code]").press("Enter")

    page.get_by_role("link", name="Go on with it").click()
    page.wait_for_url("**/setup/model")
    page.go_back()
    page.goto("/setup/second-factor")
    assert "is on" in page.get_by_role("heading", level=1).inner_text()


def test_a_required_second_factor_comes_before_the_model(visit: Open, make_server):
    page = visit(make_server(MFA_REQUIRED_ROLES="admin"))
    assert not page.get_by_role("link", name="Later").is_visible()
    page.goto("/setup/model")
    assert page.url.endswith("/accounts/2fa/totp/activate/")
    assert not page.get_by_role("link", name="Go on with it").is_visible()

    secret = page.locator("#authenticator_secret").input_value()
    counter = page.evaluate("() => Math.floor(Date.now() / 30000)")
    page.locator("input[name=code]").fill(
        format_hotp_value(hotp_value(secret, counter))
    )
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("link", name="I have kept them").click()

    page.wait_for_url("**/setup/model")
    page.get_by_role("button", name="Leave it as it is").click()
    page.wait_for_url("**/setup/ready")


def test_the_used_link_says_so(visit: Open, open_page: Open, server: Server):
    visit(server)

    stranger = open_page(base_url=server.url)
    stranger.goto(link(server))

    assert "does not work" in stranger.get_by_role("heading", level=1).inner_text()
    stranger.problems[:] = [p for p in stranger.problems if "404" not in p]
