"""What the fields of a character may hold.

Asked by the model, and through it by the admin site and the API alike.
"""

import math
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

#: Characters of a description or a greeting; a message can be as long.
LONGEST_TEXT = 32_000


def validate_finite(value: float) -> None:
    """Refuse NaN, which is neither below nor above any limit."""
    if not math.isfinite(value):
        raise ValidationError(_("This must be a number."), code="invalid")


@dataclass(frozen=True, slots=True)
class Lines:
    """A list of texts of one line: how many at most, and of how many characters."""

    most: int
    longest: int

    def check(self, value: Any) -> None:
        """Raise ValidationError for anything but such a list."""
        is_list = isinstance(value, list)
        if not is_list or not all(isinstance(text, str) for text in value):
            raise ValidationError(_("This must be a list of texts."), code="invalid")
        if len(value) > self.most:
            raise ValidationError(
                _("There can be %(most)d at most."),
                code="max_length",
                params={"most": self.most},
            )
        if any(not text.strip() or len(text.splitlines()) > 1 for text in value):
            raise ValidationError(
                _("Each must be one line, and none of them blank."), code="invalid"
            )
        if any(len(text) > self.longest for text in value):
            raise ValidationError(
                _("Each can have %(longest)d characters at most."),
                code="max_length",
                params={"longest": self.longest},
            )


BOUNDARIES = Lines(most=50, longest=300)
TAGS = Lines(most=20, longest=40)
