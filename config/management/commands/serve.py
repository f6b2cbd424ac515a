"""`manage.py serve`: everything between an empty directory and the first answer."""

import contextlib
import ctypes
import errno
import gc
import logging
import os
from collections.abc import Iterator

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.urls import get_resolver
from django.utils.termcolors import make_style

from config.environment import ANY_ADDRESS, own_names

logger = logging.getLogger("tertulia.app")

#: The key of the advisory lock under which one process at a time migrates.
MIGRATION_LOCK = 0x7E27011A


class Command(BaseCommand):
    help = "Prepare the database and serve the site on HOST:PORT."
    # The checks import everything twice over; `make check` runs them.
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        from config import server

        try:
            listener = server.listen(settings.HOST, settings.PORT)
        except OSError as error:
            raise CommandError(_why_not(error)) from None
        try:
            reach_database()
            migrate()
            link = self._prepare()
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database cannot be used: {reason}") from None
        finally:
            connections.close_all()

        from accounts import chores
        from config.asgi import application
        from conversations import generations

        # Every address is loaded before the first request, which would wait for it,
        # and what cannot be loaded stops the start.
        get_resolver().url_patterns  # noqa: B018
        # What is loaded stays: the collector need not walk it again for every reply.
        gc.collect()
        gc.freeze()
        give_back_memory()
        beside = chores.start()
        server.Server(
            application,
            listener,
            background=generations.run_background,
            drain=generations.drain,
            drain_seconds=settings.DRAIN_SECONDS,
            ready=lambda: self._greet(link),
        ).run()
        # Before the pool of connections is closed under it.
        chores.end(beside)
        connections.close_all()
        if close_pool := getattr(connection, "close_pool", None):
            close_pool()
        # Python would join the threads of requests that were given up, and those wait
        # for the event loop, which has ended.
        logging.shutdown()
        self.stdout.flush()
        os._exit(0)

    def _prepare(self) -> str | None:
        from accounts.setup import setup_link
        from characters.seeding import seed

        seed()
        return setup_link(settings.PUBLIC_URL)

    def _greet(self, link: str | None) -> None:
        bold = make_style(opts=("bold",)) if self.stdout.isatty() else str
        self.stdout.write(f"Tertulia is at {bold(settings.PUBLIC_URL)}")
        if settings.HOST in ANY_ADDRESS and not settings.PRODUCTION:
            for name in sorted(own_names() & set(settings.ALLOWED_HOSTS)):
                self.stdout.write(f"  also http://{name}:{settings.PORT}")
        if link:
            self.stdout.write(
                f"Nobody administers it yet. Become the one: {bold(link)}"
            )
        self.stdout.write("Ctrl-C ends it.")
        self.stdout.flush()
        if settings.PRODUCTION:
            warn_of_mail(settings.MAIL_BACKEND)


def warn_of_mail(backend: str) -> None:
    """Say what does not work where no mail server is named."""
    if backend.endswith(".dummy.EmailBackend"):
        logger.warning(
            "no mail is sent: EMAIL_URL names no mail server, so nobody can choose a "
            "new password, confirm an address or be told of a change by mail"
        )
    elif backend.endswith(".ConsoleBackend"):
        logger.warning(
            "mail is printed: EMAIL_URL says so, and whoever reads the output can use "
            "the links in it"
        )


def give_back_memory() -> None:
    """Return to the system what a migration has used: glibc would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _why_not(error: OSError) -> str:
    where = f"{settings.HOST}:{settings.PORT}"
    if error.errno == errno.EADDRINUSE:
        return f"Another program listens at {where}: end it, or set PORT."
    return f"Cannot listen at {where} ({error.strerror}): set HOST and PORT."


def reach_database() -> None:
    """Connect once without the pool, which would retry and not say what is wrong."""
    if connection.vendor == "postgresql":
        import psycopg

        parameters = connection.get_connection_params()
        with connection.wrap_database_errors:
            psycopg.connect(**parameters).close()


def migrate() -> None:
    """Bring the schema up to date; of processes that start together, one does."""
    if not _has_plan():
        return
    from django.core.management import call_command

    with _alone():
        if _has_plan():
            call_command("migrate", interactive=False, verbosity=0)


def _has_plan() -> bool:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if connection.vendor == "postgresql":
        # On a connection of its own: the lock ends with its transaction, whatever
        # `migrate` does to the connection it works on.
        lock = connections.create_connection(DEFAULT_DB_ALIAS)
        try:
            lock.set_autocommit(False)
            with lock.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            yield
            lock.rollback()
        finally:
            lock.close()
    else:
        import fcntl

        with open(f"{connection.settings_dict['NAME']}-migrating", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
