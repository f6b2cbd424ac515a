"""Password, second factor and passkeys: how things stand, and where to change them.

It changes nothing itself: that is done on allauth's pages.
"""

from allauth.mfa.models import Authenticator
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import passwords
from accounts.authentication.bearer import signed_in
from accounts.mfa import second_factor

Type = Authenticator.Type


@login_required
@never_cache
@require_safe
def security(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    found = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    one_of = {authenticator.type: authenticator for authenticator in found}
    codes = one_of.get(Type.RECOVERY_CODES)

    return render(
        request,
        "accounts/security.html",
        {
            "page": "security",
            "may_change_password": passwords.may_change(user),
            "is_required": second_factor.is_required(user),
            "totp": one_of.get(Type.TOTP),
            "passkeys": [one for one in found if one.type == Type.WEBAUTHN],
            "codes_left": second_factor.left_of(codes),
            "are_codes_unseen": codes is not None and "seed" in codes.data,
        },
    )
