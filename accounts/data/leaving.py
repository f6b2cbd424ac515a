"""What shows that whoever asks for the end of an account is the person themself.

The password; of who has none, because another service signs them in or the operator
made the account, a code of the second factor; of who has neither, their e-mail, which
at least shows that nobody slipped. Pages and API ask here; on the page allauth asks for
the second factor, a passkey included, before the e-mail.
"""

from allauth.account.adapter import get_adapter
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.errors import InvalidTotp
from accounts.mfa import second_factor
from accounts.models import User, normalize_email
from accounts.wording import WRONG_PASSWORD

#: What is said when it is not right.
WRONG = {
    "password": WRONG_PASSWORD,
    "code": InvalidTotp.detail,
    "email": _("This is not the e-mail of your account."),
}


def proof_of(user: User) -> str:
    """Return which of "password", "code" and "email" the API asks `user` for."""
    if user.has_usable_password():
        return "password"
    if second_factor.has_totp(user) or second_factor.recovery_codes_left(user):
        return "code"
    return "email"


def is_proved(request: HttpRequest, user: User, proof: str, given: str) -> bool:
    """Whether `given` is what `proof` names; a code is used up by that.

    Counts failures as signing in does; raises RateLimited after too many.
    """
    match proof:
        case "password":
            asked = {"email": user.email, "password": given}
            return bool(get_adapter().authenticate(request, **asked) == user)
        case "code":
            return second_factor.verify(user, given)
    return normalize_email(given) == user.email
