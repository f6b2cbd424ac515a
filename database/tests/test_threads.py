"""A thread for database work never meets its user with a connection that has died."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from django.db import connection

from database.threads import Outage, _mending


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def in_one_thread(work: Callable[[], None]) -> None:
    """Do `work` with a connection of its own, which is closed afterwards."""
    failures = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def end(pid: int) -> None:
    parameters = connection.get_connection_params()
    with psycopg.connect(**parameters, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_ended_a_moment_ago_is_replaced():
    def work() -> None:
        first = _mending(backend)
        assert _mending(backend) == first
        end(first)
        assert _mending(backend) != first

    in_one_thread(work)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_that_ends_during_the_work_fails_it_and_only_it():
    def cut_off() -> None:
        end(backend())
        backend()

    def work() -> None:
        with pytest.raises(Outage):
            _mending(cut_off)
        assert _mending(backend)

    in_one_thread(work)
