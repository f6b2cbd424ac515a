"""The second factor in a real browser: an app's codes, recovery codes, passkeys."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from config.testing import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

EMAIL = "alice@example.com"
PASSWORD = "a tertulia at the corner"
SET_UP = "/accounts/2fa/totp/activate/"
LAPTOP = {"width": 1280, "height": 800}

#: What a phone or laptop has built in: it keeps passkeys and knows its owner.
BUILT_IN = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}

Open = Callable[..., "Page"]


@pytest.fixture
def sign_up(open_page: Open) -> Open:
    """Make Alice's account and open her security settings."""

    def one(server: Server, **options) -> "Page":
        # A passkey is bound to a name; an address of numbers is none.
        url = server.url.replace("127.0.0.1", "localhost")
        page = open_page(base_url=url, **{"viewport": LAPTOP} | options)
        page.context.set_default_timeout(30_000)
        page.goto("/accounts/signup/")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        page.wait_for_url(f"{url}/accounts/login/")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{url}/")
        page.goto("/settings/security")
        return page

    return one


@pytest.fixture
def alice(sign_up: Open, server: Server) -> "Page":
    return sign_up(server)


def code_of(secret: str, *, later: int = 0) -> str:
    """Return the code of now, or of so many steps later; each is good only once."""
    return format_hotp_value(hotp_value(secret, int(time.time() // 30) + later))


def confirm(page: "Page") -> None:
    """Type the password on the page that asks whether it is really her."""
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def turn_on_app(page: "Page") -> tuple[str, list[str]]:
    """Set up an authenticator app; return its secret and the recovery codes."""
    page.get_by_role("link", name="Set up an authenticator app").click()
    confirm(page)
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("input[name=code]").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    page.wait_for_selector("#recovery_codes")
    return secret, page.locator("#recovery_codes li").all_inner_texts()


def plug_in(page: "Page", **differences) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator", {"options": BUILT_IN | differences}
    )


def add_passkey(page: "Page", name: str, alone: bool = True) -> None:
    page.goto("/accounts/2fa/webauthn/add/")
    if "reauthenticate" in page.url:
        confirm(page)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Sign in with it alone").set_checked(alone)
    page.get_by_role("button", name="Add the passkey").click()


def sign_out(page: "Page") -> None:
    page.goto("/accounts/logout/")
    page.locator("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(r":\d+/$"))


def sign_in(page: "Page", path: str = "/settings/security") -> None:
    page.goto(f"/accounts/login/?next={path}")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def enter(page: "Page", code: str) -> None:
    page.locator("input[name=code]").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


def passkeys(page: "Page"):
    return page.locator("#passkeys .device")


def test_an_app_is_set_up_and_a_recovery_code_opens_once(alice: "Page"):
    _secret, codes = turn_on_app(alice)
    assert len(codes) == 10
    sign_out(alice)

    sign_in(alice)
    enter(alice, codes[0])
    alice.wait_for_url("**/settings/security")
    assert "9 are left" in alice.locator("#codes").inner_text()

    sign_out(alice)
    sign_in(alice)
    enter(alice, codes[0])
    assert alice.locator(".errorlist").inner_text()
    assert "/2fa/authenticate" in alice.url


def test_the_page_of_the_app_shows_a_picture_and_a_link(alice: "Page"):
    alice.get_by_role("link", name="Set up an authenticator app").click()
    confirm(alice)

    picture = alice.get_by_alt_text("QR code")
    link = alice.get_by_role("link", name="The app is on this device")
    secret = alice.locator("#authenticator_secret").input_value()

    assert picture.evaluate("image => image.naturalWidth") > 0
    assert link.get_attribute("href").startswith("otpauth://totp/")
    assert secret in link.get_attribute("href")


def test_a_wrong_code_keeps_the_secret_that_was_scanned(alice: "Page"):
    alice.get_by_role("link", name="Set up an authenticator app").click()
    confirm(alice)
    secret = alice.locator("#authenticator_secret").input_value()

    alice.locator("input[name=code]").fill("123")
    alice.get_by_role("button", name="Turn it on").click()

    assert alice.locator(".errorlist").inner_text()
    assert alice.locator("#authenticator_secret").input_value() == secret


def test_signing_in_asks_for_the_code_of_the_app(alice: "Page"):
    secret, _codes = turn_on_app(alice)
    sign_out(alice)

    sign_in(alice)
    alice.goto("/settings/security")
    assert "/2fa/authenticate/" in alice.url

    enter(alice, code_of(secret, later=1))
    alice.wait_for_url("**/settings/security")
    assert "on" in alice.locator("#totp-title").inner_text()


def test_recovery_codes_can_be_kept(sign_up: Open, server: Server):
    page = sign_up(server, permissions=["clipboard-read", "clipboard-write"])
    _secret, codes = turn_on_app(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()

    assert download.value.path().read_text().split() == codes
    assert page.evaluate("navigator.clipboard.readText()").split() == codes


def test_a_passkey_alone_signs_in(alice: "Page"):
    plug_in(alice)
    add_passkey(alice, "My laptop")
    alice.wait_for_selector("#recovery_codes")
    sign_out(alice)

    alice.goto("/accounts/login/?next=/settings/security")
    alice.get_by_role("button", name="Sign in with a passkey").click()

    alice.wait_for_url("**/settings/security")
    assert "My laptop" in passkeys(alice).inner_text()
    assert "Last used" in passkeys(alice).inner_text()


def test_a_security_key_comes_after_the_password(alice: "Page"):
    plug_in(
        alice,
        transport="usb",
        hasResidentKey=False,
        hasUserVerification=False,
        isUserVerified=False,
    )
    add_passkey(alice, "My key", alone=False)
    alice.wait_for_selector("#recovery_codes")
    sign_out(alice)

    sign_in(alice)
    alice.get_by_role("button", name="Use a passkey").click()

    alice.wait_for_url("**/settings/security")
    assert "Comes after the password" in passkeys(alice).inner_text()


def test_a_passkey_is_renamed_and_removed(alice: "Page"):
    plug_in(alice)
    add_passkey(alice, "My laptop")
    alice.get_by_role("link", name="I have kept them").click()

    alice.get_by_role("link", name="Rename My laptop").click()
    alice.get_by_label("Name").fill("The old laptop")
    alice.get_by_role("button", name="Save").click()
    alice.wait_for_url("**/settings/security")
    assert "The old laptop" in passkeys(alice).inner_text()

    alice.get_by_role("link", name="Remove The old laptop").click()
    alice.get_by_role("button", name="Remove it").click()
    alice.wait_for_url("**/settings/security")
    assert passkeys(alice).count() == 0


def test_a_passkey_that_was_removed_opens_nothing(alice: "Page"):
    plug_in(alice)
    add_passkey(alice, "My laptop")
    alice.get_by_role("link", name="I have kept them").click()
    alice.get_by_role("link", name="Remove My laptop").click()
    alice.get_by_role("button", name="Remove it").click()
    alice.wait_for_url("**/settings/security")
    sign_out(alice)

    alice.goto("/accounts/login/")
    alice.get_by_role("button", name="Sign in with a passkey").click()

    alice.get_by_text("This passkey opens nothing here.").wait_for()
    assert "/accounts/login/" in alice.url


def test_a_passkey_confirms_that_it_is_her(alice: "Page"):
    plug_in(alice)
    add_passkey(alice, "My laptop")
    alice.wait_for_selector("#recovery_codes")
    sign_out(alice)
    sign_in(alice)
    alice.get_by_role("button", name="Use a passkey").click()
    alice.wait_for_url("**/settings/security")

    alice.get_by_role("link", name="Make new codes").click()
    alice.get_by_role("link", name="A passkey").click()
    alice.get_by_role("button", name="Use a passkey").click()

    alice.wait_for_url(re.compile("recovery-codes/generate"))
    assert alice.get_by_role("button", name="Make new codes").is_visible()


def test_it_says_why_no_passkey_was_used(alice: "Page"):
    plug_in(alice, isUserVerified=False)

    add_passkey(alice, "My laptop")

    alice.get_by_text("No passkey was used").wait_for()
    assert alice.get_by_role("button", name="Add the passkey").is_enabled()


def test_the_same_device_is_not_added_twice(alice: "Page"):
    plug_in(alice)
    add_passkey(alice, "My laptop")
    alice.wait_for_selector("#recovery_codes")

    add_passkey(alice, "My laptop again")

    alice.get_by_text("has a passkey for your account already").wait_for()


def test_an_old_browser_is_told(alice: "Page"):
    alice.add_init_script("delete window.PublicKeyCredential")

    add_passkey(alice, "My laptop")

    alice.get_by_text("This browser cannot use passkeys here").wait_for()


def test_a_phone_shows_where_in_the_settings_one_is(sign_up: Open, server: Server):
    page = sign_up(server, viewport={"width": 360, "height": 740})

    page.goto("/settings/data")

    here = page.locator(".settings-nav [aria-current]").bounding_box()
    assert here["x"] >= 0
    assert here["x"] + here["width"] <= 360


def test_the_app_is_set_up_without_any_script(sign_up: Open, server: Server):
    page = sign_up(server, java_script_enabled=False)

    _secret, codes = turn_on_app(page)
    assert len(codes) == 10

    page.goto("/accounts/2fa/webauthn/add/")
    assert page.get_by_text("Passkeys need JavaScript.").is_visible()
    assert not page.get_by_role("button", name="Add the passkey").is_visible()


def test_who_needs_one_is_guided_from_signing_in_to_the_gallery(
    open_page: Open, make_server
):
    server = make_server(MFA_REQUIRED_DOMAINS="example.com")
    server.post("/auth/register", {"email": EMAIL, "password": PASSWORD})
    page = open_page(base_url=server.url, viewport=LAPTOP)
    page.context.set_default_timeout(30_000)

    sign_in(page, "/")
    page.wait_for_url(f"**{SET_UP}")
    assert page.get_by_text("asks people like you").is_visible()
    page.goto("/c/")
    assert page.url.endswith(SET_UP)
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("input[name=code]").fill("123")
    page.get_by_role("button", name="Turn it on").click()
    assert "clock of your phone" in page.locator(".errorlist").inner_text()
    page.locator("input[name=code]").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    page.wait_for_selector("#recovery_codes")
    assert page.locator("#recovery_codes li").count() == 10
    page.get_by_role("link", name="I have kept them").click()

    page.wait_for_url(f"{server.url}/")
    assert page.locator('main a[href^="/characters/"]').first.is_visible()
    sign_out(page)
    sign_in(page, "/c/")
    enter(page, code_of(secret, later=1))
    page.wait_for_url("**/c/")


def test_a_page_that_is_open_goes_to_the_set_up_as_a_whole(
    open_page: Open, make_server
):
    server = make_server(MFA_REQUIRED_DOMAINS="example.org")
    server.post("/auth/register", {"email": EMAIL, "password": PASSWORD})
    page = open_page(base_url=server.url, viewport=LAPTOP)
    page.context.set_default_timeout(30_000)
    sign_in(page, "/settings/data")
    page.wait_for_url("**/settings/data")

    # The operator gives her an address of the domain that needs one.
    server.shell(
        "from accounts.models import User\n"
        f"User.objects.filter(email='{EMAIL}').update(email='alice@example.org')"
    )
    page.evaluate("void htmx.ajax('GET', '/settings/data', '#main')")

    page.wait_for_url(re.compile("/accounts/reauthenticate/"))
    confirm(page)
    page.wait_for_url(f"**{SET_UP}")
    assert page.locator("#authenticator_secret").is_visible()
