"""Requests made up from the OpenAPI document: no server error, nothing undocumented.

A longer search: SCHEMATHESIS_EXAMPLES=500, as docs/contributing.md says.
"""

import os
from collections.abc import Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from config.testing import Server
from config.testing.server import PASSWORD
from config.tests.operations import PREFIX, Operation, operations

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "10"))

ROLES = ("worker", "admin")

#: Checks that are left out, and why.
LEFT_OUT = {
    "use_after_free": "for searches over several calls",
    "ensure_resource_availability": "for searches over several calls",
    "object_level_authorization": "test_authorization.py asks for everybody",
}

#: Operations that may refuse what their schema allows, and why.
RULES = {
    "DELETE /me": "asks for who one is",
    "GET /conversations/{id}/messages": "`before` names a message of there",
    "PATCH /me": "time zones have names, and birthdates a past",
    "PATCH /me/avatar": "a file has to be a picture",
    "PATCH /admin/characters/{slug}": "a slug stays, and only adults' are explicit",
    "PATCH /admin/characters/{slug}/avatar": "a file has to be a picture",
    "POST /admin/characters": "only adults' are explicit, and models have labels",
    "POST /admin/teams": "no two teams have one name",
    "POST /auth/register": "passwords have to be good ones",
    "POST /conversations": "one of two names has to be that of a character",
    "POST /conversations/{id}/messages": "what one replies to has to be there",
    "POST /me/password": "passwords have to be good ones",
    "POST /me/totp": "asks for the password",
    "POST /me/totp/confirm": "asks for a code of the app",
    "POST /me/totp/recovery-codes": "asks for the password",
    "DELETE /me/totp": "asks for the password",
}

#: Operations that take what their schema does not, and why.
LENIENT = {
    "GET /admin/audit": "a filter that is left empty is none",
    "GET /admin/characters": "a filter that is left empty is none",
    "GET /admin/users": "a filter that is left empty is none",
    "POST /admin/characters": "the space around a text is not measured",
}

#: Operations that are left out, and why.
UNASKED = {
    "POST /chat/stream": "an event stream lasts as long as its reply",
    "GET /messages/{id}/stream": "an event stream lasts as long as its reply",
}


class Person:
    """Somebody signed in at the server, with something of their own."""

    def __init__(self, server: Server, email: str) -> None:
        self.server, self.email = server, email
        self.token = server.sign_up(email)

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        url = self.server.url + PREFIX + path
        return requests.request(
            method, url, json=body, headers=self.headers, timeout=30
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def sign_in(self) -> None:
        known = {"email": self.email, "password": PASSWORD}
        self.token = self.server.post("/auth/login", known)["access_token"]

    def object_at(self, path: str) -> str | None:
        """Return the id of a new object of theirs, where the path names one."""
        if path.startswith("/admin/characters/{"):
            made = self.call("POST", "/admin/characters", {"name": "Nora"})
            # Whom it is refused is refused the rest as well.
            return made.json().get("slug", "luna")
        if not path.startswith(("/conversations/{", "/messages/{")):
            return {"/characters/{slug}": "luna"}.get(path)
        new = {"character": "assistant"}
        conversation = self.call("POST", "/conversations", new).json()["id"]
        if path.startswith("/conversations/"):
            return conversation
        turn = self.call(
            "POST", f"/conversations/{conversation}/messages", {"content": "a"}
        )
        reply = turn.json()["reply"]["id"]
        # Who talks like a person takes their time, and a stopped reply is one as well.
        self.call("POST", f"/messages/{reply}/stop")
        return reply


@pytest.fixture(scope="module")
def server(tmp_path_factory, migrated) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("schemathesis")
    limits = {"CHAT_RATE": "100000/m", "DAILY_UNITS_LIMIT": "1000000000"}
    with Server(directory, DATABASE_URL=migrated(), **limits) as server:
        yield server
    assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def people(server: Server) -> dict[str, Person]:
    """Return who asks: administrators what is for them, and a worker everything."""
    people = {role: Person(server, f"{role}@example.org") for role in ROLES}
    for role, person in people.items():
        server.shell(
            "from accounts.models import User;"
            f"User.objects.filter(email='{person.email}').update(role='{role}')"
        )
        person.sign_in()
    return people


@pytest.fixture(scope="module")
def document(server: Server) -> schemathesis.BaseSchema:
    document = schemathesis.openapi.from_url(f"{server.url}{PREFIX}/openapi.json")
    # Parameters that nobody knows are ignored, as everywhere on the web; NUL has a test
    # of its own; and who asks is signed in, so that what is wrong is what was asked.
    document.config.generation.update(
        allow_extra_parameters=False, allow_x00=False, with_security_parameters=False
    )
    return document


def checks(role: str, operation: Operation) -> list:
    load_all_checks()
    left_out = {*LEFT_OUT}
    if str(operation) in RULES:
        left_out.add("positive_data_acceptance")
    if str(operation) in LENIENT:
        left_out.add("negative_data_rejection")
    if role == "admin":
        # It takes one of two proofs away and expects the other not to be enough.
        left_out.add("ignored_auth")
    return [check for check in CHECKS.get_all() if check.__name__ not in left_out]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("role", "operation"),
    [
        (role, operation)
        for role in ROLES
        for operation in operations()
        if str(operation) not in UNASKED
        and (role == "worker" or operation.path.startswith("/admin/"))
    ],
    ids=str,
)
def test_it_answers_as_it_says(
    document: schemathesis.BaseSchema,
    people: dict[str, Person],
    role: str,
    operation: Operation,
    mode: GenerationMode,
):
    person = people[role]
    described = document[PREFIX + operation.path][operation.method]

    @given(case=described.as_strategy(mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE and (
            own := person.object_at(operation.path)
        ):
            case.path_parameters = dict.fromkeys(case.path_parameters, own)
        case.call_and_validate(
            base_url=person.server.url,
            headers=person.headers,
            checks=checks(role, operation),
        )

    try:
        ask()
    except Unsatisfiable:
        pytest.skip("nothing about it can be wrong")


def test_no_exception_is_stale():
    assert {*UNASKED, *RULES, *LENIENT} <= {
        str(operation) for operation in operations()
    }
    load_all_checks()
    assert set(LEFT_OUT) <= {check.__name__ for check in CHECKS.get_all()}
