"""What administrators do with characters, at whatever door: the API and the admin site.

Everything is recorded, a change with the names of what changed and without the words.
What a character may be, the model says; who may ask is decided by the doors.
"""

from typing import IO, Any

from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.text import slugify

from accounts import audit
from accounts.media import avatars
from accounts.models import User
from characters.errors import HasConversations
from characters.models import Character


def make(character: Character, *, actor: User | None, via: str) -> None:
    """Store a new character; one without a slug gets one made of its name.

    `actor` is None for a program with the operator key; `via` names the door. Raises
    ValidationError for what the model refuses.
    """
    is_named = bool(character.slug)
    while True:
        if not is_named:
            character.slug = _free_slug(character.name)
        # A slug that is made and was free a moment ago may be taken by now.
        character.full_clean(validate_unique=is_named)
        try:
            with transaction.atomic(), avatars.replacing(character):
                character.save(force_insert=True)
                _record("made", character, actor=actor, via=via)
        except IntegrityError:
            # Where another request was faster, the next round sees what it made.
            if not Character.objects.filter(pk=character.pk).exists():
                raise
        else:
            return


def change(
    character: Character,
    *,
    actor: User | None,
    via: str,
    is_archived: bool | None = None,
    **changes: Any,
) -> None:
    """Change fields of a character; archive it, or take it out of the archive.

    Raises ValidationError as `make` does, and Http404 when it has been deleted.
    """
    with transaction.atomic():
        # Two changes that are good by themselves must not make a bad character.
        stored = _locked(character)
        fields = [name for name in changes if getattr(stored, name) != changes[name]]
        for name in fields:
            setattr(stored, name, changes[name])
        if fields:
            stored.full_clean()
            with avatars.replacing(stored):
                stored.save(update_fields=fields)
            _record("changed", stored, fields=fields, actor=actor, via=via)
        if is_archived is not None and is_archived != stored.is_archived:
            stored.archived_at = timezone.now() if is_archived else None
            stored.save(update_fields=["archived_at"])
            action = "archived" if is_archived else "restored"
            _record(action, stored, actor=actor, via=via)


def delete(character: Character, *, actor: User | None, via: str) -> None:
    """Delete a character with its picture.

    Raises HasConversations while there are any, and Http404 when it is gone already.
    """
    with transaction.atomic():
        # Who opens a conversation meanwhile waits, and finds it gone.
        stored = _locked(character)
        if stored.conversations.exists():
            raise HasConversations
        # Before, while there is something it is about.
        _record("deleted", stored, actor=actor, via=via)
        stored.delete()


def put_avatar(
    character: Character, file: IO[bytes], *, actor: User | None, via: str
) -> None:
    """Make a picture out of `file` the character's; raises what `avatars.put` does."""
    avatars.put(character, file)
    _record("changed", character, fields=["avatar"], actor=actor, via=via)


def remove_avatar(character: Character, *, actor: User | None, via: str) -> None:
    """Leave the character without a picture."""
    if character.avatar:
        avatars.remove(character)
        _record("changed", character, fields=["avatar"], actor=actor, via=via)


def _record(action: str, character: Character, **details: Any) -> None:
    audit.record(f"character.{action}", of=character, **details)


def _locked(character: Character) -> Character:
    return get_object_or_404(Character.objects.select_for_update(), pk=character.pk)


def _free_slug(name: str) -> str:
    """Return a slug for `name` that no character has: luna, luna-2, luna-3."""
    base = slugify(name)[:50].strip("-") or "character"
    taken = set(
        Character.objects.filter(slug__startswith=base).values_list("slug", flat=True)
    )
    number, slug = 1, base
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug
