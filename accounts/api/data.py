"""A copy of everything that is held about oneself, over the API."""

from django.http import Http404, HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.schema import refusals
from accounts.authentication.bearer import signed_in
from accounts.data import exports
from accounts.data.downloads import download_of
from accounts.errors import RateLimited, StorageUnavailable
from accounts.models import Export

_WAITING = {
    "id": "0f3cbd0e-6a4e-4c58-b2a8-6f6f5d1f7a20",
    "status": "waiting",
    "progress": 0,
    "created_at": "2026-11-21T09:30:00Z",
    "finished_at": None,
    "download_url": None,
    "detail": None,
}
_READY = _WAITING | {
    "status": "ready",
    "progress": 100,
    "finished_at": "2026-11-21T09:30:04Z",
    "download_url": "/api/v1/me/export/download",
}


class ExportSerializer(serializers.ModelSerializer):
    """An export and how far it is."""

    download_url = serializers.SerializerMethodField(
        help_text="Where the zip is, once it is ready, for seven days."
    )
    detail = serializers.SerializerMethodField(
        help_text="One sentence, where it failed."
    )

    class Meta:
        model = Export
        fields = [
            "id",
            "status",
            "progress",
            "created_at",
            "finished_at",
            "download_url",
            "detail",
        ]
        read_only_fields = fields

    def get_download_url(self, export: Export) -> str | None:
        is_ready = export.status == Export.Status.READY
        return reverse("api_export_download") if is_ready else None

    def get_detail(self, export: Export) -> str | None:
        if export.status != Export.Status.FAILED:
            return None
        return str(_("Your copy could not be made; ask for it again."))


@extend_schema_view(
    get=extend_schema(
        operation_id="export",
        tags=["me"],
        summary="Everything held about me",
        description="Answers how far the newest export is; when it is ready, "
        "everything lies as a zip at `download_url`, for seven days. `not_found` where "
        "none was asked for, or it has expired.",
        responses={200: ExportSerializer} | refusals(401, 404),
        examples=[
            OpenApiExample(
                "ready", value=_READY, response_only=True, status_codes=["200"]
            )
        ],
    ),
    post=extend_schema(
        operation_id="start_export",
        tags=["me"],
        summary="Ask for everything held about me",
        description="Begins a new export in the background, in the place of the last "
        "one; answers the one under way if there is one. Three a day, and another for "
        "each that failed.",
        request=None,
        responses={202: ExportSerializer} | refusals(401, by=(RateLimited,)),
        examples=[
            OpenApiExample(
                "asked for", value=_WAITING, response_only=True, status_codes=["202"]
            )
        ],
    ),
)
@method_decorator(never_cache, name="dispatch")
class ExportView(generics.GenericAPIView):
    serializer_class = ExportSerializer

    def get(self, request: Request) -> Response:
        export = exports.newest(signed_in(request))
        if export is None:
            raise Http404
        return Response(self.get_serializer(export).data)

    def post(self, request: Request) -> Response:
        export = exports.start(signed_in(request))
        return Response(self.get_serializer(export).data, status=202)


@extend_schema_view(
    get=extend_schema(
        operation_id="download_export",
        tags=["me"],
        summary="Fetch everything held about me",
        description="The zip of the newest export; README.txt in it names every file. "
        "`not_found` while there is none.",
        responses={
            (200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY, "The zip.")
        }
        | refusals(401, 404, by=(StorageUnavailable,)),
    ),
)
@method_decorator(never_cache, name="dispatch")
class ExportDownloadView(generics.GenericAPIView):
    serializer_class = serializers.Serializer

    def get(self, request: Request) -> HttpResponseBase:
        return download_of(signed_in(request))
