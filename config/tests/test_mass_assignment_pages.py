"""What a form brings besides its fields changes nothing: pages, and the admin site."""

from collections import Counter
from urllib.parse import urlencode

from django.db import transaction
from django.test import Client

from config.tests.forms import FORMS, NOT_ACCEPTED
from config.tests.matrix import pages
from config.tests.smuggling import SmugglingTestCase
from llm.testing import scripted

URLENCODED = "application/x-www-form-urlencoded"

#: Pages whose own work looks like what was smuggled, and why.
OWN_WORK = {
    "c/<uuid:pk>/reset": ({"status"}, "it closes the conversation"),
}


def forms() -> list[str]:
    """Return the pages of everybody; the forms of the admin site come below."""
    known = {*FORMS, *NOT_ACCEPTED}
    return [
        route
        for route in dict.fromkeys(pages())
        if route in known or not route.startswith("admin/")
    ]


class PageFormTests(SmugglingTestCase):
    def post(self, client: Client, route: str, form: dict, is_encoded: bool):
        address = self.world.page(route)
        with scripted("Good."):
            if is_encoded:
                return client.post(address, urlencode(form), content_type=URLENCODED)
            return client.post(address, form)

    def test_a_form_changes_nothing_that_it_does_not_ask_for(self):
        takes_forms = set()
        for route in forms():
            actor, fields = FORMS.get(route, ("owner", {}))
            for is_encoded in (False, True):
                if is_encoded and "file" in fields:
                    continue
                with self.subTest(route), transaction.atomic():
                    before = self.traces()
                    client = self.world.browser(actor)
                    for field in fields.values():
                        if hasattr(field, "seek"):
                            field.seek(0)
                    form = self.smuggled | fields
                    answer = self.post(client, route, form, is_encoded)
                    new = self.traces() - before
                    transaction.set_rollback(True)

                    if route in FORMS:
                        self.assertIn(answer.status_code, (200, 302), answer.content)
                        self.assertFalse(errors_of(answer))
                        location = answer.headers.get("Location", "")
                        self.assertNotIn("/login/?next=", location)
                    if answer.status_code != 405:
                        takes_forms.add(route)
                    for name in OWN_WORK.get(route, (set(), ""))[0]:
                        new.pop(name, None)
                    self.assertEqual(new, Counter())
        self.assertEqual(takes_forms, {*FORMS, *NOT_ACCEPTED})

    def test_no_exception_is_stale(self):
        self.assertLessEqual({*FORMS, *NOT_ACCEPTED, *OWN_WORK}, set(pages()))
        self.assertFalse(set(FORMS) & set(NOT_ACCEPTED))


def errors_of(answer) -> dict:
    form = (answer.context or {}).get("form")
    return getattr(form, "errors", {})
