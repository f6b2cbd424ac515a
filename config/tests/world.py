"""The cast with what they own, and credentials of every kind that must not work."""

import json
from datetime import timedelta
from typing import Any

import jwt
from django.conf import settings
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from accounts.authentication.sessions import Tokens, open_session
from accounts.models import Export, Session, Team, User
from accounts.tests.factories import PASSWORD, ada, alice, bob, make_user, sofia
from conversations.tests.factories import answer, make_character, make_conversation, say

#: Who has an account and may sign in.
PEOPLE = ("owner", "colleague", "supervisor", "other_supervisor", "admin")
#: Tokens of the right person that are no good; `forged` makes them.
FORGERIES = ("refresh", "expired", "unsigned", "other_audience", "old_key")


class World:
    """Alice owns; her team has Bob and Sofía's supervision; Ada administers."""

    def __init__(self) -> None:
        team, other = (Team.objects.create(name=name) for name in ("Ours", "Theirs"))
        self.users = {
            "owner": alice(team=team),
            "colleague": bob(team=team),
            "supervisor": sofia(team=team),
            "other_supervisor": make_user(
                "simon@example.com", role=User.Role.SUPERVISOR, team=other
            ),
            "admin": ada(),
            "deactivated": make_user("dora@example.com", team=team),
        }
        self.tokens = {name: open_session(user) for name, user in self.users.items()}
        self.cookies = {name: _sign_in(user) for name, user in self.users.items()}
        for user in self.users.values():
            # What one has not asked for does not exist.
            Export.objects.create(
                user=user,
                status=Export.Status.READY,
                finished_at=timezone.now(),
                file=ContentFile(b"PK", "everything.zip"),
            )
        self.deactivate()
        self.character = make_character("sage")
        self.conversation = make_conversation(self.owner, self.character)
        say(self.conversation)
        # Nothing can be started beside a reply that is being written.
        self.reply = answer(self.conversation, "Good", "streaming")

    @property
    def owner(self) -> User:
        return self.users["owner"]

    def deactivate(self) -> None:
        # Only the column: neither a session nor a token is ended along with it.
        dora = User.objects.filter(pk=self.users["deactivated"].pk)
        dora.update(is_active=False)

    def object_at(self, path: str) -> str:
        """Return the id of what Alice owns, or Ada looks at, under an API path."""
        owned = {
            "/admin/characters/": self.character.slug,
            "/admin/users/": str(self.owner.pk),
            "/characters/": self.character.slug,
            "/conversations/": str(self.conversation.pk),
            "/messages/": str(self.reply.pk),
            "/me/sessions/": str(Session.objects.get(user=self.owner).pk),
        }
        for prefix, value in owned.items():
            if path.startswith(prefix):
                return value
        raise LookupError(f"Which object of Alice's does {path} name? Tell the world.")

    def known(self) -> dict[str, Any]:
        """Return good values of fields, by their names."""
        return {
            "email": "nora@example.com",
            "password": PASSWORD,
            "refresh_token": self.tokens["owner"].refresh,
            "character": self.character.slug,
            "character_id": self.character.slug,
            "conversation_id": str(self.conversation.pk),
            "content": "Good evening",
            "time_zone": "Europe/Madrid",
        }

    def bearer(self, actor: str, right: str = "owner") -> dict[str, str]:
        """Return the headers of `actor`, or of a forgery of the `right` one's token."""
        if actor == "anonymous":
            return {}
        if actor in FORGERIES:
            token = forged(actor, self.tokens[right])
        else:
            token = self.tokens[actor].access
        return {"authorization": f"Bearer {token}"}

    def browser(self, actor: str, **options: Any) -> Client:
        """Return a browser in which `actor` is signed in, or nobody."""
        client = Client(raise_request_exception=False, **options)
        if actor != "anonymous":
            client.cookies[settings.SESSION_COOKIE_NAME] = self.cookies[actor]
        return client


def _sign_in(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def forged(how: str, tokens: Tokens) -> str:
    """Return a token like the good one but for one thing."""
    if how == "refresh":
        return tokens.refresh
    claims = jwt.decode(tokens.access, options={"verify_signature": False})
    key, algorithm = settings.SIMPLE_JWT["SIGNING_KEY"], "HS256"
    match how:
        case "expired":
            claims["exp"] = int((timezone.now() - timedelta(minutes=1)).timestamp())
        case "unsigned":
            key, algorithm = "", "none"
        case "other_audience":
            claims["aud"] = "somebody-else"
        case "old_key":
            key = "the key before the one that is in use now"
    return jwt.encode(claims, key, algorithm)


def call(client: Client, method: str, address: str, body: Any, **options: Any) -> Any:
    """Send a body, as it is if it is bytes, or else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    options.setdefault("content_type", "application/json")
    return client.generic(method, address, data, **options)
