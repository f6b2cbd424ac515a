"""Who may do what: three defaults, and the exceptions with a reason each.

The tests of `test_authorization.py` and `test_authorization_pages.py` ask every
operation and page for it.
"""

from enum import Enum


class Access(Enum):
    """Who gets through; all others are refused before anything else is looked at."""

    EVERYBODY = "whoever asks, signed in or not"
    SIGNED_IN = "whoever is signed in, about themself"
    OWNER = "whose object it is; for others it does not exist"
    READERS = "the owner, the supervisor of their team, and administrators"
    WRITER = "the owner; readers are told that it is not theirs to change"
    LEADERS = "supervisors and administrators"
    LEADER = "the supervisor of their team, and administrators; not the owner"
    ADMIN = "administrators"


#: Conversations and messages, in the API and on pages.
READ_BY_OTHERS = ("/conversations/{", "/messages/{", "c/<", "m/<")
#: People, what they said, and the handing over of it.
PANEL = "panel/<"


def default(path: str) -> Access:
    """Return who may ask for a path, parameters in `{}` or `<>`, by its look."""
    if path.startswith(("/admin/", "admin/")):
        return Access.ADMIN
    if path.startswith(READ_BY_OTHERS):
        return Access.WRITER
    if path.startswith(PANEL):
        return Access.LEADER
    if any(mark in path for mark in "{<("):
        return Access.OWNER
    return Access.SIGNED_IN


Exceptions = dict[str, tuple[Access, str]]

OPERATIONS: Exceptions = {
    "GET /conversations/{id}": (Access.READERS, "supervisors read"),
    "GET /conversations/{id}/messages": (Access.READERS, "supervisors read"),
    "GET /messages/{id}": (Access.READERS, "supervisors read"),
    "GET /messages/{id}/stream": (Access.READERS, "supervisors read"),
    "POST /conversations/{id}/reassign": (
        Access.LEADER,
        "who sees both hands it over, and no owner gives theirs away",
    ),
    "GET /characters": (Access.EVERYBODY, "the gallery is open"),
    "GET /characters/{slug}": (Access.EVERYBODY, "the gallery is open"),
    "POST /auth/register": (Access.EVERYBODY, "one has no account before"),
    "POST /auth/login": (Access.EVERYBODY, "one has no token before"),
    "POST /auth/refresh": (Access.EVERYBODY, "the refresh token is in the body"),
    "POST /auth/logout": (Access.EVERYBODY, "the refresh token is in the body"),
}

#: Addresses under /api/v1/ that are no operations.
NOT_OPERATIONS = {
    "api/v1/openapi.json": "describes the operations",
    "api/v1/health": "the page /health once more",
    "api/v1/": "answers for every address that there is not",
}

#: Addresses outside of /api/v1/ that are no pages.
NOT_PAGES = {
    "metrics": "an operation for what watches over the process (test_metrics.py)",
}

PAGES: Exceptions = {
    "c/<uuid:pk>": (Access.READERS, "supervisors read"),
    "m/<uuid:pk>": (Access.READERS, "supervisors read"),
    "panel": (Access.LEADERS, "workers see nobody but themselves"),
    "": (Access.EVERYBODY, "the gallery is open"),
    "characters/<slug:slug>": (Access.EVERYBODY, "the gallery is open"),
    "characters/<slug:slug>/start": (Access.SIGNED_IN, "characters have no owner"),
    "docs": (Access.EVERYBODY, "how to use the API is no secret"),
    "redoc": (Access.EVERYBODY, "how to use the API is no secret"),
    "health": (Access.EVERYBODY, "asked by what watches over the process"),
    "i18n/setlang/": (Access.EVERYBODY, "the sign-in page has a language, too"),
    "theme": (Access.EVERYBODY, "kept in a cookie, of whoever"),
    r"^media/(?P<folder>avatars|characters)/(?P<name>[0-9a-f]{32}\.webp)\Z": (
        Access.EVERYBODY,
        "the name, which nobody can guess, is the right to see it",
    ),
    "setup/<str:token>": (Access.EVERYBODY, "the link is the right to be here"),
    "setup/second-factor": (Access.ADMIN, "who followed the link is one by now"),
    "setup/model": (Access.ADMIN, "chooses the model that answers everybody"),
    "setup/ready": (Access.ADMIN, "says which model answers"),
    "accounts/login/": (Access.EVERYBODY, "one is not signed in before"),
    "accounts/signup/": (Access.EVERYBODY, "one is not signed in before"),
    "accounts/logout/": (Access.EVERYBODY, "leads home who is signed out already"),
    "accounts/inactive/": (Access.EVERYBODY, "says why one is not signed in"),
    "accounts/confirm-email/": (Access.EVERYBODY, "says that a mail was sent"),
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": (
        Access.EVERYBODY,
        "the key from the mail is the right to be here",
    ),
    "accounts/login/code/confirm/": (Access.EVERYBODY, "a step of signing in"),
    "accounts/2fa/authenticate/": (Access.EVERYBODY, "a step of signing in"),
    "accounts/2fa/webauthn/login/": (Access.EVERYBODY, "a way of signing in"),
    "accounts/password/reset/": (Access.EVERYBODY, "for who cannot sign in"),
    "accounts/password/reset/done/": (Access.EVERYBODY, "for who cannot sign in"),
    "accounts/password/reset/key/done/": (Access.EVERYBODY, "for who cannot sign in"),
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        Access.EVERYBODY,
        "the key from the mail is the right to be here",
    ),
    r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        Access.EVERYBODY,
        "the key from the mail is the right to be here",
    ),
    "accounts/2fa/webauthn/keys/<int:pk>/remove/": (
        Access.SIGNED_IN,
        "asks for the password first, and then looks among one's own keys",
    ),
    "accounts/2fa/webauthn/keys/<int:pk>/edit/": (
        Access.SIGNED_IN,
        "asks for the password first, and then looks among one's own keys",
    ),
    "admin/login/": (Access.EVERYBODY, "one is not signed in before"),
    "admin/logout/": (Access.EVERYBODY, "leads away who is signed out already"),
    "admin/jsi18n/": (Access.EVERYBODY, "words of the admin site, and nothing else"),
}

