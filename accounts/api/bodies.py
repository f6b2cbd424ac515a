"""Whether a request has a body at all; what is in it, `parsing.py` looks at."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.views import APIView


class ChangesNeedBody(APIView):
    """A view whose PATCH without a body is a mistake, not a change of nothing.

    REST framework takes no body for an empty object.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "PATCH" and request.stream is None:
            raise ParseError(_("There is no body; send an object in JSON."))
