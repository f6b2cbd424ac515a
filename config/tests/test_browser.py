"""That browser tests can be believed: the fixtures see what goes wrong in a page."""

import pytest

from config.testing.server import PASSWORD


def test_it_opens_the_first_page_without_a_complaint(page, shared_server):
    page.goto(shared_server.url)

    assert page.title()
    assert page.problems == []


def test_it_notices_a_script_that_the_policy_refuses(page, shared_server):
    page.goto(shared_server.url)

    page.evaluate(
        "() => { const script = document.createElement('script');"
        " script.textContent = 'window.owned = true'; document.body.append(script); }"
    )

    assert page.evaluate("() => window.owned") is None
    assert any("Content Security Policy" in problem for problem in page.problems)
    page.problems.clear()


def test_it_notices_a_request_to_another_host(page, shared_server):
    page.goto(shared_server.url)

    page.evaluate(
        "() => { const image = new Image(); image.src = 'http://192.0.2.1/x.png'; }"
    )
    page.wait_for_timeout(200)

    assert page.problems
    page.problems.clear()


def test_nothing_that_was_typed_stays_in_the_browser_after_signing_out(
    page, shared_server
):
    shared_server.sign_up("nora@example.org")
    page.goto(f"{shared_server.url}/accounts/login/")
    page.fill("[name=login]", "nora@example.org")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{shared_server.url}/")
    page.evaluate("() => sessionStorage.setItem('pending:1', 'a secret')")
    page.evaluate("() => localStorage.setItem('kept', 'a secret')")

    page.goto(f"{shared_server.url}/accounts/logout/")
    page.click("main button:not([name])")
    page.wait_for_url(f"{shared_server.url}/")

    assert page.evaluate("() => sessionStorage.length + localStorage.length") == 0


@pytest.mark.parametrize("required", ["", "1"])
def test_it_says_how_to_install_a_browser(required, monkeypatch):
    from config.testing import browser

    monkeypatch.setenv("REQUIRE_BROWSER", required)
    monkeypatch.setattr(browser, "executable", lambda: None)
    expected = pytest.fail.Exception if required else pytest.skip.Exception

    with pytest.raises(expected, match="apt-get install chromium"):
        browser.require()
