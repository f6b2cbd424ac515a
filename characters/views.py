"""Pages of characters: who there is to talk with."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from characters.models import Character

#: How many conversations the gallery offers to go on with.
RECENT = 3


@require_safe
def gallery(request: HttpRequest) -> HttpResponse:
    characters = Character.objects.published()
    context: dict[str, object] = {"characters": characters}
    if request.user.is_authenticated:
        own = request.user.conversations.filter(status="open")
        newest = own.select_related("character").order_by("-last_message_at")
        context["recent"] = newest[:RECENT]

    return render(request, "characters/gallery.html", context)


@require_safe
def character(request: HttpRequest, slug: str) -> HttpResponse:
    character = get_object_or_404(Character.objects.published(), slug=slug)
    user = request.user
    # Only said here; it is decided where a conversation or a turn is opened.
    is_refused = (
        character.is_adult and user.is_authenticated and not user.profile.is_adult()
    )

    return render(
        request,
        "characters/character.html",
        {"character": character, "is_refused": is_refused},
    )
