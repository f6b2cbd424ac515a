"""The OpenAPI document has every path of ours, and is made without complaints."""

import re

import pytest
from django.test import TestCase
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

CONTRACT = {
    "/characters": {"get"},
    "/characters/{slug}": {"get"},
    "/conversations": {"get", "post"},
    "/conversations/{id}": {"get", "patch", "delete"},
    "/conversations/{id}/reset": {"post"},
    "/conversations/{id}/read": {"post"},
    "/conversations/{id}/messages": {"get", "post"},
    "/messages/{id}": {"get", "patch", "delete"},
    "/messages/{id}/stop": {"post"},
    "/messages/{id}/continue": {"post"},
    "/messages/{id}/regenerate": {"post"},
    "/messages/{id}/stream": {"get"},
    "/chat/stream": {"post"},
    "/chat/history": {"get", "delete"},
}


class OpenApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        GENERATOR_STATS.reset()
        cls.document = SchemaGenerator().get_schema(public=True)
        cls.paths = {
            re.sub(r"^/api/v1|(?<={)(pk|id)(?=})", "", path): operations
            for path, operations in cls.document["paths"].items()
        }
        cls.paths = {path.replace("{}", "{id}"): o for path, o in cls.paths.items()}

    def test_it_is_made_without_a_complaint(self):
        assert dict(GENERATOR_STATS._error_cache) == {}
        assert dict(GENERATOR_STATS._warn_cache) == {}

    def test_it_is_a_valid_document(self):
        validate_schema(self.document)

    def test_it_has_every_path_of_the_contract(self):
        for path, methods in CONTRACT.items():
            assert methods <= set(self.paths[path]), path

    def test_it_says_what_every_operation_is_for_and_may_answer(self):
        for path, methods in CONTRACT.items():
            for method in methods:
                operation = self.paths[path][method]
                assert operation["summary"], (method, path)
                assert operation["responses"], (method, path)

    def test_it_names_the_operations_apart(self):
        names = [
            operation["operationId"]
            for operations in self.document["paths"].values()
            for operation in operations.values()
        ]
        assert len(names) == len(set(names))

    def test_it_describes_refusals_in_our_shape(self):
        for path, methods in CONTRACT.items():
            if path.startswith("/characters"):
                continue
            for method in methods:
                responses = self.paths[path][method]["responses"]
                assert "401" in responses, (method, path)
                for status in set(responses) & {"400", "401", "404", "409", "429"}:
                    content = responses[status]["content"]["application/json"]
                    assert content["schema"]["$ref"].endswith("/schemas/Error")

    def test_it_says_which_answers_are_event_streams(self):
        for path, method in (
            ("/chat/stream", "post"),
            ("/messages/{id}/stream", "get"),
        ):
            responses = self.paths[path][method]["responses"]
            assert "text/event-stream" in responses["200"]["content"]

    def test_it_is_served(self):
        response = self.client.get("/api/v1/openapi.json")

        assert response.status_code == 200
        assert response.json()["openapi"].startswith("3.")


@pytest.mark.django_db
def test_it_answers_refusals_for_every_operation_that_it_lists(client):
    document = SchemaGenerator().get_schema(public=True)
    for path, operations in document["paths"].items():
        if not re.match(r"/api/v1/(conversations|messages|chat)", path):
            continue
        address = re.sub(r"{\w+}", "00000000-0000-0000-0000-000000000000", path)
        for method in operations:
            response = client.generic(method.upper(), address)
            assert response.status_code == 401, (method, path)
