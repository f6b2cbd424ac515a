"""How passwords are hashed: as Django does with Argon2id, a few at a time.

Whatever door a password comes in by, a page, the API, the admin site or a command, it
comes here, whether it is stored or compared, and for an unknown address as well.
"""

from django.contrib.auth import hashers

from accounts.crowding import Bound

# Each takes 100 MiB, and more threads than most machines have cores: more at once take
# more memory and get no more done. Thirty in a row take six seconds on two cores.
_hashing = Bound(2, seconds=10)


class BoundedArgon2PasswordHasher(hashers.Argon2PasswordHasher):
    """Raises Overloaded when too many wait."""

    def encode(self, password: str, salt: str) -> str:
        with _hashing.entered():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _hashing.entered():
            return super().verify(password, encoded)


class BoundedPBKDF2PasswordHasher(hashers.PBKDF2PasswordHasher):
    """The same for hashes that were brought along, which cost time only."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with _hashing.entered():
            return super().encode(password, salt, iterations)
