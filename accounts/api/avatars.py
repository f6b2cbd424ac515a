"""One's own picture over the API, and how any picture is taken there."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics, serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.schema import refusals
from accounts.api.serializers import MeSerializer
from accounts.api.views import ME
from accounts.authentication.bearer import signed_in
from accounts.errors import (
    AvatarTooLarge,
    AvatarUnreadable,
    Overloaded,
    RateLimited,
    StorageUnavailable,
)
from accounts.limits import AVATAR
from accounts.media import avatars
from accounts.throttling import check

_URL = "/media/avatars/0c9f6c52fe4d4f4f8df5ab7cf2cb3d1e.webp"


class AvatarSerializer(serializers.Serializer):
    file = serializers.FileField(
        help_text="JPEG, PNG or WebP; at most 2 MB and 25 megapixels."
    )


#: The body of an operation that takes a picture. Of a change a file is not one part
#: among others, as of other PATCHes.
UPLOAD = {"multipart/form-data": AvatarSerializer(partial=False)}
REFUSED_BY = (
    AvatarUnreadable,
    AvatarTooLarge,
    RateLimited,
    StorageUnavailable,
    Overloaded,
)


def sent_picture(request: Request, sender: str) -> UploadedFile:
    """Return the file of a request, which counts against the limit of `sender`.

    Whether it is a picture shows when it is stored. Raises RateLimited.
    """
    check(*AVATAR, sender)
    serializer = AvatarSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data["file"]


@method_decorator(never_cache, name="dispatch")
class AvatarView(generics.GenericAPIView):
    serializer_class = AvatarSerializer
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="set_avatar",
        tags=["me"],
        summary="Change my picture",
        description="The content decides what the file is. Its middle is kept, "
        "upright, as a WebP of 512 by 512 pixels without metadata, under a new "
        "`avatar_url`.",
        request=UPLOAD,
        responses={200: MeSerializer} | refusals(400, 401, 415, by=REFUSED_BY),
        examples=[
            OpenApiExample(
                "changed",
                value=ME | {"avatar_url": _URL},
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def patch(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        user = signed_in(request)
        avatars.put(user.profile, sent_picture(request, str(user.pk)))
        return Response(MeSerializer(user.profile).data)

    @extend_schema(
        operation_id="remove_avatar",
        tags=["me"],
        summary="Remove my picture",
        description="Answers the same when there is none.",
        request=None,
        responses={204: None} | refusals(401),
    )
    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        avatars.remove(signed_in(request).profile)
        return Response(status=204)
