"""How often a door may be knocked at: the same count on the page and over the API.

Failures of one account are counted by allauth (ACCOUNT_RATE_LIMITS), for both as well:
they have to be taken back when somebody signs in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from allauth.account.utils import passthrough_next_redirect_url
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.errors import RateLimited
from accounts.throttling import check, client_network


class Limit(NamedTuple):
    group: str
    rate: str


#: Counted per address of the client (see `client_network`).
LOGIN = Limit("login", "30/m")
SIGN_UP = Limit("register", "20/m")
REFRESH = Limit("refresh", "60/m")
RESET = Limit("reset", "20/m")
#: Counted per user.
TICKET = Limit("ticket", "30/m")
AVATAR = Limit("avatar", "30/m")
#: Codes that are to show that an app is set up; those of one that is are counted in
#: second_factor.py.
SECOND_FACTOR = Limit("second_factor", "10/15m")

_PAGES = {
    "account_login": LOGIN,
    "mfa_login_webauthn": LOGIN,
    "account_signup": SIGN_UP,
    "account_reset_password": RESET,
    "account_reset_password_from_key": RESET,
}

#: Where the form is of what is sent to an address that has no page.
_FORMS = {"delete_account": "account_data"}

Answer = Callable[[HttpRequest], HttpResponse]


class PageLimits:
    """Count what is sent to the pages above, and answer refusals with a page.

    The API counts in its views, whose exceptions never come here.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        match = request.resolver_match
        limit = _PAGES.get(match.url_name or "") if match else None
        if limit is None or request.method != "POST":
            return None
        try:
            check(*limit, client_network(request))
        except RateLimited as refusal:
            return too_many_requests(request, refusal)
        return None

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        if isinstance(error, RateLimited):
            return too_many_requests(request, error)
        return None


def too_many_requests(
    request: HttpRequest, refusal: RateLimited | None = None
) -> HttpResponse:
    """Answer 429 with a page that says when to come back.

    allauth calls this without a refusal; its windows are a minute.
    """
    refusal = refusal or RateLimited(retry_after=60)
    context = {"refusal": refusal, "form_url": _form_url(request)}
    answer = render(request, "429.html", context, status=429)
    answer["Retry-After"] = str(refusal.extra["retry_after"])
    return answer


def _form_url(request: HttpRequest) -> str:
    """Return where to try again, and from there on to where one wanted to go."""
    match = request.resolver_match
    page = _FORMS.get(match.url_name or "") if match else None
    url = reverse(page) if page else request.path
    return passthrough_next_redirect_url(request, url, "next")
