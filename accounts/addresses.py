"""The one spelling of an e-mail address, and of the domains in settings.

Domains are kept as they are in DNS: `münchen.de` is `xn--mnchen-3ya.de`. Knows nothing
of who has an address.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import idna
from django.core.exceptions import ValidationError

from accounts.wording import INVALID_EMAIL


def normalize_email(email: str) -> str:
    """Return `email` in the one spelling it is stored and looked up in.

    A domain that no server can have stays as it is, to be refused.
    """
    email = _fold(email)
    name, at, domain = email.rpartition("@")
    return name + at + _in_dns(domain) if at else email


def validate_email_spelling(email: str) -> None:
    """Refuse letters outside ASCII, of an address already normalized, and quoted names.

    Django's pattern ignores case as Unicode does, and so takes the Turkish dotless i
    for an I: a second address that looks like the first. A name in quotes may hold
    anything, formulas and control characters too, and is nobody's in practice.
    """
    if not email.isascii() or not email.isprintable() or '"' in email:
        raise ValidationError(INVALID_EMAIL, code="invalid")


def is_at(email: str, domains: Iterable[str]) -> bool:
    """Whether a normalized address is at one of `domains`, however they are spelled."""
    domain = email.rpartition("@")[2]
    return any(domain == _normalize_domain(name) for name in domains)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().lower()


@lru_cache(maxsize=1024)
def _normalize_domain(name: str) -> str:
    return _in_dns(_fold(name))


def _in_dns(domain: str) -> str:
    # No name in DNS is longer, and what is would cost time.
    if domain.isascii() or len(domain) > 253:
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return domain
