"""The cast with what they own, and credentials of every kind that must not work."""

import json
import re
import uuid
from datetime import timedelta
from typing import Any

import jwt
from allauth.account.models import EmailAddress
from django.apps import apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.test import Client, override_settings
from django.utils import timezone

from accounts.authentication.sessions import Tokens, open_session
from accounts.models import Export, ExternalIdentity, Session, Team, User
from accounts.tests.factories import PASSWORD, ada, alice, bob, make_user, sofia
from accounts.tests.key_server import ISSUER, SHARED, claims, issuer
from conversations.tests.factories import answer, make_character, make_conversation, say

#: Who has an account and may sign in.
PEOPLE = ("owner", "colleague", "supervisor", "other_supervisor", "admin")
#: Who comes with a good token of another service, and whom it stands for.
VISITORS = {"visiting_owner": "owner", "visiting_colleague": "colleague"}
#: Their numbers in the other service.
NUMBERS = {"visiting_owner": 1, "visiting_colleague": 2}
#: Tokens of the right person that are no good; `forged` makes them.
FORGERIES = ("refresh", "expired", "unsigned", "other_audience", "old_key")
#: Tokens of the other service that are no good, and how they differ from good ones.
FOREIGN_FORGERIES: dict[str, dict[str, Any]] = {
    "visiting_admin": {"email": "ada@example.com", "user_id": 3},
    "visiting_deactivated": {"email": "dora@example.com", "user_id": 4},
    "visiting_stranger": {"email": "nobody@example.com", "user_id": 5},
    "visiting_other_audience": {"aud": "somebody-else"},
    "visiting_expired": {"exp": 1_000_000_000},
    "visiting_other_issuer": {"iss": "https://unknown.example"},
    "visiting_unsigned": {},
    "visiting_other_key": {},
}
#: What a program sends as X-Admin-Key.
KEYS = {
    "operator_key": "an operator key of more than thirty-two characters",
    "wrong_key": "another key, also of more than thirty-two characters",
}
POLICY_DOMAIN = "policy.example"

#: An installation with everything switched on that lets somebody in or keeps them out.
configured = override_settings(
    RATELIMIT_ENABLE=False,
    ADMIN_SECRET=KEYS["operator_key"],
    JWT_ISSUERS=[issuer()],
    MFA_REQUIRED_DOMAINS=[POLICY_DOMAIN],
)


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
            # An administrator who has to set up a second factor before anything else.
            "held_back": make_user(f"petra@{POLICY_DOMAIN}", role=User.Role.ADMIN),
        }
        for name in VISITORS.values():
            # Else whoever comes with a token of the other service takes it over.
            user = self.users[name]
            EmailAddress.objects.create(user=user, email=user.email, verified=True)
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
        for actor, whom in VISITORS.items():
            # They came before: at the first time more happens than being let in.
            ExternalIdentity.objects.create(
                user=self.users[whom], issuer=ISSUER, subject=str(NUMBERS[actor])
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

    def page(self, route: str) -> str:
        """Return the path of a page, with Alice's objects for its parameters."""
        if match := re.match(r"admin/(\w+)/(\w+)/<", route):
            first = apps.get_model(*match.groups())._default_manager.first()
            return "/" + re.sub("<[^>]+>", str(first.pk if first else "x"), route)
        route = route.replace("<uuid:person>", str(self.owner.pk))
        owned = {
            "c/<": str(self.conversation.pk),
            "panel/": str(self.conversation.pk),
            "m/<": str(self.reply.pk),
            "characters/<": self.character.slug,
            "settings/sessions/<": str(uuid.uuid4()),
        }
        value = next((v for k, v in owned.items() if route.startswith(k)), "1")
        path = re.sub(r"\(\?P<app_label>[^)]+\)", "accounts", route)
        path = re.sub(r"\(\?P<folder>[^)]+\)", "avatars", path)
        path = re.sub(r"\(\?P<name>[^)]+\)", f"{'0' * 32}.webp", path)
        path = re.sub(r"\(\?P<\w+>[^)]+\)", "x", path)
        return "/" + re.sub(r"<[^>]+>", value, path).replace("^", "").removesuffix(
            r"\Z"
        ).rstrip("$")

    def known(self) -> dict[str, Any]:
        """Return good values of fields, by their names."""
        return {
            "email": "nora@example.com",
            "password": PASSWORD,
            "refresh_token": self.tokens["owner"].refresh,
            "character": self.character.slug,
            "character_id": self.character.slug,
            "conversation_id": str(self.conversation.pk),
            "user": str(self.users["colleague"].pk),
            "content": "Good evening",
            "time_zone": "Europe/Madrid",
        }

    def headers(self, actor: str, right: str = "owner") -> dict[str, str]:
        """Return the headers of `actor`, or of a forgery of the `right` one's token."""
        if actor == "anonymous":
            return {}
        if actor in KEYS:
            return {"x-admin-key": KEYS[actor]}
        return {"authorization": f"Bearer {self.token(actor, right)}"}

    def token(self, actor: str, right: str = "owner") -> str:
        if actor in VISITORS or actor in FOREIGN_FORGERIES:
            return self._foreign_token(actor, right)
        if actor in FORGERIES:
            return forged(actor, self.tokens[right])
        return self.tokens[actor].access

    def _foreign_token(self, actor: str, right: str) -> str:
        email = self.users[VISITORS.get(actor, right)].email
        usual = {"email": email, "user_id": NUMBERS.get(actor, 9)}
        said = claims(**usual | FOREIGN_FORGERIES.get(actor, {}))
        match actor:
            case "visiting_unsigned":
                return jwt.encode(said, "", "none")
            case "visiting_other_key":
                return jwt.encode(said, f"no longer {SHARED}", "HS256")
        return jwt.encode(said, SHARED, "HS256")

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
