"""What a turn, a stop or a follow may be refused for; codes are in docs/api.md."""

from django.utils.translation import gettext_lazy as _

from accounts.errors import Refusal
from accounts.models import Profile


class SignedOut(Refusal):
    status = 401
    code = "not_authenticated"
    detail = _("This session is over; sign in again.")


class NotFound(Refusal):
    status = 404
    code = "not_found"
    detail = _("There is no such object, or it is not yours.")


class Busy(Refusal):
    """A reply is being written in this conversation already."""

    status = 409
    code = "busy"
    detail = _("A reply is still being written here. Wait for it, or stop it.")


class ClientIdReused(Refusal):
    status = 409
    code = "client_id_reused"
    detail = _("This client_id was used for another message; send a new one.")


class ConversationClosed(Refusal):
    status = 409
    code = "conversation_closed"
    detail = _("This conversation is closed. Open a new one.")


class CannotContinue(Refusal):
    status = 409
    code = "cannot_continue"
    detail = _("Only a reply that was cut short can be continued.")


class AgeRestricted(Refusal):
    status = 403
    code = "age_restricted"

    def __init__(self, profile: Profile, *, is_theirs: bool = True) -> None:
        """Say it to whose profile it is, or to who chose them for the character."""
        if not is_theirs:
            sentence = _(
                "This character is for adults, and by their profile this person is not "
                "known to be one."
            )
        elif profile.birthdate is None:
            sentence = _(
                "This character is for adults. Add a birthdate to your profile to talk "
                "with them."
            )
        else:
            sentence = _(
                "This character is for adults, and by your birthdate you are not one "
                "yet. Ask the operator if it is wrong."
            )
        super().__init__(sentence)


class NotYoursToHandOver(Refusal):
    status = 403
    code = "permission_denied"
    detail = _("Only supervisors and administrators hand over conversations.")


class CannotTakeOver(Refusal):
    status = 409
    code = "cannot_take_over"
    detail = _("This person cannot sign in at present; choose somebody else.")


class BlockedContent(Refusal):
    status = 403
    code = "blocked_content"
    detail = _("This message is not allowed here.")


class QuotaExceeded(Refusal):
    status = 429
    code = "quota_exceeded"
    detail = _("You have used all units of today.")


class Draining(Refusal):
    status = 503
    code = "unavailable"
    detail = _("The server is restarting. Send this again in a moment.")


class Invalid(Refusal):
    status = 400
    code = "invalid"
