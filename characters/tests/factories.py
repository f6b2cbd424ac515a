"""Characters, and people who talk with them, for tests."""

from typing import Any

from accounts.models import User
from characters.models import Character


def make_character(slug: str = "nora", **fields: Any) -> Character:
    return Character.objects.create(slug=slug, **{"name": slug.title()} | fields)


def talk(user: User, character: Character) -> None:
    """Give `user` a conversation with `character`."""
    user.conversations.create(character=character)
