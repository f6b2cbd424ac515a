"""Units a day: never above the limit by more than one reply, never negative."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from threading import Barrier, Thread
from unittest import mock
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from config.testing.numbers import grown, numbers
from llm import quota
from llm.models import DailyUsage, UsageRecord
from llm.types import Usage

ZONE = "Europe/Madrid"


def make_user() -> UUID:
    return get_user_model().objects.create_user("alice@example.com").pk


def at(moment: str) -> mock._patch:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return mock.patch("llm.quota.timezone.now", return_value=now)


class ReservationTests(TestCase):
    def setUp(self) -> None:
        self.user = make_user()

    def reserve(self, units: int, limit: int = 1000) -> quota.Reservation:
        return quota.reserve(self.user, units, limit, ZONE)

    def row(self) -> tuple[int, int]:
        row = DailyUsage.objects.get(user=self.user)
        return row.used, row.reserved

    def test_it_reserves_on_the_first_use_of_a_day(self):
        with at("2026-11-20T23:30"):
            reservation = self.reserve(300)

        assert reservation == quota.Reservation(date(2026, 11, 21), 300)
        assert self.row() == (0, 300)

    def test_it_takes_one_statement_once_there_is_a_row(self):
        self.reserve(300)

        with self.assertNumQueries(1):
            self.reserve(300)

        assert self.row() == (0, 600)

    def test_it_reserves_no_more_than_is_left(self):
        self.reserve(900)

        assert self.reserve(300).units == 100

    def test_it_refuses_when_all_is_reserved_and_says_until_when(self):
        with at("2026-11-20T12:00"):
            self.reserve(1000)

            with pytest.raises(quota.QuotaExceeded) as refusal:
                self.reserve(1)

        assert refusal.value.reset_at == datetime(2026, 11, 20, 23, tzinfo=UTC)
        assert refusal.value.code == "quota_exceeded"
        assert "midnight" in refusal.value.detail
        assert self.row() == (0, 1000)

    def test_it_refuses_when_all_is_used(self):
        reservation = self.reserve(10)
        quota.settle(self.user, reservation.date, 10, 1000)

        with pytest.raises(quota.QuotaExceeded):
            self.reserve(1)

    def test_it_refuses_everything_at_a_limit_of_nothing(self):
        with pytest.raises(quota.QuotaExceeded):
            self.reserve(1, limit=0)

    def test_it_begins_a_new_day_at_the_persons_midnight(self):
        with at("2026-11-20T22:59"):
            self.reserve(1000)
        with at("2026-11-20T23:00"):
            assert self.reserve(1000).date == date(2026, 11, 21)

    def test_it_settles_and_records_in_two_statements(self):
        reservation = self.reserve(300)
        usage = Usage(prompt=40, completion=2, exact=True)

        with self.assertNumQueries(2):
            units = quota.record(self.user, reservation.date, "demo/demo", usage)
            quota.settle(self.user, reservation.date, reservation.units, units)

        assert self.row() == (42, 0)
        assert UsageRecord.objects.get().units == 42

    def test_it_never_goes_below_nothing(self):
        reservation = self.reserve(300)

        quota.settle(self.user, reservation.date, reservation.units, 0)
        quota.settle(self.user, reservation.date, reservation.units, 0)

        assert self.row() == (0, 0)

    def test_it_tells_what_is_left(self):
        with at("2026-11-20T12:00"):
            reservation = self.reserve(300)
            quota.settle(self.user, reservation.date, 200, 150)

            assert quota.usage_today(self.user, 1000, ZONE) == {
                "used": 150,
                "limit": 1000,
                "remaining": 750,
                "reset_at": datetime(2026, 11, 20, 23, tzinfo=UTC),
            }

    def test_it_tells_of_a_day_without_use(self):
        assert quota.usage_today(self.user, 1000, ZONE)["remaining"] == 1000

    def test_it_tells_of_a_limit_that_was_lowered(self):
        self.reserve(500)

        assert quota.usage_today(self.user, 100, ZONE)["remaining"] == 0


class MidnightTests(SimpleTestCase):
    def test_it_knows_the_days_that_are_longer_or_shorter(self):
        expected = {
            # The clock goes forward, and back, in the night that follows.
            ("2026-03-28T12:00", "Europe/Madrid"): "2026-03-28T23:00",
            ("2026-03-29T12:00", "Europe/Madrid"): "2026-03-29T22:00",
            ("2026-10-25T12:00", "Europe/Madrid"): "2026-10-25T23:00",
            # Midnight itself is skipped: the day begins at one o'clock.
            ("2026-03-07T12:00", "America/Havana"): "2026-03-08T05:00",
            # Midnight comes twice: the day begins with the first.
            ("2026-10-31T12:00", "America/Havana"): "2026-11-01T04:00",
            # A day that never was.
            ("2011-12-30T05:00", "Pacific/Apia"): "2011-12-30T10:00",
        }
        for (now, zone), then in expected.items():
            with self.subTest(zone=zone, now=now), at(now):
                reset = quota.reset_at(zone)
                assert reset == datetime.fromisoformat(then).replace(tzinfo=UTC)


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Start every call at the same moment; return what each returned or raised."""
    barrier = Barrier(len(calls))
    results: list[object] = []

    def run(call: Callable[[], object]) -> None:
        barrier.wait(10)
        try:
            with transaction.atomic():
                results.append(call())
        except Exception as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


class RaceTests(TransactionTestCase):
    def setUp(self) -> None:
        self.user = make_user()

    def test_it_never_reserves_the_same_unit_twice(self):
        def reserve() -> quota.Reservation:
            return quota.reserve(self.user, 30, 100, ZONE)

        for _ in range(5):
            DailyUsage.objects.all().delete()

            results = at_once([reserve] * 12)

            granted = [r.units for r in results if isinstance(r, quota.Reservation)]
            refused = [r for r in results if isinstance(r, quota.QuotaExceeded)]
            assert sorted(granted) == [10, 30, 30, 30]
            assert len(refused) == 8
            assert DailyUsage.objects.get().reserved == 100

    def test_it_loses_no_update_when_replies_end_and_begin_together(self):
        held = [quota.reserve(self.user, 10, 10_000, ZONE) for _ in range(6)]
        calls: list[Callable[[], object]] = [
            lambda r=r: quota.settle(self.user, r.date, r.units, 7) for r in held
        ]
        calls += [lambda: quota.reserve(self.user, 10, 10_000, ZONE)] * 6

        at_once(calls)

        row = DailyUsage.objects.get()
        assert (row.used, row.reserved) == (42, 60)


class CountTests(TestCase):
    """What is charged for is counted, for the operator."""

    def record(self) -> None:
        quota.record(make_user(), date(2026, 11, 21), "demo/m", Usage(10, 3, True))

    def test_tokens_and_units_are_counted_by_their_model(self):
        before = numbers()

        with self.captureOnCommitCallbacks(execute=True):
            self.record()

        assert grown(before) == {
            'tertulia_tokens_total{kind="prompt",model="demo/m"}': 10,
            'tertulia_tokens_total{kind="completion",model="demo/m"}': 3,
            'tertulia_units_total{model="demo/m"}': 13,
        }

    def test_what_is_taken_back_was_not_charged_for(self):
        before = numbers()

        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            self.record()
            transaction.set_rollback(True)

        assert grown(before) == {}
