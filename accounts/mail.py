"""Mail that nobody waits for: how long it takes would tell who has an account."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.mail import EmailMessage, get_connection, send_mail
from django.core.mail.backends import console
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation

from accounts.models import User

logger = logging.getLogger("tertulia.app")

#: One after another; what is still waiting at an orderly end is sent first.
_sender = ThreadPoolExecutor(1, thread_name_prefix="mail")


def write_to(user: User, letter: str, **context: object) -> None:
    """Send `user` a letter, in their language, once what it tells of is stored.

    `letter` is the path of its two templates up to "_subject.txt" and "_message.txt".
    """
    with (
        translation.override(user.profile.language),
        timezone.override(user.profile.time_zone),
    ):
        subject = render_to_string(f"{letter}_subject.txt", context)
        body = render_to_string(f"{letter}_message.txt", context)
    # No partial: Django cannot name one where it says that it failed.
    transaction.on_commit(
        lambda: send_mail(subject.strip(), body, None, [user.email]), robust=True
    )


class ConsoleBackend(console.EmailBackend):
    """Print messages for developers, and nothing that a terminal would obey."""

    def write_message(self, message: EmailMessage) -> None:
        text = message.message().as_bytes().decode(errors="replace")
        shown = "".join(map(_shown, text))
        self.stream.write(f"{shown}\n{'-' * 79}\n")


def _shown(character: str) -> str:
    is_plain = character.isprintable() or character == "\n"
    return character if is_plain else character.encode("unicode_escape").decode()


class LaterBackend(BaseEmailBackend):
    """Hand messages to a thread that sends them by MAIL_BACKEND."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        _sender.submit(_send, list(email_messages))
        return len(email_messages)


def _send(messages: list[EmailMessage]) -> None:
    try:
        get_connection(settings.MAIL_BACKEND).send_messages(messages)
    except Exception as error:
        # Not whom it was for: the log is read by more people than the mail.
        logger.error("mail could not be sent", extra={"cause": error})
