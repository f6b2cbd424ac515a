"""From the sign-up to the first sign-in in a real browser."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.testing import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

EMAIL = "Alice@Example.com"
PASSWORD = "a tertulia at the corner"
SIZES = {
    "phone": {"width": 360, "height": 740},
    "desk": {"width": 1280, "height": 800},
}

Open = Callable[..., "Page"]


@pytest.fixture(params=[("phone", "light"), ("desk", "dark")], ids="-".join)
def look(request) -> dict:
    size, scheme = request.param
    return {"viewport": SIZES[size], "color_scheme": scheme}


def sign_up(page: "Page", email: str = EMAIL) -> None:
    page.goto("/accounts/signup/?next=/settings/profile")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def fits(page: "Page") -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(
        page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    )


def test_signing_up_leads_to_typing_the_password_once_more(
    open_page: Open, shared_server: Server, screenshots: Path, look: dict
):
    page = open_page(base_url=shared_server.url, **look)
    sign_up(page)
    page.wait_for_url("**/accounts/login/?next=*")

    assert "example" not in page.url.lower()
    assert page.get_by_label("E-mail").input_value() == EMAIL
    assert page.get_by_text("Your account is ready").is_visible()
    assert page.get_by_role("button", name="Sign in", exact=True).is_visible()
    assert fits(page)
    page.screenshot(path=screenshots / f"sign-in-{look['color_scheme']}.png")

    # The cursor is where the password belongs: there is nothing to click at.
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/profile")


def test_signing_in_by_oneself_is_filled_in_for_nobody(
    open_page: Open, shared_server: Server
):
    page = open_page(base_url=shared_server.url)
    page.goto("/accounts/login/")

    assert page.get_by_label("E-mail").input_value() == ""


def test_an_address_is_confirmed_from_the_mail_to_the_first_page(
    open_page: Open,
    make_server: Callable[..., Server],
    screenshots: Path,
    look: dict,
):
    server = make_server(EMAIL_VERIFICATION="required")
    page = open_page(base_url=server.url, **look)
    theme = look["color_scheme"]
    sign_up(page)
    page.wait_for_url("**/accounts/confirm-email/?next=*")
    assert page.get_by_text(f"A mail is on its way to {EMAIL}").is_visible()
    assert fits(page)
    page.screenshot(path=screenshots / f"mail-sent-{theme}.png")

    page.goto(link_in_mail(server))
    assert page.get_by_text("Is this your address?").is_visible()
    assert fits(page)
    page.screenshot(path=screenshots / f"confirm-{theme}.png")
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/accounts/login/?next=*")
    assert page.get_by_label("E-mail").input_value() == EMAIL
    page.screenshot(path=screenshots / f"confirmed-{theme}.png")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/profile")

    page.goto(link_in_mail(server))
    assert page.get_by_text("This link is used up").is_visible()
    page.screenshot(path=screenshots / f"used-up-{theme}.png")


def link_in_mail(server: Server) -> str:
    """Return the link of the one mail, once its thread has printed it."""
    for _ in range(100):
        if found := re.search(r"/accounts/confirm-email/\S+", server.log):
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no mail came")
