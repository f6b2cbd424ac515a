"""What the tests of who may do what have in common: who gets through, and where."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.test import TestCase
from django.urls import URLResolver, get_resolver

from config.tests import authorization_rules as rules
from config.tests.authorization_rules import Access
from config.tests.operations import Operation
from config.tests.world import (
    FOREIGN_FORGERIES,
    FORGERIES,
    KEYS,
    PEOPLE,
    VISITORS,
    World,
    configured,
)

#: Who comes with nothing, or with something that must not count.
NOBODY = ("anonymous", "deactivated", *FORGERIES, *FOREIGN_FORGERIES, "wrong_key")

#: What lets somebody through, for each kind of access.
ADMITTED = {
    Access.EVERYBODY: {*PEOPLE, *VISITORS, *KEYS, "anonymous"},
    Access.SIGNED_IN: {*PEOPLE, *VISITORS},
    Access.OWNER: {"owner", "visiting_owner"},
    Access.READERS: {"owner", "visiting_owner", "supervisor", "admin"},
    Access.WRITER: {"owner", "visiting_owner"},
    Access.LEADERS: {"supervisor", "other_supervisor", "admin"},
    Access.LEADER: {"supervisor", "admin"},
    Access.ADMIN: {"admin", "operator_key"},
}
CLOSED = [access for access in Access if access is not Access.EVERYBODY]


@configured
class Matrix(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()

    @contextmanager
    def undone(self, **where):
        """Take back what a call changed, so that the next finds the same world."""
        with self.subTest(**where), transaction.atomic():
            yield
            transaction.set_rollback(True)


def strangers(access: Access) -> set[str]:
    """Return who is known, and to whom this is not open."""
    return {*PEOPLE, *VISITORS} - ADMITTED[access]


def told_so(access: Access) -> set[str]:
    """Return who is told that something is not theirs: who knows that it is there."""
    is_known = access in (Access.WRITER, Access.LEADER)
    return ADMITTED[Access.READERS] - ADMITTED[access] if is_known else set()


def access_of(name: str, path: str, exceptions: rules.Exceptions) -> Access:
    return exceptions[name][0] if name in exceptions else rules.default(path)


def right_for(operation: Operation) -> str:
    """Return somebody to whom an operation on Alice's object is open."""
    access = access_of(str(operation), operation.path, rules.OPERATIONS)
    return "owner" if "owner" in ADMITTED[access] else "admin"


def routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yield every route there is, as its patterns are written."""
    for pattern in (resolver or get_resolver()).url_patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, here)
        else:
            yield here


def pages() -> Iterator[str]:
    """Yield every route outside of the API that a browser may show."""
    for route in routes():
        if not route.startswith("api/v1/") and route not in rules.NOT_PAGES:
            yield route
