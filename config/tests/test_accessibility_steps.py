"""Pages one comes to only step by step, or when something is wrong, read by axe.

Each is read on a phone and a desk, by day and by night, and walked through by keyboard.
"""

import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.test import Client, override_settings

from accounts.tests.test_second_factor_browser import code_of, plug_in
from config.testing import Server
from config.testing.server import PASSWORD
from config.tests.test_accessibility import (
    SIZES,
    assert_reached_by_keyboard,
    read,
    sign_in,
)
from config.tests.test_site import with_broken_views

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
SECOND_FACTOR = "/accounts/2fa/"
FORM = "application/x-www-form-urlencoded"

SETTLED = """() => new Promise(requestAnimationFrame).then(
  () => Promise.allSettled(document.getAnimations().map(each => each.finished)))"""


@pytest.fixture
def page(open_page: Open, shared_server: Server) -> "Page":
    # A passkey is bound to a name; an address of numbers is none.
    url = shared_server.url.replace("127.0.0.1", "localhost")
    return open_page(base_url=url, reduced_motion="reduce")


def read_here(page: "Page", path: str) -> list[str]:
    """Read the page that is open, which has to be that of `path`."""
    assert urlsplit(page.url).path == path
    found = []
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            # Colours fade from one scheme to the other.
            page.evaluate(SETTLED)
            found += read(page, f"{path} {width} {scheme}")
    assert_reached_by_keyboard(page)
    return found


def read_at(page: "Page", path: str) -> list[str]:
    page.goto(path)
    return read_here(page, path)


def test_who_sets_up_a_second_factor_reads_everything(page, shared_server: Server):
    email = f"{uuid.uuid4().hex}@example.org"
    shared_server.sign_up(email)
    sign_in(page, email)

    page.goto(f"{SECOND_FACTOR}totp/activate/")
    found = read_here(page, "/accounts/reauthenticate/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/totp/activate/")
    found += read_here(page, f"{SECOND_FACTOR}totp/activate/")
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("input[name=code]").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    page.wait_for_selector("#recovery_codes")
    found += read_here(page, f"{SECOND_FACTOR}recovery-codes/")
    # They are shown once; afterwards the page says how many are left.
    found += read_at(page, f"{SECOND_FACTOR}recovery-codes/")
    found += read_at(page, f"{SECOND_FACTOR}recovery-codes/generate/")
    found += read_at(page, f"{SECOND_FACTOR}totp/deactivate/")
    found += read_at(page, f"{SECOND_FACTOR}webauthn/add/")
    plug_in(page)
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Add the passkey").click()
    page.wait_for_url("**/settings/security")
    found += read_here(page, "/settings/security")
    links = page.locator("#passkeys a[href*='/keys/']").evaluate_all(
        "links => links.map(link => new URL(link.href).pathname)"
    )
    assert {link.split("/")[-2] for link in links} == {"edit", "remove"}
    for link in links:
        found += read_at(page, link)
    found += read_at(page, f"{SECOND_FACTOR}reauthenticate/")
    found += read_at(page, f"{SECOND_FACTOR}webauthn/reauthenticate/")

    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/2fa/authenticate/")
    found += read_here(page, f"{SECOND_FACTOR}authenticate/")

    assert found == []


def test_who_follows_the_link_of_a_reset_reads_everything(page, shared_server: Server):
    email = f"{uuid.uuid4().hex}@example.org"
    shared_server.sign_up(email)
    link = shared_server.shell(
        "from accounts.models import User\n"
        "from allauth.account.forms import default_token_generator\n"
        "from allauth.account.utils import user_pk_to_url_str\n"
        f"user = User.objects.get(email='{email}')\n"
        "print(user_pk_to_url_str(user), default_token_generator.make_token(user))"
    ).split()[-2:]

    page.goto(f"/accounts/password/reset/key/{'-'.join(link)}/")
    found = read_here(page, f"/accounts/password/reset/key/{link[0]}-set-password/")
    found += read_at(page, "/accounts/password/reset/key/no-key/")
    found += read_at(page, "/accounts/password/reset/key/done/")

    assert found == []


def test_who_sets_the_site_up_reads_everything(open_page: Open, server: Server):
    page = open_page(base_url=server.url, reduced_motion="reduce")
    page.context.set_default_timeout(30_000)
    (link,) = re.findall(rf"{server.url}(/setup/\S+)", server.log)

    found = read_at(page, link)
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url("**/setup/second-factor")
    found += read_here(page, "/setup/second-factor")
    found += read_at(page, "/setup/model")
    page.get_by_role("button", name="Leave it as it is").click()
    page.wait_for_url("**/setup/ready")
    found += read_here(page, "/setup/ready")

    assert found == []


def pages_of_errors() -> dict[str, tuple[int, str]]:
    """Return what each status shows, by an address where nothing is."""
    browser = Client(raise_request_exception=False, enforce_csrf_checks=True)
    with override_settings(ROOT_URLCONF="config.tests.test_site"):
        answers = [
            browser.get("/?q=%00"),
            browser.post("/accounts/login/"),
            browser.get("/nowhere"),
            browser.post("/accounts/login/", b"x" * 3_000_000, content_type=FORM),
            browser.get("/crowded"),
            browser.get("/unforeseen"),
            browser.get("/broken"),
        ]
    with override_settings(REGISTRATION="closed"):
        answers.append(browser.get("/accounts/signup/"))
    assert [answer.status_code for answer in answers[:-1]] == [
        *(400, 403, 404, 413, 429, 500, 503)
    ]
    return {
        f"/shown-{number}": (answer.status_code, answer.content.decode())
        for number, answer in enumerate(answers)
    }


@with_broken_views
def test_whoever_meets_an_error_reads_everything(page):
    found = []
    for path, (status, body) in pages_of_errors().items():
        page.route(
            f"**{path}",
            lambda route, _request, status=status, body=body: route.fulfill(
                status=status, body=body, content_type="text/html; charset=utf-8"
            ),
        )
        found += read_at(page, path)
    # Pages that say no say so to the console, too.
    page.problems[:] = [p for p in page.problems if "Failed to load" not in p]

    assert found == []
