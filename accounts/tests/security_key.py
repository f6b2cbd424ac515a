"""A security key in software, for what no browser would be talked into."""

import base64
import hashlib
import json
import os
import struct
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256
from fido2.webauthn import Aaguid, AttestedCredentialData

from accounts.models import User

HOST = "localhost"
ORIGIN = f"https://{HOST}"

#: What happened at the key: it was touched; its owner proved to be there as well.
TOUCHED, PROVED = 0x01, 0x05
_NEW = 0x40


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _named(name: bytes) -> dict[str, Any]:
    return {
        "id": _text(name),
        "rawId": _text(name),
        "type": "public-key",
        "clientExtensionResults": {},
    }


class SecurityKey:
    """A key that `user` has added; `alone` if it signs in without a password."""

    def __init__(self, user: User, *, alone: bool) -> None:
        self.user = user
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = os.urandom(32)
        credential = self._made(_text(b"x"), self._id) | {
            "clientExtensionResults": {"credProps": {"rk": alone}}
        }
        self.row = Authenticator.objects.create(
            user=user,
            type=Authenticator.Type.WEBAUTHN,
            data={"name": "Key", "credential": credential},
        )

    def answer(self, challenge: str, *, how: int) -> str:
        """Return what a browser posts when the key answers `challenge`."""
        said = self._client_data("webauthn.get", challenge)
        seen = self._seen(how, uses=1)
        signature = self._key.sign(
            seen + hashlib.sha256(said).digest(), ec.ECDSA(SHA256())
        )
        response = {
            "clientDataJSON": _text(said),
            "authenticatorData": _text(seen),
            "signature": _text(signature),
            "userHandle": _text(user_pk_to_url_str(self.user).encode()),
        }
        return json.dumps(_named(self._id) | {"response": response})

    def offer(self, challenge: str) -> str:
        """Return what a browser posts to add one more passkey of this key."""
        return json.dumps(self._made(challenge, os.urandom(32)))

    def _made(self, challenge: str, name: bytes) -> dict[str, Any]:
        public = ES256.from_cryptography_key(self._key.public_key())
        made = bytes(AttestedCredentialData.create(Aaguid(bytes(16)), name, public))
        attestation = {
            "fmt": "none",
            "attStmt": {},
            "authData": self._seen(PROVED | _NEW, uses=0) + made,
        }
        response = {
            "clientDataJSON": _text(self._client_data("webauthn.create", challenge)),
            "attestationObject": _text(cbor.encode(attestation)),
        }
        return _named(name) | {"response": response}

    def _seen(self, how: int, uses: int) -> bytes:
        return hashlib.sha256(HOST.encode()).digest() + struct.pack(">BI", how, uses)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": ORIGIN}
        return json.dumps(said).encode()
