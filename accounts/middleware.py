"""What a browser's session is known by, and what a profile changes about pages."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone, translation
from django_htmx.http import HttpResponseClientRedirect

from accounts.authentication import browsers
from accounts.mfa import second_factor
from accounts.models import Profile, User


def follow_browser_session(get_response):
    """Name the session through which a page is asked for, and note that it is used.

    allauth's own middleware writes at every request. The API has tokens.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        key = request.session.session_key
        is_api = request.path_info.startswith("/api/")
        if key is None or is_api or not request.user.is_authenticated:
            return get_response(request)
        user = request.user
        user.credential = browsers.credential_of(key)
        browsers.note_use(request, user)
        response = get_response(request)
        if request.session.session_key != key:
            # A new password changes the key; signing out takes it away.
            browsers.follow_key(key, request.session.session_key)
        if request.user is not user:  # who has left
            # What was typed and not sent is kept in the browser until then.
            response["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


#: What is open to who has to set up a second factor first, besides the pages that set
#: it up (mfa_…): what leads there, what is the same for everybody, and leaving.
BEFORE_SECOND_FACTOR = {
    "account_logout",
    "account_reauthenticate",
    "admin:logout",
    "choose_theme",
    "health",
    "language",
    "media",
    "security",
    "set_language",
    "setup_second_factor",
}


def _is_open(request: HttpRequest) -> bool:
    if request.path_info.startswith("/api/"):
        return True
    try:
        # The request knows its page only once the middleware is through.
        name = resolve(request.path_info).view_name
    except Resolver404:
        return False
    return name in BEFORE_SECOND_FACTOR or name.startswith("mfa_")


def require_second_factor(get_response):
    """Lead who needs a second factor, and has none, to where it is set up.

    The API has its own way to say so (see `bearer.py`).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        if (
            isinstance(user, User)
            # The cheapest question first.
            and second_factor.is_required(user)
            and not _is_open(request)
            and second_factor.is_missing(user)
        ):
            set_up = reverse("mfa_activate_totp")
            # What asks for a fragment would show the page in the middle of its own.
            is_fragment = "HX-Request" in request.headers
            return (HttpResponseClientRedirect if is_fragment else redirect)(set_up)
        return get_response(request)

    return middleware


def speak_as_profile_says(get_response):
    """Show pages in the language and times in the time zone of the profile.

    The API follows `Accept-Language` and answers times in UTC.
    """

    def in_time_zone_of(request: HttpRequest, user: User | AnonymousUser):
        # The session's backend has read the profile along with the user.
        profile: Profile | None = getattr(user, "profile", None)
        if profile is None:
            return timezone.override(None)
        # Not undone: LocaleMiddleware, outside, names the language in a header
        # afterwards, and chooses one anew for every request.
        translation.activate(profile.language)
        request.LANGUAGE_CODE = translation.get_language()
        return timezone.override(profile.time_zone)

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            return get_response(request)
        with in_time_zone_of(request, request.user):
            return get_response(request)

    return middleware
