"""How mail is printed where no server sends it."""

import io

from django.core.mail import EmailMessage
from django.test import SimpleTestCase

from accounts.mail import ConsoleBackend

HOSTILE = "Ñandú 👋\x1b[2J\x07\x9b31m\u202e"


class ConsoleTests(SimpleTestCase):
    def printed(self, body):
        out = io.StringIO()
        letter = EmailMessage("Hello", body, "me@example.org", ["you@example.org"])
        ConsoleBackend(stream=out).send_messages([letter])
        return out.getvalue()

    def test_it_prints_what_a_developer_needs(self):
        printed = self.printed("Choose it here:\n\nhttp://localhost/x\n")

        assert "Subject: Hello\n" in printed
        assert "To: you@example.org\n" in printed
        assert "Choose it here:\n\nhttp://localhost/x\n" in printed

    def test_it_sends_nothing_to_the_terminal_that_it_obeys(self):
        printed = self.printed(f"{HOSTILE}\nlast")

        assert all(character.isprintable() for character in printed.replace("\n", ""))
        assert "Ñandú 👋\\x1b[2J" in printed
        assert "\nlast\n" in printed
