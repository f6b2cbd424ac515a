"""JSON that no endpoint should have to think about."""

import json

from django.test import SimpleTestCase


class ParsingTests(SimpleTestCase):
    def post(self, body, content_type="application/json"):
        return self.client.generic(
            "POST", "/api/v1/auth/logout", body, content_type=content_type
        )

    def assert_malformed(self, body):
        response = self.post(body)
        assert response.status_code == 400, response.content
        assert response.json()["code"] == "malformed"

    def test_it_refuses_what_is_no_json(self):
        for body in (b"{", b"\xff\xfe", b"{'a': 1}", b"\xc3\x28", b'{"a": NaN}'):
            with self.subTest(body):
                self.assert_malformed(body)

    def test_it_refuses_deep_nesting(self):
        self.assert_malformed("[" * 100_000 + "]" * 100_000)
        self.assert_malformed('{"a":' * 100_000 + "1" + "}" * 100_000)

    def test_it_refuses_numbers_that_are_not(self):
        self.assert_malformed('{"a": 1e999}')
        self.assert_malformed('{"a": [{"b": -1e999}]}')
        self.assert_malformed('{"a": ' + "9" * 5000 + "}")
        self.assert_malformed('{"a": -' + "9" * 400 + "}")

    def test_it_refuses_text_no_database_holds_wherever_it_is(self):
        for bad in ("a\0b", "\ud800", "\udfff b"):
            for data in (bad, [bad], {"a": [{"b": bad}]}, {"a": {bad: 1}}):
                with self.subTest(ascii(data)):
                    self.assert_malformed(json.dumps(data))

    def test_it_leaves_all_other_text_alone(self):
        for text in ("😀", "\u202e", "a\u200db", "\\u0000", "{{ }}", "{% %}", "\x1b["):
            with self.subTest(ascii(text)):
                response = self.post(json.dumps({"refresh_token": text}))
                assert response.status_code == 204
