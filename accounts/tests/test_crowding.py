"""What is costly is done by a few at once, and the others do not wait for ever."""

import threading
import time

import pytest
from django.db import connection
from django.test import TestCase, TransactionTestCase

from accounts.crowding import Bound
from accounts.errors import Overloaded
from accounts.models import User
from accounts.tests.races import at_once


class Counted:
    """Work that notes how many do it at once."""

    def __init__(self, bound: Bound, seconds: float = 0.02) -> None:
        self.bound = bound
        self.seconds = seconds
        self.now = self.most = 0
        self.lock = threading.Lock()

    def do(self) -> str:
        with self.bound.entered():
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(self.seconds)
            with self.lock:
                self.now -= 1
        return "done"


class BoundTests(TransactionTestCase):
    def test_it_lets_so_many_in_at_once(self):
        work = Counted(Bound(2, seconds=10))

        assert at_once([work.do] * 12) == ["done"] * 12
        assert work.most == 2

    def test_it_refuses_who_has_waited_long_enough(self):
        work = Counted(Bound(1, seconds=0.1), seconds=1)
        began = time.monotonic()

        answers = at_once([work.do] * 5)

        assert answers.count("done") == 1
        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert len(refused) == 4
        assert refused[0].extra["retry_after"] > 0
        assert time.monotonic() - began < 2

    def test_it_lets_others_in_after_one_that_failed(self):
        bound = Bound(1, seconds=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError), bound.entered():
                raise ZeroDivisionError

    def test_who_waits_holds_no_connection(self):
        bound = Bound(1, seconds=0.1)
        held = []

        def wait() -> None:
            assert not User.objects.exists()
            with bound.entered():
                held.append(connection.connection)

        assert at_once([wait]) == [None]
        assert held == [None]


class TransactionTests(TestCase):
    def test_a_transaction_goes_on(self):
        User.objects.create_user("alice@example.com", "a passphrase")

        with Bound(1, seconds=0).entered():
            assert User.objects.count() == 1
