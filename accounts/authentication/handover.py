"""An account that is handed to whom another service says has its e-mail.

Whoever signs up may write anybody's address. Where it is not known to be theirs, the
word of the service is the stronger: who made the account keeps no way in.
"""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.urls import reverse

from accounts import audit, passwords, verification
from accounts.authentication import sessions
from accounts.mail import write_to
from accounts.models import AuditEvent, User

#: With these an operator has said whose address it is.
BY_OPERATOR = ("user.made", "user.email_changed")


def hand_over(user: User, issuer: str) -> None:
    """Take the account from whoever has a way in, unless the address is theirs.

    `user` is locked. Afterwards the address is confirmed, so it happens once.
    """
    if _is_known_as_theirs(user):
        return
    factors = Authenticator.objects.filter(user=user)
    had_a_key = user.has_usable_password() or factors.exists()
    user.set_unusable_password()
    user.save(update_fields=["password"])
    factors.delete()
    sessions.end_all(user)
    EmailAddress.objects.get_or_create(user=user, email=user.email)
    verification.confirm(user)
    if not had_a_key:
        return
    audit.record("account.handed_over", of=user, issuer=issuer)
    page = settings.PUBLIC_URL.rstrip("/") + reverse("account_reset_password")
    url = page if passwords.may_change(user) else ""
    write_to(user, "accounts/email/handed_over", issuer=issuer, url=url)


def _is_known_as_theirs(user: User) -> bool:
    confirmed = EmailAddress.objects.filter(user=user, email=user.email, verified=True)
    entered = AuditEvent.objects.filter(
        object_type="user", object_id=str(user.pk), action__in=BY_OPERATOR
    )
    return confirmed.exists() or entered.exists()
