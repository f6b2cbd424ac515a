"""The cast, and the credentials they come with, for the tests of every app."""

from typing import Any

from django.apps import apps

from accounts.authentication.sessions import open_session
from accounts.models import User

PASSWORD = "correct horse battery"


def make_user(
    email: str = "someone@example.com",
    password: str = PASSWORD,
    *,
    profile: dict[str, Any] | None = None,
    **fields: Any,
) -> User:
    """Create a user with a profile; `profile` names fields of the latter."""
    return User.objects.create_user(email, password, profile=profile or {}, **fields)


def alice(**fields: Any) -> User:
    """Return the user who owns what a test is about."""
    return _member("alice", **fields)


def bob(**fields: Any) -> User:
    """Return a colleague of Alice."""
    return _member("bob", **fields)


def sofia(**fields: Any) -> User:
    """Return a supervisor."""
    return _member("sofia", **{"role": User.Role.SUPERVISOR} | fields)


def ada(**fields: Any) -> User:
    """Return an administrator."""
    return _member("ada", **{"role": User.Role.ADMIN} | fields)


def charlie(**fields: Any) -> User:
    """Return a user who must see nothing of anybody else's."""
    return _member("charlie", **fields)


def change(user: User, **fields: Any) -> None:
    """Store `fields` of a user, with what a change of them ends."""
    for name, value in fields.items():
        setattr(user, name, value)
    user.save(update_fields=list(fields))


def bearer(user: User) -> str:
    """Return an access token of a new session of `user`."""
    return open_session(user).access


def auth(user: User) -> dict[str, str]:
    """Return the headers of a signed-in API request, for Django's test client."""
    return {"HTTP_AUTHORIZATION": f"Bearer {bearer(user)}"}


def everything() -> dict[str, list[Any]]:
    """Return every row of our models and allauth's, to be compared with later ones."""
    return {
        kind._meta.label: list(kind._default_manager.order_by("pk").values())
        for kind in apps.get_models()
        if kind._meta.app_label in ("accounts", "account", "mfa", "usersessions")
    }


def _member(name: str, **fields: Any) -> User:
    profile = {"display_name": name.title()} | fields.pop("profile", {})
    return make_user(f"{name}@example.com", profile=profile, **fields)
