"""Every page a person sees, read by axe: on a phone and a desk, by day and by night.

Findings that axe calls serious or critical fail; each names the page and the element.
"""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from config.testing.server import PASSWORD

EMAIL = "reader@example.org"
LEADER = "leader@example.org"

SIGNED_OUT = (
    "/",
    "/characters/luna",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/a-link-of-long-ago/",
    "/nobody-sits-here",
    "/setup/a-link-of-long-ago",
)
SIGNED_IN = (
    "/",
    "/c/",
    "/settings/profile",
    "/settings/security",
    "/settings/sessions",
    "/settings/appearance",
    "/settings/language",
    "/settings/data",
    "/accounts/password/change/",
    "/accounts/logout/",
)
SIZES = {"phone": (360, 740), "desk": (1280, 800)}


@pytest.fixture(scope="module")
def conversation(shared_server) -> str:
    """Return the page of a conversation with a reply in it."""
    token = shared_server.sign_up(EMAIL)
    begun = shared_server.post("/conversations", {"character": "assistant"}, token)
    said = {"content": "Show me a list, a table and some code."}
    shared_server.post(f"/conversations/{begun['id']}/messages?wait=true", said, token)
    return f"/c/{begun['id']}"


@pytest.fixture(scope="module")
def panel(shared_server, conversation) -> list[str]:
    """Return the pages of the panel of somebody who supervises whose it is."""
    shared_server.sign_up(LEADER)
    person = shared_server.shell(
        "from accounts.models import Team, User\n"
        "team = Team.objects.create(name='Night shift')\n"
        f"User.objects.filter(email='{LEADER}').update(role='supervisor', team=team)\n"
        f"reader = User.objects.filter(email='{EMAIL}')\n"
        "reader.update(team=team)\n"
        "print(reader.get().pk)"
    ).split()[-1]
    pk = conversation.removeprefix("/c/")
    return ["/panel", f"/panel/{person}", f"/panel/{person}/{pk}", conversation]


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture(params=SIZES, ids=str)
def reader(request, open_page, shared_server, scheme) -> Iterator:
    width, height = SIZES[request.param]
    return open_page(
        base_url=shared_server.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
    )


def faults(page, path: str) -> list[str]:
    page.goto(path)
    # Who is led elsewhere would read another page for this one.
    assert urlsplit(page.url).path == path
    return read(page, path)


def sign_in(page, email: str) -> None:
    page.goto("/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)


def read(page, path: str) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{path}: {fault['id']}: {json.dumps(node['target'])} {node['html'][:120]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def test_a_fault_is_noticed(reader):
    reader.goto("/")
    reader.evaluate("() => document.querySelector('main').append(new Image())")

    assert [fault.split(":")[1] for fault in read(reader, "/")] == [" image-alt"]


def test_who_is_signed_out_reads_everything(reader):
    found = [fault for path in SIGNED_OUT for fault in faults(reader, path)]
    # Pages that are not there say so to the console, too.
    reader.problems[:] = [p for p in reader.problems if "404" not in p]

    assert found == []


def test_who_is_signed_in_reads_everything(reader, conversation):
    sign_in(reader, EMAIL)
    found = [
        fault for path in (*SIGNED_IN, conversation) for fault in faults(reader, path)
    ]

    assert found == []


def test_who_supervises_reads_everything(reader, panel):
    sign_in(reader, LEADER)
    found = [fault for path in panel for fault in faults(reader, path)]
    reader.goto(panel[2])
    reader.click(".hand-over > summary")
    found += read(reader, panel[2])
    width = reader.evaluate("() => document.documentElement.scrollWidth")

    assert found == []
    assert width <= reader.viewport_size["width"]


def test_every_page_is_reached_by_keyboard(reader, conversation):
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        reader.goto(path)
        assert_reached_by_keyboard(reader)
    sign_in(reader, EMAIL)
    for path in SIGNED_IN:
        if path.startswith(("/settings/", "/accounts/")):
            reader.goto(path)
            assert_reached_by_keyboard(reader)


def assert_reached_by_keyboard(page) -> None:
    """Check that Tab leads to everything one can use here, and shows where it is."""
    wanted = page.evaluate(
        """() => [...document.querySelectorAll(
             'main a[href], main button, main select, main input')]
           .filter(e => e.type !== 'hidden')
           .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0)
           // Of a group of radio buttons, Tab stops at one.
           .filter(e => e.type !== 'radio' || e.checked).length"""
    )
    # Some pages put the cursor into a field, from which Tab would go on.
    page.evaluate("() => document.activeElement?.blur()")
    reached = set()
    for _ in range(wanted + 30):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const e = document.activeElement;
              if (!e || !e.closest('main') || e.tagName === 'MAIN') return null;
              const style = getComputedStyle(e);
              const all = [...document.querySelectorAll('main *')];
              return [all.indexOf(e), style.outlineStyle !== 'none'
                      || style.boxShadow !== 'none', e.outerHTML.slice(0, 120)];
            }"""
        )
        if seen:
            assert seen[1], f"{page.url}: no focus to be seen on {seen[2]}"
            reached.add(seen[0])
    assert len(reached) >= wanted, page.url