#: Pages that answer 403 or 404 even to who may ask, as things are in the tests.
TURNED_AWAY = {
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": "no mail with this key was sent",
    "settings/sessions/<uuid:pk>/end": "nobody has a session of this id",
    r"^media/(?P<folder>avatars|characters)/(?P<name>[0-9a-f]{32}\.webp)\Z": (
        "nobody has a picture"
    ),
    "setup/<str:token>": "there is an administrator",
    "admin/login/": "who is signed in and no administrator has no use for it",
    "accounts/2fa/recovery-codes/": "there is no second factor yet",
    "accounts/2fa/recovery-codes/download/": "there is no second factor yet",
    "accounts/2fa/totp/deactivate/": "there is no second factor yet",
}

#: Tables that are written to when a page is looked at, and why.
_READING = {"accounts_auditevent": "who reads what somebody else said is recorded"}
WRITTEN_BY_LOOKING: dict[str, dict[str, str]] = {
    "c/<uuid:pk>": _READING,
    "m/<uuid:pk>": _READING,
    "panel/<uuid:person>": _READING,
    "panel/<uuid:person>/<uuid:pk>": _READING,
    "admin/conversations/conversation/<path:object_id>/change/": _READING,
    "admin/conversations/message/<path:object_id>/change/": _READING,
    "settings/data/download": {"accounts_auditevent": "taking it along is recorded"},
}
#: The admin site leads away from an object that is not there, and says so on the next
#: page.
WRITTEN_OF_WHAT_IS_MISSING = {"django_session"}

#: Operations that are open to who has to set up a second factor first.
BEFORE_SECOND_FACTOR = {
    "GET /me": "clients ask who they are, first of all",
    "PATCH /me": "the same address",
    "DELETE /me": "leaving is open to everybody",
    "GET /me/totp": "says what is missing",
    "POST /me/totp": "sets it up",
    "POST /me/totp/confirm": "sets it up",
    "POST /me/totp/recovery-codes": "sets it up",
    "DELETE /me/totp": "there is nothing to remove, and it says so",
}

#: Operations that refuse a token of another service.
NEEDS_SESSION = {
    "POST /auth/ws-ticket": "a ticket stands for a session",
}

#: Beginnings of pages that are open to who has to set up a second factor first.
PAGES_BEFORE_SECOND_FACTOR = {
    "accounts/2fa/": "sets it up",
    "accounts/reauthenticate/": "the password is asked for before it is set up",
    "accounts/logout/": "leaving is open to everybody",
    "admin/logout/": "leaving is open to everybody",
    "settings/security": "says what is missing",
    "settings/language": "one has to understand what is asked",
    "i18n/": "one has to understand what is asked",
    "theme": "kept in a cookie, of whoever",
    "setup/second-factor": "who followed the link sets it up there",
    "^media/": "the name, which nobody can guess, is the right to see it",
    "health": "asked by what watches over the process",
}
