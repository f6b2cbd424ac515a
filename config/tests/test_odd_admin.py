"""Every page of the admin site, asked with addresses that mean nothing.

Filters, dates, ids, pages and searches stand in the address; whatever is written there,
it is no fault of the server's.
"""

from collections.abc import Iterator
from unittest import mock
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.db.models import Field
from django.test import Client, TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.admin.sessions import SessionAdmin
from accounts.models import ExternalIdentity
from config.admin_site import MAX_WORDS
from config.tests.world import World
from llm.models import DailyUsage, LanguageModel, UsageRecord

#: What is none of most kinds of value: unreadable, no number, no date, too much.
ODD = (
    b"\xff",
    b"a\0b",
    b"",
    b"x",
    b"-1",
    b"99999",
    b"9" * 30,
    b"127.0.0.1/33",
    b"0001-01-01",
    b"00000000-0000-0000-0000-00000000000g",
    b"a" * 10_000,
)
#: The site's own parameters, of lists and of rows; of one line they are given together.
OF_LISTS = (("q",), ("p", "o", "e", "all", "_facets"))
OF_ROWS = (("_to_field",), ("_popup", "_changelist_filters"))
DATES = [
    {"year": year, "month": month, "day": day}
    for year in ("2026", "0", "9999", "99999", "x")
    for month in ("", "0", "12", "x")
    for day in ("", "0", "31", "x")
]


def sites() -> Iterator[tuple[str, ModelAdmin]]:
    """Yield the address of each list of the admin site, and what makes it."""
    for model, site in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        yield reverse(name), site


def kinds(site: ModelAdmin) -> list[Field]:
    """Return a field of each kind that the rows have."""
    fields = site.model._meta.concrete_fields
    return list({type(field): field for field in fields}.values())


def odd(*names: tuple[str, ...]) -> Iterator[str]:
    """Yield queries that give these parameters odd values."""
    for together in names:
        for value in ODD:
            yield urlencode(dict.fromkeys(together, value))


@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")
@override_settings(RATELIMIT_ENABLE=False)
class OddAdminTestCase(TestCase):
    browser: Client

    @classmethod
    def setUpTestData(cls) -> None:
        cls.world = World()
        owner, today = cls.world.owner, timezone.now().date()
        LanguageModel.objects.create(label="Small", provider="demo", name="demo")
        DailyUsage.objects.create(user=owner, date=today)
        UsageRecord.objects.create(
            user=owner,
            date=today,
            model="demo/demo",
            prompt_tokens=1,
            completion_tokens=1,
            is_exact=True,
            units=2,
        )

    def setUp(self):
        self.browser = self.world.browser("admin")

    def assert_no_fault(self, address: str) -> None:
        with self.subTest(address[:150]), transaction.atomic():
            answer = self.browser.get(address)
            transaction.set_rollback(True)
            self.assertLess(answer.status_code, 500, answer.content[:300])


class ListTests(OddAdminTestCase):
    def test_no_list_is_filtered_by_it(self):
        for address, site in sites():
            names = [
                (f"{field.name}{lookup}",)
                for field in kinds(site)
                for lookup in ("", "__in")
            ]
            for query in odd(*names):
                self.assert_no_fault(f"{address}?{query}")

    def test_no_list_is_shown_by_it(self):
        for address, _site in sites():
            for query in odd(*OF_LISTS, *OF_ROWS):
                self.assert_no_fault(f"{address}?{query}")

    def test_no_list_is_led_by_dates_that_there_are_not(self):
        for address, site in sites():
            if field := site.date_hierarchy:
                for date in DATES:
                    given = {f"{field}__{part}": x for part, x in date.items() if x}
                    self.assert_no_fault(f"{address}?{urlencode(given)}")

    def test_no_action_follows_from_it(self):
        address = reverse("admin:accounts_session_changelist")
        for query in odd(("ip",), ("user__id__exact",)):
            with self.subTest(query[:150]), transaction.atomic():
                answer = self.browser.post(f"{address}?{query}", {"action": "revoke"})
                transaction.set_rollback(True)
                self.assertLess(answer.status_code, 500)

    def test_a_search_has_so_many_words(self):
        address = reverse("admin:accounts_user_changelist")

        most = self.browser.get(address, {"q": "word " * MAX_WORDS})
        more = self.browser.get(address, {"q": "word " * (MAX_WORDS + 1)})

        self.assertEqual(most.status_code, 200)
        self.assertEqual(more.status_code, 400)


class RowTests(OddAdminTestCase):
    def test_no_new_row_begins_with_it(self):
        for address, site in sites():
            fields = [(field.name,) for field in kinds(site)]
            for query in odd(*fields, *OF_ROWS):
                self.assert_no_fault(f"{address}add/?{query}")

    def test_no_row_is_found_under_it(self):
        for address, _site in sites():
            for value in filter(None, ODD):
                for page in ("", "change/", "history/", "delete/"):
                    self.assert_no_fault(f"{address}{quote(value, safe='')}/{page}")

    def test_no_row_is_shown_by_it(self):
        for address, site in sites():
            if row := site.model._base_manager.first():
                for query in odd(*OF_ROWS):
                    for page in ("change", "delete"):
                        self.assert_no_fault(f"{address}{row.pk}/{page}/?{query}")


class AutocompleteTests(OddAdminTestCase):
    def test_nothing_is_proposed_for_it(self):
        for _address, site in sites():
            for name in site.autocomplete_fields:
                field: Field = site.model._meta.get_field(name)  # type: ignore[assignment]
                good = {
                    "app_label": site.model._meta.app_label,
                    "model_name": site.model._meta.model_name,
                    "field_name": field.name,
                    "term": "a",
                    "page": "1",
                }
                for asked in good:
                    for value in ODD:
                        query = urlencode(good | {asked: value})
                        self.assert_no_fault(f"/admin/autocomplete/?{query}")


class FaultTests(OddAdminTestCase):
    """A fault of ours is none of the address."""

    def ask(self, **query: str):
        broken = mock.patch.object(
            SessionAdmin, "get_queryset", side_effect=ValueError("ours")
        )
        with broken:
            return self.browser.get(reverse("admin:accounts_session_changelist"), query)

    def test_it_is_one_where_nothing_was_asked_for(self):
        self.assertEqual(self.ask().status_code, 500)

    def test_it_can_be_found_in_the_log_where_something_was(self):
        with self.assertLogs("tertulia.app", "WARNING") as log:
            answer = self.ask(ip="127.0.0.1")

        self.assertEqual(answer.status_code, 400)
        self.assertIn("ValueError: ours", log.output[0])

    def test_what_can_be_read_is_shown(self):
        identity = ExternalIdentity.objects.all()[0]
        for address in (
            f"/admin/accounts/session/?ip=127.0.0.1&user__id__exact={identity.user_id}",
            f"/admin/accounts/externalidentity/add/?user={identity.user_id}",
            f"/admin/accounts/auditevent/?actor__id__exact={identity.user_id}&p=1&o=-1",
        ):
            with self.subTest(address):
                self.assertEqual(self.browser.get(address).status_code, 200)
