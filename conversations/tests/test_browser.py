"""The chat page in a real browser, against the product as a real process."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from config.testing import Server
from conversations.tests.clients import Person

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "a tertulia at the corner"
PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}

Serve = Callable[..., Server]
Open = Callable[..., "Page"]


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(words=160, rate=40)


@pytest.fixture
def sit_down(open_page: Open) -> Open:
    """Sign up at a server and begin to talk with the assistant."""

    def one(server: Server, **options) -> "Page":
        page = open_page(base_url=server.url, **{"viewport": LAPTOP} | options)
        # Several browsers and servers may share two processors here.
        page.context.set_default_timeout(30_000)
        page.goto("/accounts/signup/")
        page.get_by_label("E-mail").fill("alice@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Display name").fill("Alice")
        page.get_by_role("button", name="Make the account").click()
        page.wait_for_url("**/accounts/login/")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("button", name="Talk with Tertulia").click()
        is_scripted = options.get("java_script_enabled", True)
        page.wait_for_selector("#talk[data-ready]" if is_scripted else "#composer")
        return page

    return one


def say(page: "Page", text: str = "Tell me a story.") -> None:
    page.get_by_label("Message to").fill(text)
    page.get_by_label("Message to").press("Enter")


def messages(page: "Page", of: str = "*"):
    return page.locator(f"#messages > {of}")


def reply(page: "Page"):
    return page.locator('#messages > [data-role="assistant"]').last


def wait_until(page: "Page", status: str, timeout: float = 30_000) -> None:
    newest = f'#messages > [data-role="assistant"]:last-child[data-status="{status}"]'
    page.wait_for_selector(newest, timeout=timeout)


def words(page: "Page") -> int:
    """Return how many words of the story are shown, insisting on their order."""
    text = reply(page).locator(".message-text").inner_text()
    numbers = [int(n) for n in re.findall(r"(?<!\S)(\d+) (?:and|señora|👋|—|zw)", text)]
    assert numbers == sorted(set(numbers)), text
    return len(numbers)


def expect_outage(page: "Page") -> None:
    """Forget what Chromium notes when a server goes away under it."""
    page.problems[:] = [  # type: ignore[attr-defined]
        problem
        for problem in page.problems  # type: ignore[attr-defined]
        if not re.search(r"ERR_|WebSocket|htmx:ws:error", problem)
    ]


def test_it_shows_a_reply_while_it_is_written(sit_down: Open, server: Server):
    page = sit_down(server)

    say(page)
    wait_until(page, "streaming")
    page.wait_for_selector(".done > p")
    early = words(page)

    wait_until(page, "complete")
    assert 0 < early < words(page)
    assert page.locator("#status").inner_text() == "Tertulia has answered."
    assert messages(page).count() == 3  # with the greeting
    assert page.get_by_label("Message to").input_value() == ""


def test_reloading_in_the_middle_loses_and_repeats_nothing(
    sit_down: Open, server: Server
):
    page = sit_down(server)
    say(page)
    wait_until(page, "streaming")
    page.wait_for_timeout(500)

    page.reload()

    assert reply(page).get_attribute("data-status") == "streaming"
    wait_until(page, "complete")
    live = words(page)
    page.reload()
    assert words(page) == live


def test_a_second_tab_is_live(sit_down: Open, server: Server):
    first = sit_down(server)
    second = first.context.new_page()
    second.goto(first.url)
    second.wait_for_timeout(300)

    say(first)

    wait_until(second, "streaming")
    wait_until(first, "complete")
    wait_until(second, "complete")
    assert messages(first).all_inner_texts() == messages(second).all_inner_texts()


def test_a_second_tab_knows_what_is_new_and_what_is_gone(
    sit_down: Open, server: Server
):
    page = sit_down(server)
    say(page)
    page.wait_for_selector("[data-status=complete]")
    shown = page.url.rpartition("/")[2]
    other = page.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Talk with Tertulia").click()
    other.wait_for_selector("#talk[data-ready]")
    new = other.url.rpartition("/")[2]
    assert new != shown
    say(other, "Something else.")
    # Begun in one tab, it is on the list of the other.
    page.locator(f"#recent #conversation-{new}").wait_for()
    assert page.locator(f"#conversation-{new}").count() == 1
    other.goto(f"/c/{shown}")
    other.wait_for_selector("#talk[data-ready]")

    other.get_by_role("button", name="This conversation").click()
    other.get_by_text("Delete", exact=True).click()
    other.get_by_role("button", name="Delete for good").click()
    other.wait_for_url("**/c/")

    page.get_by_text("This conversation is not here any more").wait_for()
    assert page.locator(f"#conversation-{shown}").count() == 0
    assert page.locator("#composer").count() == 0
    page.get_by_role("link", name="All conversations").click()
    page.wait_for_url("**/c/")


def test_escape_stops_and_the_reply_can_go_on(sit_down: Open, server: Server):
    page = sit_down(server)
    say(page)
    wait_until(page, "streaming")
    page.wait_for_timeout(400)

    page.keyboard.press("Escape")

    wait_until(page, "stopped")
    kept = words(page)
    reply(page).get_by_role("button", name="Continue").click()
    wait_until(page, "complete")
    assert kept < words(page)
    assert messages(page).count() == 3


def test_another_reply_takes_the_place_of_the_first(sit_down: Open, serve: Serve):
    page = sit_down(serve(words=5, rate=200))
    say(page)
    wait_until(page, "complete")
    first = reply(page).get_attribute("id")

    reply(page).get_by_role("button", name="Try again").click()

    page.wait_for_selector(f"#{first}", state="detached")
    wait_until(page, "complete")
    assert messages(page).count() == 3


def test_a_killed_server_loses_nothing_that_was_shown(sit_down: Open, server: Server):
    page = sit_down(server)
    say(page)
    wait_until(page, "streaming")
    page.wait_for_timeout(900)

    server.kill()
    page.wait_for_selector("#connection:not([hidden])")
    server.start()

    wait_until(page, "interrupted", timeout=40_000)
    assert words(page) > 0
    page.wait_for_selector("#connection[hidden]", state="attached")
    reply(page).get_by_role("button", name="Continue").click()
    wait_until(page, "complete")
    assert messages(page).count() == 3
    expect_outage(page)


def test_what_is_sent_while_the_server_is_away_arrives_once(
    sit_down: Open, serve: Serve
):
    server = serve(words=5, rate=200)
    page = sit_down(server)
    server.kill()

    say(page, "Into the dark.")
    page.wait_for_selector(".pending >> text=Waiting")
    server.start()

    wait_until(page, "complete", timeout=40_000)
    assert messages(page, ".pending").count() == 0
    assert messages(page, '[data-role="user"]').all_inner_texts() == [
        "You\n\nInto the dark."
    ]
    expect_outage(page)


def test_it_polls_where_no_socket_gets_through(sit_down: Open, server: Server):
    page = sit_down(server)
    page.route_web_socket("**/ws/pages/", lambda socket: socket.close())
    page.reload()
    page.wait_for_selector("#talk[data-ready]")

    say(page)

    wait_until(page, "streaming")
    wait_until(page, "complete", timeout=40_000)
    assert messages(page).count() == 3
    assert page.locator("#connection").is_hidden()


def without_socket(page: "Page") -> None:
    """Let no socket through, and wait until the page knows that it alone is missing."""
    page.route_web_socket("**/ws/pages/", lambda socket: socket.close())
    with page.expect_response(lambda answer: answer.request.method == "HEAD"):
        page.reload()


def expect_refusals(page: "Page") -> None:
    """Forget what Chromium notes of answers that are no success."""
    page.problems[:] = [  # type: ignore[attr-defined]
        problem
        for problem in page.problems  # type: ignore[attr-defined]
        if "Failed to load resource" not in problem
    ]


def test_a_token_that_was_changed_in_another_tab_is_fetched_anew(
    sit_down: Open, serve: Serve
):
    page = sit_down(serve(words=5, rate=200))
    without_socket(page)
    # As signing in again does.
    page.context.clear_cookies(name="csrf")
    page.context.new_page().goto("/accounts/password/change/")

    say(page, "Still here")

    wait_until(page, "complete")
    say(page, "And now")
    page.wait_for_selector('[data-role="user"]:not(.pending) >> text=And now')
    wait_until(page, "complete")
    assert messages(page, ".pending").count() == 0
    assert messages(page, '[data-role="user"]').count() == 2
    assert page.locator("#composer-error").inner_text() == ""
    expect_refusals(page)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_what_is_answered_by_another_page_comes_back_into_the_composer(
    sit_down: Open, serve: Serve, status: int
):
    page = sit_down(serve(words=5, rate=200))
    without_socket(page)
    lost = "<!doctype html><html><body><h1>Lost</h1></body></html>"
    page.route(
        "**/messages",
        lambda route: route.fulfill(status=status, body=lost, content_type="text/html"),
    )

    say(page, "Keep me")

    page.wait_for_selector("#composer-error p")
    assert "not sent" in page.locator("#composer-error").inner_text()
    assert page.get_by_label("Message to").input_value() == "Keep me"
    assert messages(page, ".pending").count() == 0
    assert "Lost" not in page.locator("body").inner_text()

    page.unroute("**/messages")
    page.get_by_label("Message to").press("Enter")

    wait_until(page, "complete")
    assert messages(page, '[data-role="user"]').all_inner_texts() == ["You\n\nKeep me"]
    expect_refusals(page)


def test_what_was_stored_before_the_answer_broke_is_not_sent_again(
    sit_down: Open, serve: Serve
):
    page = sit_down(serve(words=5, rate=200))
    without_socket(page)

    def break_answer(route):
        route.fetch()
        route.fulfill(status=500, body="<!doctype html>", content_type="text/html")

    page.route("**/messages", break_answer)

    say(page, "Only once")

    page.wait_for_selector('[data-role="user"]:not(.pending) >> text=Only once')
    wait_until(page, "complete")
    assert page.get_by_label("Message to").input_value() == ""
    assert messages(page, '[data-role="user"]').count() == 1
    expect_refusals(page)


def test_what_met_a_server_that_was_away_is_sent_again_without_a_socket(
    sit_down: Open, serve: Serve
):
    page = sit_down(serve(words=5, rate=200))
    without_socket(page)
    page.route("**/messages", lambda route: route.fulfill(status=503), times=1)

    say(page, "Once more")

    wait_until(page, "complete")
    assert messages(page, '[data-role="user"]').all_inner_texts() == [
        "You\n\nOnce more"
    ]
    expect_refusals(page)


@pytest.mark.parametrize("is_scripted", [True, False])
def test_who_reads_somebody_elses_conversation_sees_the_reply_grow(
    sit_down: Open, server: Server, is_scripted: bool
):
    page = sit_down(server)
    ada = Person.sign_up(server, "ada@example.com")
    ada.close()
    server.shell(
        "from accounts.models import User\n"
        "User.objects.filter(email='ada@example.com').update(role='admin')"
    )
    reader = page.context.browser.new_context(
        base_url=server.url, java_script_enabled=is_scripted
    ).new_page()
    reader.goto("/accounts/login/")
    reader.get_by_label("E-mail").fill("ada@example.com")
    reader.get_by_label("Password").fill(PASSWORD)
    reader.get_by_role("button", name="Sign in", exact=True).click()
    say(page)
    wait_until(page, "streaming")

    reader.goto(page.url)

    assert reply(reader).get_attribute("data-status") == "streaming"
    loads: list[str] = []
    reader.on("load", lambda loaded: loads.append(loaded.url))
    wait_until(reader, "complete")
    wait_until(page, "complete")
    assert words(reader) == words(page)
    assert bool(loads) is not is_scripted
    reader.context.close()


def test_it_works_without_any_script(sit_down: Open, server: Server):
    page = sit_down(server, java_script_enabled=False)

    page.get_by_label("Message to").fill("Hello there")
    page.get_by_role("button", name="Send").click()
    assert reply(page).get_attribute("data-status") == "streaming"

    # The page asks again by itself every two seconds.
    wait_until(page, "complete", timeout=40_000)
    assert messages(page).count() == 3
    page.get_by_role("button", name="This conversation").click()
    page.get_by_text("Rename").click()
    page.get_by_label("Title").fill("Plain")
    page.get_by_role("button", name="Save").click()
    assert "Plain" in page.title()


def test_what_is_refused_comes_back_into_the_composer(sit_down: Open, serve: Serve):
    page = sit_down(serve(words=5, rate=200, CHAT_RATE="1/d"))
    say(page, "One")
    wait_until(page, "complete")

    say(page, "Two")

    page.wait_for_selector("#composer-error p")
    assert page.get_by_label("Message to").input_value() == "Two"
    assert messages(page, '[data-role="user"]').count() == 1


def test_the_newest_message_stays_in_sight_unless_one_reads_above(
    sit_down: Open, serve: Serve
):
    page = sit_down(serve(words=400, rate=150))
    say(page)
    wait_until(page, "streaming")
    page.wait_for_timeout(1200)
    assert page.evaluate("document.getElementById('scroller').scrollTop") > -5

    page.mouse.move(800, 400)
    page.mouse.wheel(0, -400)
    newest = page.get_by_role("button", name="Newest")
    newest.wait_for()
    page.wait_for_timeout(100)
    above = messages(page).nth(1).bounding_box()
    page.wait_for_timeout(600)
    assert abs(messages(page).nth(1).bounding_box()["y"] - above["y"]) < 3

    newest.click()
    newest.wait_for(state="hidden")


def test_copying_takes_the_words_of_the_reply(sit_down: Open, serve: Serve):
    may_use = ["clipboard-read", "clipboard-write"]
    page = sit_down(serve(words=5, rate=200), permissions=may_use)
    say(page)
    wait_until(page, "complete")

    reply(page).get_by_role("button", name="Copy").click()

    page.wait_for_selector(".copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("0 and 1 señora")
    assert "Copy" not in copied


def test_signing_out_elsewhere_ends_an_open_page(sit_down: Open, serve: Serve):
    page = sit_down(serve(words=5))
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Alice").click()
    other.get_by_role("button", name="Sign out").click()

    page.wait_for_url("**/accounts/login/?next=/c/*", timeout=20_000)


def test_a_phone_has_its_list_in_a_drawer(sit_down: Open, serve: Serve):
    page = sit_down(serve(words=5), viewport=PHONE)
    drawer = page.locator("#sidebar")
    assert drawer.is_hidden()

    page.get_by_role("button", name="Show conversations").click()
    drawer.wait_for()
    page.keyboard.press("Escape")
    drawer.wait_for(state="hidden")

    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def test_a_chosen_light_is_remembered(sit_down: Open, serve: Serve):
    page = sit_down(serve(words=5), color_scheme="light")
    page.get_by_role("button", name="Alice").click()
    page.get_by_role("button", name="Dark").click()

    page.goto("/")

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(23, 17, 21)"


def test_the_keyboard_reaches_the_composer_and_sends(sit_down: Open, serve: Serve):
    page = sit_down(serve(words=5, rate=200))
    field = page.get_by_label("Message to")

    field.press("Shift+Enter")
    field.type("Second line")
    assert field.input_value() == "\nSecond line"
    field.press("Enter")

    wait_until(page, "complete")
    page.reload()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('#messages') !== null")
