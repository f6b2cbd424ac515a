"""allauth's second step of signing in, closed once the first counts no more."""

from allauth.mfa.base import views as allauth
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from accounts.authentication import sign_ins


@never_cache
def second_step(request: HttpRequest) -> HttpResponse:
    # Before a code is used up for nothing.
    if sign_ins.is_overtaken(request):
        return sign_ins.start_again(request)
    return allauth.authenticate(request)
