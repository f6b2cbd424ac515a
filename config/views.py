"""Pages of the site itself: health, numbers, API documents, and what went wrong."""

import sys

from csp.decorators import csp_update
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request

from accounts.api.operator import OperatorView
from config.middleware import answer_outage, answer_too_large, is_outage
from conversations import generations
from database import metrics

# Both viewers style themselves from script, and ReDoc searches in a worker.
_viewer = csp_update(
    {"style-src": ["'unsafe-inline'"], "worker-src": ["blob:"], "img-src": ["blob:"]}
)
# REST framework would describe them to who asks by OPTIONS, and has no template for it.
swagger = _viewer(require_safe(SpectacularSwaggerSplitView.as_view(url_name="openapi")))
redoc = _viewer(require_safe(SpectacularRedocView.as_view(url_name="openapi")))


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Say whether the process takes turns and its database can be reached."""
    if generations.is_draining():
        return JsonResponse({"status": "draining"}, status=503)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "degraded", "database": "down"}, status=503)
    return JsonResponse({"status": "ok", "database": "up"})


@extend_schema(exclude=True)
class Metrics(OperatorView):
    """The numbers of this process as Prometheus reads them (docs/deployment.md)."""

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(metrics.page(), content_type=metrics.CONTENT_TYPE)


metrics.ask(
    "tertulia_info",
    "What runs here; always 1.",
    lambda: {(str(settings.SPECTACULAR_SETTINGS["VERSION"]),): 1},
    "version",
)


@csrf_exempt
def api_not_found(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {"code": "not_found", "detail": _("There is no such address in this API.")},
        status=404,
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return answer_too_large(request)
    return _answer(request, 400, "malformed", _("This request cannot be understood."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "permission_denied", _("This is not yours to do."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(
        request, 404, "not_found", _("There is no such object, or it is not yours.")
    )


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if error is not None and is_outage(error):
        return answer_outage(request, error)
    return _answer(
        request,
        500,
        "server_error",
        _("Something broke on our side; it has been logged."),
    )


def _answer(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return JsonResponse({"code": code, "detail": detail}, status=status)
    return render(request, f"{status}.html", status=status)
