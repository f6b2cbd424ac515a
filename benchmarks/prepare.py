"""Make the people and conversations that a measurement needs, through the ORM.

Runs as a process of its own with the server's environment, and prints one account per
line (see `targets.Account`): registration is limited per address, and what is measured
is a turn, not a sign-up.
"""

import argparse
import json
import os
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import django
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import User
    from llm.models import LanguageModel

WARM_UP_MODEL = "fake-t0-r0-n10"


def people(count: int) -> list["User"]:
    from accounts.models import User

    found = list(User.objects.filter(email__startswith="bench-").order_by("email"))
    profile = {"display_name": "Bench", "birthdate": date(1990, 1, 1)}
    for number in range(len(found), count):
        email = f"bench-{number:04}@example.org"
        found.append(User.objects.create_user(email, profile=profile))
    return found[:count]


def model(name: str) -> "LanguageModel":
    from llm.models import LanguageModel

    row, _ = LanguageModel.objects.get_or_create(
        provider="openai",
        name=name,
        defaults={
            "label": name,
            "context_tokens": 100_000,
            "max_output_tokens": 20_000,
        },
    )
    return row


def accounts(
    name: str, users: int, conversations: int, history: int
) -> Iterator[dict[str, Any]]:
    """Yield accounts with fresh conversations that are answered by the model `name`.

    With `history` every one has that many messages already, and runs share it.
    """
    from django.db import transaction

    from accounts.authentication import sessions
    from characters.models import Character
    from conversations import lifecycle

    character = Character.objects.get(slug="assistant")
    answering, warming = model(name), model(WARM_UP_MODEL)
    with transaction.atomic():
        for user in people(users):
            warm = lifecycle.begin(user, character, model=warming)
            if history:
                long = lifecycle.begin(user, character, model=answering)
                write_history(long, history)
                made = [long] * conversations
            else:
                made = [
                    lifecycle.begin(user, character, model=answering)
                    for _ in range(conversations)
                ]
            yield {
                "token": sessions.open_session(user).access,
                "conversations": [str(conversation.pk) for conversation in made],
                "warmup": str(warm.pk),
            }


def write_history(conversation: Any, count: int) -> None:
    """Give a conversation `count` messages, one after the other."""
    from conversations.models import Message

    begun = timezone.now() - timedelta(seconds=count + 1)
    parent = None
    rows = []
    for number in range(count):
        is_reply = number % 2 == 1
        rows.append(
            Message(
                id=uuid.uuid4(),
                conversation=conversation,
                parent_id=parent,
                role="assistant" if is_reply else "user",
                status="complete" if is_reply else "sent",
                content=f"Message {number} of a long acquaintance.",
                created_at=begun + timedelta(seconds=number),
            )
        )
        parent = rows[-1].pk
    Message.objects.bulk_create(rows, batch_size=2000)
    conversation.head = rows[-1]
    conversation.save(update_fields=["head"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--users", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=1)
    parser.add_argument("--history", type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # Held back until the transaction has ended: who reads them connects at once.
    made = list(accounts(args.model, args.users, args.conversations, args.history))
    print("\n".join(map(json.dumps, made)))


if __name__ == "__main__":
    main()
