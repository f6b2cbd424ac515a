"""`manage.py demo`: accounts of every role, with a history, to look around with."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from config.management.commands.serve import migrate, reach_database

if TYPE_CHECKING:
    from conversations.demo import Account


class Command(BaseCommand):
    help = "Make the demo accounts, or give them new passwords, and print them."
    # As for `serve`: `make check` runs the checks.
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        if settings.PRODUCTION:
            raise CommandError("Demo accounts are not for production (DEBUG=false).")

        from characters.seeding import seed
        from conversations import demo

        try:
            reach_database()
            migrate()
            seed()
            accounts = demo.make()
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database cannot be used: {reason}") from None
        self._print(accounts)

    def _print(self, accounts: "list[Account]") -> None:
        rows = [
            (user.role, str(user.profile), user.email, password)
            for user, password in accounts
        ]
        header = ("role", "name", "e-mail", "password")
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, *rows):
            cells = zip(row, widths, strict=True)
            line = "  ".join(cell.ljust(width) for cell, width in cells)
            self.stdout.write(f"  {line}".rstrip())
        self.stdout.write(
            "The passwords are shown only now; another run makes new ones.\n"
            f"Sign in at {settings.PUBLIC_URL}/accounts/login/ (`make run` serves it)."
        )
