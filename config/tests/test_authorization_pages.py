"""Every page, asked for by everybody, and sent an empty form.

Who may is written in `authorization_rules.py`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from config.tests import authorization_rules as rules
from config.tests.authorization_rules import Access
from config.tests.matrix import (
    ADMITTED,
    CLOSED,
    Matrix,
    access_of,
    pages,
    told_so,
)
from config.tests.world import FORGERIES, PEOPLE

#: Where a second factor is set up.
SET_UP = "/accounts/2fa/totp/activate/"


#: What is written in whoever asks for a page, whatever they look at.
NOTED = {
    "usersessions_usersession": "when and from where a session was last used",
}
WRITING = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"(\w+)"', re.IGNORECASE)


def written(statements: CaptureQueriesContext) -> set[str]:
    """Return the tables that these statements write to."""
    found = (WRITING.match(query["sql"]) for query in statements)
    return {match[1] for match in found if match}


class PageTests(Matrix):
    def each(self, *kinds: Access) -> Iterator[tuple[str, str, Access, str]]:
        """Yield every page to be read, and to be sent an empty form."""
        for route in pages():
            access = access_of(route, route, rules.PAGES)
            if access in kinds:
                for method in ("GET", "POST"):
                    yield method, self.world.page(route), access, route

    @contextmanager
    def answer(self, method: str, address: str, actor: str, headers=None, **options):
        with self.undone(page=address, actor=actor, method=method):
            browser = self.world.browser(actor, **options)
            yield browser.generic(method, address, headers=headers)

    def assert_refused(self, answer, *statuses: int):
        if answer.status_code == 302:
            self.assertIn("/login/?next=", answer["Location"])
        else:
            # A page that takes only forms says so to whoever would read it.
            self.assertIn(answer.status_code, (*statuses, 405))

    def test_who_is_not_signed_in_is_sent_to_sign_in(self):
        for method, address, _access, _route in self.each(*CLOSED):
            for actor in ("anonymous", "deactivated"):
                with self.answer(method, address, actor) as answer:
                    self.assert_refused(answer, 401, 403, 404)

    def test_what_opens_the_api_opens_no_page(self):
        key = self.world.headers("operator_key")
        for method, address, _access, _route in self.each(*CLOSED):
            for actor in ("owner", "admin", "visiting_owner", *FORGERIES):
                headers = self.world.headers(actor) | key
                with self.answer(method, address, "anonymous", headers) as answer:
                    self.assert_refused(answer, 401, 403, 404)

    def test_who_has_to_set_up_a_second_factor_is_led_there(self):
        for method, address, _access, route in self.each(*Access):
            is_open = route.startswith(tuple(rules.PAGES_BEFORE_SECOND_FACTOR))
            with self.answer(method, address, "held_back") as answer:
                self.assertLess(answer.status_code, 500)
                is_led = answer.headers.get("Location") == SET_UP
                self.assertEqual(is_led, not is_open)

    def test_what_is_somebody_elses_does_not_exist(self):
        for method, address, access, _route in self.each(
            Access.OWNER, Access.READERS, Access.WRITER, Access.LEADER
        ):
            for actor in set(PEOPLE) - ADMITTED[access]:
                refused = 403 if actor in told_so(access) else 404
                with self.answer(method, address, actor) as answer:
                    self.assertIn(answer.status_code, (refused, 405))

    def test_what_is_for_administrators_is_for_nobody_else(self):
        for method, address, access, _route in self.each(Access.LEADERS, Access.ADMIN):
            for actor in set(PEOPLE) - ADMITTED[access]:
                with self.answer(method, address, actor) as answer:
                    self.assert_refused(answer, 403, 404)

    def test_whoever_may_is_let_through(self):
        turned_away = set()
        for method, address, access, route in self.each(*Access):
            for actor in ADMITTED[access] & {*PEOPLE, "anonymous"}:
                with self.answer(method, address, actor) as answer:
                    self.assertLess(answer.status_code, 500)
                    self.assertNotEqual(answer.status_code, 401)
                    if access is not Access.EVERYBODY:
                        location = answer.headers.get("Location", "")
                        self.assertNotIn("/login/?next=", location)
                    # The admin site also says no to what a model does not allow.
                    if access is not Access.ADMIN and answer.status_code in (403, 404):
                        turned_away.add(route)
        self.assertEqual(turned_away, set(rules.TURNED_AWAY))

    def test_looking_changes_nothing(self):
        for route in pages():
            access = access_of(route, route, rules.PAGES)
            for actor in ADMITTED[access] & {*PEOPLE, "anonymous"}:
                with (
                    CaptureQueriesContext(connection) as statements,
                    self.answer("GET", self.world.page(route), actor),
                ):
                    pass
                allowed = {*NOTED, *rules.WRITTEN_BY_LOOKING.get(route, ())}
                if "<path:object_id>" in route:
                    allowed |= rules.WRITTEN_OF_WHAT_IS_MISSING
                self.assertEqual(written(statements) - allowed, set(), route)

    def test_what_writes_is_noticed(self):
        with CaptureQueriesContext(connection) as statements:
            User.objects.update(is_active=True)
            User.objects.filter(email="nobody@example.com").delete()
        self.assertEqual(written(statements), {"accounts_user"})

    def test_no_form_is_taken_from_another_site(self):
        for route in pages():
            address = self.world.page(route)
            with self.answer(
                "POST", address, "admin", enforce_csrf_checks=True
            ) as answer:
                self.assertIn(answer.status_code, (403, 405))
