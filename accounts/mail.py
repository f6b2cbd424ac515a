"""Mail that nobody waits for: how long it takes would tell who has an account."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

logger = logging.getLogger("tertulia.app")

#: One after another; what is still waiting at an orderly end is sent first.
_sender = ThreadPoolExecutor(1, thread_name_prefix="mail")


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
        logger.error("mail could not be sent", extra={"cause": repr(error)})
