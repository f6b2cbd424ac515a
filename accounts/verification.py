"""Whether an e-mail address is its account's, where EMAIL_VERIFICATION asks.

allauth keeps the address, makes the link and has the page it leads to. An account waits
for its link only if it was made by signing up while one was asked for: that leaves a
primary address that is not verified. Operators, other services and the set-up make
accounts without; allauth adds an address to those that is not primary when somebody
asks for a new password, which must keep nobody out.
"""

from allauth.account.internal.flows.email_verification import (
    send_verification_email_to_address,
)
from allauth.account.models import EmailAddress
from django.conf import settings
from django.http import HttpRequest

from accounts.models import User


def is_required() -> bool:
    """Whether who signs up has to confirm the address before signing in."""
    return settings.EMAIL_VERIFICATION == "required"


def begin(user: User) -> None:
    """Let a new account wait for its link, if one is asked for."""
    if is_required():
        EmailAddress.objects.create(user=user, email=user.email, primary=True)


def awaited(user: User) -> EmailAddress | None:
    """Return the address that keeps this account closed until it is confirmed."""
    if not is_required():
        return None
    return EmailAddress.objects.filter(
        user=user, email=user.email, primary=True, verified=False
    ).first()


def confirm(user: User) -> None:
    """Take the address for confirmed: a mail to it has been read."""
    for address in EmailAddress.objects.filter(user=user, email=user.email):
        address.set_verified()


def write_to_owner(request: HttpRequest, user: User, *, is_new: bool) -> None:
    """Tell by mail, and nowhere else, what became of a sign-up with this address.

    One mail in three minutes: whose address it is did not ask for any.
    """
    address = awaited(user)
    if address is not None:
        send_verification_email_to_address(request, address, signup=is_new)
    elif not is_new:
        known = EmailAddress(email=user.email)
        send_verification_email_to_address(request, known, signup=True)


def send_again(request: HttpRequest, address: EmailAddress) -> None:
    """Send another link to who signs in without having followed one."""
    send_verification_email_to_address(request, address)
