"""What a signed-in person's profile changes about their pages."""

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.decorators import sync_and_async_middleware

from accounts.models import Profile, User


@sync_and_async_middleware
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

    async def amiddleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            return await get_response(request)
        with in_time_zone_of(request, await request.auser()):
            return await get_response(request)

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            return get_response(request)
        with in_time_zone_of(request, request.user):
            return get_response(request)

    return amiddleware if iscoroutinefunction(get_response) else middleware
