"""Another service for the tests of its tokens: signs them, and publishes its keys."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://django.example"
AUDIENCE = "tertulia"
SHARED = "a secret both services were given by the operator"


class SigningKey:
    """A key pair and how it is published."""

    def __init__(self, kid: str, algorithm: str = "RS256") -> None:
        self.kid = kid
        self.algorithm = algorithm
        if algorithm == "RS256":
            self.private: Any = rsa.generate_private_key(65537, 2048)
            public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key())
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            public = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key())
        self.public = json.loads(public) | {
            "kid": kid,
            "use": "sig",
            "alg": algorithm,
        }

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(
            claims, self.private, self.algorithm, headers={"kid": self.kid} | header
        )


class KeyServer:
    """Serves `keys`, or misbehaves: `delay` seconds, `status`, or `body` as it is."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = [key.public for key in keys]
        self.asked = 0
        self.delay = 0.0
        self.status = 200
        self.body: bytes | None = None
        self.trickle = False

    def __enter__(self) -> "KeyServer":
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked += 1
                time.sleep(served.delay)
                body = served.body or json.dumps({"keys": served.keys}).encode()
                self.send_response(served.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    for byte in body if served.trickle else ():
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.2)
                    self.wfile.write(b"" if served.trickle else body)
                except OSError:
                    pass  # whoever asked has given up

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def claims(**changes: Any) -> dict[str, Any]:
    """Return what simplejwt writes for Alice; None removes a claim."""
    now = int(time.time())
    usual = {
        "token_type": "access",
        "exp": now + 300,
        "iat": now,
        "jti": uuid4().hex,
        "user_id": 7,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "email": "alice@example.com",
    }
    return {
        name: value for name, value in (usual | changes).items() if value is not None
    }


def issuer(**changes: Any) -> dict[str, Any]:
    """Return an entry of JWT_ISSUERS; a shared key unless `jwks_url` is given."""
    entry = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ["HS256"],
        "user": "match",
        "claim": "email",
    }
    if "jwks_url" in changes:
        entry["algorithms"] = ["RS256", "ES256"]
    else:
        entry["key"] = SHARED
    return entry | changes
