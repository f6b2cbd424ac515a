"""The OpenAPI document, in what asking as it says (test_schemathesis.py) leaves out."""

from django.test import SimpleTestCase
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from config.tests.operations import document, operations
from config.tests.test_schemathesis import UNASKED

ERROR = "#/components/schemas/Error"


class OpenApiTests(SimpleTestCase):
    def test_it_is_made_without_a_complaint(self):
        GENERATOR_STATS.reset()
        SchemaGenerator().get_schema(public=True)

        assert dict(GENERATOR_STATS._error_cache) == {}
        assert dict(GENERATOR_STATS._warn_cache) == {}

    def test_it_is_a_valid_document(self):
        validate_schema(document())

    def test_it_says_what_every_operation_is_for(self):
        for operation in operations():
            with self.subTest(str(operation)):
                assert operation.spec["summary"]

    def test_it_says_that_streams_are_event_streams_and_how_they_are_refused(self):
        streams = [o for o in operations() if str(o) in UNASKED]
        assert len(streams) == 2
        for operation in streams:
            with self.subTest(str(operation)):
                answers = dict(operation.spec["responses"])
                assert set(answers.pop("200")["content"]) == {"text/event-stream"}
                assert {"400", "401", "404"} <= set(answers)
                for refusal in answers.values():
                    schema = refusal["content"]["application/json"]["schema"]
                    assert schema == {"$ref": ERROR}
