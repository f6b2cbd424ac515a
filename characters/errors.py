"""What a character refuses; codes are in docs/api.md."""

from django.utils.translation import gettext_lazy as _

from accounts.errors import Refusal


class HasConversations(Refusal):
    status = 409
    code = "has_conversations"
    detail = _(
        "There are conversations with this character, which would go with it; archive "
        "it instead."
    )
