"""The people whose conversations somebody reads, with how much there is to read."""

from django.db.models import Count, DateTimeField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Lower

from accounts.models import User
from conversations.models import Conversation


def seen_by(reader: User, text: str = "") -> QuerySet[User]:
    """Return whom `reader` sees, by name, with `text` in their e-mail or name.

    Each has `conversation_count` and `last_message_at`, None for who has none.
    """
    # Asked for each person of a page alone, however many there are.
    theirs = Conversation.objects.filter(user=OuterRef("pk")).order_by()
    counted = theirs.values("user").annotate(n=Count("*")).values("n")
    newest = theirs.order_by("-last_message_at").values("last_message_at")
    people: QuerySet[User] = User.objects.visible_to(reader).select_related("profile")
    if text:
        people = people.filter(
            Q(email__icontains=text) | Q(profile__display_name__icontains=text)
        )
    return people.annotate(
        conversation_count=Coalesce(Subquery(counted), 0),
        last_message_at=Subquery(newest[:1], output_field=DateTimeField()),
    ).order_by(Lower("profile__display_name"), "email")
