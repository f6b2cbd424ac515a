"""What a passkey alone opens, and what it does not."""

import json
import re
from typing import Any

from django.core.cache import cache
from django.test import TestCase

from accounts.tests.factories import PASSWORD, alice, bob
from accounts.tests.security_key import HOST, PROVED, TOUCHED, SecurityKey

ALONE = "/accounts/2fa/webauthn/login/"
AFTER_PASSWORD = "/accounts/2fa/authenticate/"


class AloneTests(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.alice, self.bob = alice(), bob()

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, HTTP_HOST=HOST, **headers)

    def post(self, path: str, **fields: str) -> Any:
        return self.client.post(path, fields, HTTP_HOST=HOST)

    def challenge(self) -> str:
        """Return what somebody is asked who has given no password."""
        asked = self.get(ALONE, HTTP_ACCEPT="application/json").json()
        return str(asked["request_options"]["publicKey"]["challenge"])

    def is_in(self) -> bool:
        return "_auth_user_id" in self.client.session

    def test_one_that_may_and_whose_owner_is_there_signs_in(self) -> None:
        key = SecurityKey(self.alice, alone=True)

        self.post(ALONE, credential=key.answer(self.challenge(), how=PROVED))

        self.assertEqual(self.client.session["_auth_user_id"], str(self.alice.pk))

    def test_touching_it_is_not_enough(self) -> None:
        key = SecurityKey(self.alice, alone=True)

        self.post(ALONE, credential=key.answer(self.challenge(), how=TOUCHED))

        self.assertFalse(self.is_in())

    def test_one_that_comes_after_the_password_opens_nothing_alone(self) -> None:
        key = SecurityKey(self.alice, alone=False)

        self.post(ALONE, credential=key.answer(self.challenge(), how=PROVED))

        self.assertFalse(self.is_in())

    def test_a_question_asked_after_ones_own_password_opens_nothing_alone(self) -> None:
        stolen = SecurityKey(self.alice, alone=True)
        SecurityKey(self.bob, alone=False)
        for leave in (True, False):
            with self.subTest(leave=leave):
                self.post("/accounts/login/", login=self.bob.email, password=PASSWORD)
                page = self.get(AFTER_PASSWORD).content.decode()
                found = re.search(r'id="passkey-options"[^>]*>(.*?)</script>', page)
                assert found is not None
                asked = json.loads(found[1])["request_options"]["publicKey"]
                if leave:
                    self.post("/accounts/logout/")

                for how in (TOUCHED, PROVED):
                    answer = stolen.answer(asked["challenge"], how=how)
                    self.post(ALONE, credential=answer)

                    self.assertFalse(self.is_in())
