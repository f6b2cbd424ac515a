"""What a sign-in rests on, from its first step until its session is stored.

Whoever changes any of that ends the sessions that are open; a sign-in that is not one
yet is found out here. Knows nothing of how somebody proves who they are.
"""

from allauth.account.internal.stagekit import clear_login, unstash_login
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from accounts.models import User

KEY = "sign_in_basis"


def basis_of(user: User) -> str:
    """Return a mark, no secret, that is another once `user` has to be asked again.

    That is after a new password, role or second factor, a deactivation, or when they
    asked to be deleted.
    """
    factors = Authenticator.objects.filter(user=user).order_by("pk")
    # As the session auth hash does, it keeps the hash of the password to itself.
    marked = salted_hmac(
        "accounts.sign_in",
        repr(
            [
                str(user.pk),
                user.password,
                str(user.role),
                user.is_active,
                user.delete_at and user.delete_at.timestamp(),
                list(factors.values_list("pk", flat=True)),
            ]
        ),
        algorithm="sha256",
    )
    return marked.hexdigest()


def still_holds(user: User, basis: str) -> bool:
    """Whether nothing has changed since, nor will before the transaction ends."""
    known = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
    if known is None or not known.is_active:
        return False
    return constant_time_compare(basis_of(known), basis)


# Of a browser, whose second step is another request


def begin(request: HttpRequest, user: User) -> None:
    """Remember what `user`, who has just taken the first step, has proved it by."""
    request.session[KEY] = basis_of(user)


def may_finish(request: HttpRequest, user: User) -> bool:
    """Whether the sign-in that was begun still rests on what it did; see above."""
    return still_holds(user, request.session.pop(KEY, ""))


def is_overtaken(request: HttpRequest) -> bool:
    """Whether a sign-in waits for its second step that must not be taken any more."""
    login = unstash_login(request, peek=True)
    if login is None or not isinstance(login.user, User):
        return False
    return not constant_time_compare(basis_of(login.user), request.session.get(KEY, ""))


def start_again(request: HttpRequest) -> HttpResponse:
    """Forget the sign-in, and send the person back to its beginning."""
    clear_login(request)
    request.session.pop(KEY, None)
    sentence = _("Your account was changed while you were signing in; sign in again.")
    messages.error(request, sentence)
    return redirect("account_login")
