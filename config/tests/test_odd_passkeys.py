"""JSON inside a form: what a browser says of a passkey, and what it never would.

A passkey speaks JSON in a hidden field, in it JSON and CBOR once more in base64. Of
whatever is wrong there, the page says so, and soon.
"""

import base64
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.core.cache import cache
from django.test import Client, TestCase, override_settings
from django.utils.module_loading import import_string

from accounts.tests.factories import PASSWORD, alice
from accounts.tests.security_key import HOST, PROVED, SecurityKey

#: Where each form is sent, by its name in settings.MFA_FORMS.
ADDRESSES = {
    "add_webauthn": "/accounts/2fa/webauthn/add/",
    "login_webauthn": "/accounts/2fa/webauthn/login/",
    "authenticate_webauthn": "/accounts/2fa/authenticate/",
    "reauthenticate_webauthn": "/accounts/2fa/webauthn/reauthenticate/",
}

DEEP = 100_000
#: In the place of the whole.
NOT_OBJECTS = [
    *("", "null", "[]", "5", '"text"', "true", "{", "{'id': 'x'}", "{}", "\0"),
    *("NaN", "Infinity", "1e999", "9" * 10_000, '"\\ud800"', '{"id": "\\u0000"}'),
    *("[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP),
]
#: In the place of each value.
NOT_TEXTS: list[Any] = [None, 10**400, [], {"x": 1}, "x"]


def in_base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


#: In the place of each value, where bytes belong: in JSON, in CBOR, cut off.
NOT_BYTES = [
    in_base64(value)
    for value in (
        *(b"[" * DEEP, b'{"a":' * 50_000, b"NaN", b"5", b"null", b"9" * 10_000),
        *(b"[]", b'{"type": 5, "challenge": [], "origin": {}}', b"\xff", b"\0"),
        # Nested arrays, an array of more than there is, a map under a list.
        *(b"\x81" * DEEP, b"\x9b" + b"\xff" * 8, b"\xa1\x80\x80", b"\xa0"),
        # So many small numbers that the reader would copy the rest a million times.
        b"\x9a\x00\x20\x00\x00" + b"\x00" * 200_000,
        # An answer of an authenticator that goes on with extensions.
        bytes(32) + b"\x85" + bytes(4) + b"\x81" * 3_000,
        bytes(32) + b"\xc5" + bytes(4) + bytes(18),
    )
]


#: What whoever sent one of these is told.
SENTENCES = (
    *("What the passkey said cannot be read", "This field is required"),
    "Null characters are not allowed",
)


def odd(good: str) -> Iterator[str]:
    """Yield `good` with one value in it that is none of its type."""
    for path in paths(json.loads(good)):
        is_read = path[0] in ("rawId", "response")
        for value in itertools.chain(NOT_TEXTS, NOT_BYTES if is_read else ()):
            said = json.loads(good)
            *before, last = path
            place = said
            for name in before:
                place = place[name]
            place[last] = value
            yield json.dumps(said)


def paths(value: Any, *before: str) -> Iterator[tuple[str, ...]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield (*before, name)
        yield from paths(inner, *before, name)


@override_settings(RATELIMIT_ENABLE=False, MFA_RATE_LIMITS={}, ACCOUNT_RATE_LIMITS={})
class PasskeyFormTests(TestCase):
    def setUp(self):
        cache.clear()
        self.alice = alice()
        self.key = SecurityKey(self.alice, alone=True)

    def sent(self, name: str) -> str:
        """Return what is read there now, and ask for it, so that an answer is due."""
        cache.clear()
        self.client = Client(raise_request_exception=False, HTTP_HOST=HOST)
        address = ADDRESSES[name]
        if name in ("add_webauthn", "reauthenticate_webauthn"):
            self.client.force_login(self.alice)
            self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        elif name == "authenticate_webauthn":
            known = {"login": self.alice.email, "password": PASSWORD}
            self.client.post("/accounts/login/", known)
        asked = self.client.get(address, headers={"accept": "application/json"})
        self.assertEqual(asked.status_code, 200, address)
        return address

    def due(self) -> str:
        state = self.client.session["mfa.webauthn.state"]
        return str(state["challenge"])

    def good(self, name: str) -> str:
        if name == "add_webauthn":
            return self.key.offer(self.due())
        return self.key.answer(self.due(), how=PROVED)

    def test_every_form_with_a_passkey_is_sent(self):
        with_json = {
            name
            for name, path in settings.MFA_FORMS.items()
            if "credential" in import_string(path).base_fields
        }
        self.assertEqual(with_json, set(ADDRESSES))
        self.assertFalse(getattr(settings, "MFA_PASSKEY_SIGNUP_ENABLED", False))

    def test_no_other_field_of_these_forms_is_read_as_json(self):
        for path in settings.MFA_FORMS.values():
            for name, field in import_string(path).base_fields.items():
                with self.subTest(path, field=name):
                    self.assertNotIsInstance(field, forms.JSONField)

    def test_what_a_passkey_says_is_taken(self):
        for name in ADDRESSES:
            with self.subTest(name):
                address = self.sent(name)
                answer = self.client.post(address, {"credential": self.good(name)})
                self.assertEqual(answer.status_code, 302)
                self.assertNotIn(answer["Location"], ("/accounts/login/", address))

    def test_what_is_no_answer_of_a_passkey_is_refused_soon(self):
        for name in ADDRESSES:
            self.sent(name)
            for said in NOT_OBJECTS:
                with self.subTest(name, said=said[:200], length=len(said)):
                    self.assert_refused(name, self.answer(name, said))

    def test_nothing_is_broken_by_a_value_of_another_type(self):
        # To the other two the same is said, and the same code reads it.
        for name in ("add_webauthn", "login_webauthn"):
            self.sent(name)
            for said in odd(self.good(name)):
                with self.subTest(name, said=said[:200], length=len(said)):
                    if "mfa.webauthn.state" not in self.client.session:
                        self.sent(name)
                    self.answer(name, said)
                    self.assert_nothing_is_broken()

    def answer(self, name: str, said: str) -> Any:
        cache.clear()
        before = time.process_time()
        answer = self.client.post(ADDRESSES[name], {"credential": said})
        self.assertLess(time.process_time() - before, 1)
        self.assertLess(answer.status_code, 500)
        return answer

    def assert_nothing_is_broken(self) -> None:
        """Fail if what was added by now cannot be read where it is asked for."""
        added = self.alice.authenticator_set.filter(type="webauthn")
        for row in added.exclude(pk=self.key.row.pk):
            self.assertIn(row.wrap().is_passwordless, (None, True, False))
            self.assertIsNotNone(row.wrap().authenticator_data)
            row.delete()

    def assert_refused(self, name: str, answer: Any) -> None:
        if answer.status_code == 302:
            # Two of the forms have no page of their own to say it on.
            self.assertEqual(answer["Location"], "/accounts/login/", name)
            answer = self.client.get("/accounts/login/", follow=True)
        self.assertEqual(answer.status_code, 200)
        self.assertRegex(answer.content.decode(), "|".join(SENTENCES))
        if name.startswith(("login", "authenticate")):
            self.assertNotIn("_auth_user_id", self.client.session)
