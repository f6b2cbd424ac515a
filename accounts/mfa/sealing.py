"""How secrets of accounts lie in the database: encrypted, or as fingerprints.

Both keys are made of SECRET_KEY: a copy of the database alone tells neither.
"""

import base64
import uuid

from cryptography.fernet import Fernet
from django.conf import settings
from django.utils.crypto import salted_hmac

#: What tells a fingerprint from what is encrypted.
MARK = "hmac-sha256:"


def seal(text: str) -> str:
    """Encrypt what has to be read again."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed; raises InvalidToken when SECRET_KEY is another now."""
    return _box().decrypt(sealed.encode()).decode()


def fingerprint(code: str, *, of: uuid.UUID) -> str:
    """Return by what a code of the user `of` is known, without being readable."""
    hashed = salted_hmac("accounts.recovery_code", f"{of}:{code}", algorithm="sha256")
    return MARK + hashed.hexdigest()


def _box() -> Fernet:
    key = salted_hmac("accounts.sealing", "", settings.SECRET_KEY, algorithm="sha256")
    return Fernet(base64.urlsafe_b64encode(key.digest()))
