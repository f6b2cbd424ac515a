"""Who may choose a new password here, and what happens when they do."""

from allauth.account.adapter import get_adapter
from django.conf import settings

from accounts import audit
from accounts.addresses import is_at
from accounts.models import User


def may_change(user: User) -> bool:
    """Whether `user` may: where PASSWORD_CHANGE_DOMAINS is empty, everyone."""
    domains = settings.PASSWORD_CHANGE_DOMAINS
    return not domains or is_at(user.email, domains)


def change(user: User, password: str) -> None:
    """Store a new password, which ends every session but the one that asks.

    Tells whose it is by mail.
    """
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record("user.password_changed", actor=user, of=user, via="api")
    get_adapter().send_notification_mail("account/email/password_changed", user)
