"""Who must set up a second factor first, at a real server: sockets, pages, the API."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from accounts.tests.second_factors import code_of
from config.testing import Server
from conversations.tests.clients import PASSWORD, PATIENCE, PageSocket, Person, Socket

EMAIL = "alice@example.com"
SET_UP = "/accounts/2fa/totp/activate/"

Client = Callable[[], Socket]


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server(MFA_REQUIRED_ROLES="worker")


@pytest.fixture
def alice(server: Server) -> Iterator[Person]:
    """Alice in a program, who has an account and no second factor."""
    person = Person.sign_up(server, EMAIL)
    yield person
    person.close()


@pytest.fixture
def browser(server: Server, alice: Person) -> Iterator[httpx.Client]:
    """Alice in a browser, signed in."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
        client.get("/accounts/login/")
        body = {"login": EMAIL, "password": PASSWORD}
        send(client, "/accounts/login/", body)
        yield client


def send(browser: httpx.Client, path: str, body: dict[str, str]) -> httpx.Response:
    token = {"csrfmiddlewaretoken": browser.cookies["csrf"]}
    return browser.post(path, data=body | token)


def set_up(person: Person) -> None:
    secret = person.post("/me/totp", password=PASSWORD)["secret"]
    person.post("/me/totp/confirm", code=code_of(secret, 0))


def assert_refused(connect: Client) -> None:
    with pytest.raises(InvalidStatus) as refused, connect():
        pass
    assert refused.value.response.status_code == 403


def test_the_socket_of_programs_opens_only_with_one(server: Server, alice: Person):
    assert_refused(alice.socket)

    set_up(alice)

    with alice.socket() as socket:
        socket.command("ping")
        assert socket.next()["type"] == "pong"


def test_no_ticket_is_issued_for_it(alice: Person):
    refused = alice.http.post("/auth/ws-ticket")

    assert refused.status_code == 403
    assert refused.json()["code"] == "totp_setup_required"


def test_the_socket_of_pages_opens_only_with_one(
    server: Server, alice: Person, browser: httpx.Client
):
    def connect() -> Socket:
        return PageSocket(server, browser.cookies["session"])

    assert_refused(connect)

    secret = server.shell(
        "from accounts.models import User\n"
        "from accounts.tests.second_factors import with_app\n"
        f"print(with_app(User.objects.get(email='{EMAIL}')))"
    )

    assert secret
    with connect() as socket:
        socket.command("no such command")
        assert "There is no such command" in socket.connection.recv(PATIENCE)


def test_a_socket_is_told_to_leave_once_one_is_required(
    make_server: Callable[..., Server],
):
    server = make_server(MFA_REQUIRED_DOMAINS="example.org")
    alice = Person.sign_up(server, EMAIL)
    with alice.socket() as socket:
        # The operator gives her an address of the domain that needs one.
        server.shell(
            "from accounts.models import User\n"
            f"User.objects.filter(email='{EMAIL}').update(email='alice@example.org')"
        )

        socket.command("follow", message_id="00000000-0000-0000-0000-000000000000")

        assert socket.next()["code"] == "not_authenticated"
        assert socket.wait_for_close() == 4401
    alice.close()


def test_every_page_leads_to_the_set_up(browser: httpx.Client):
    for path in ("/", "/c/", "/settings/profile", "/characters/assistant", "/none"):
        answer = browser.get(path)
        assert answer.headers["Location"] == SET_UP, path

    fragment = browser.get("/c/", headers={"HX-Request": "true"})

    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (200, SET_UP)
    assert fragment.text == ""


def test_set_up_language_and_sign_out_stay_open(browser: httpx.Client):
    for path in (SET_UP, "/accounts/2fa/webauthn/add/", "/settings/language"):
        assert browser.get(path).status_code == 200, path
    said = send(browser, "/settings/language", {"language": "es", "time_zone": "UTC"})
    assert said.status_code == 302
    assert 'lang="es"' in browser.get(SET_UP).text

    left = send(browser, "/accounts/logout/", {})

    assert left.headers["Location"] == "/"
    assert browser.get("/").status_code == 200
