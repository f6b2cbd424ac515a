"""What is said in several places, and how the forms of allauth say it.

What is asked for and checked is allauth's to know.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

#: What is said of a password that is not the one somebody has.
WRONG_PASSWORD = _("This is not your current password; type it once more.")
INVALID_EMAIL = _("Enter a valid e-mail address.")


class OurWords(forms.BaseForm):
    """Names fields as our own forms do.

    Without the placeholders, which repeat the names and are gone when one types.
    """

    labels: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = self.labels.get(name, field.label)
            field.widget.attrs.pop("placeholder", None)
            if isinstance(field, forms.EmailField):
                field.error_messages["invalid"] = INVALID_EMAIL
