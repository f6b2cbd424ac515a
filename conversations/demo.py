"""People and conversations to look at: labelled accounts of every role.

What it writes looks as if the product had written it, books included. It does not know
who asks for it; production must not.
"""

import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import Plan, Team, User
from characters.models import Character
from conversations import demo_history as history
from conversations import endings, guardrails
from conversations.demo_history import Dialogue, Exchange
from conversations.models import Conversation, Generation, Message
from conversations.previews import preview
from conversations.transcripts import Transcript
from llm.models import DailyUsage, UsageRecord
from llm.tokens import estimate_tokens

NORTH, SOUTH = "Demo team North", "Demo team South"
PLAN, PLAN_UNITS = "Demo plan", 50_000
MODEL = "demo/demo"

#: Easy to read and to type: no letter that looks like a figure.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"

#: How the replies that did not complete were cut short.
CUTS = {"stopped": endings.Stopped(), "interrupted": endings.Interrupted()}

#: What instructions and persona cost in every prompt.
PERSONA_TOKENS = 180


class Account(NamedTuple):
    """A demo account and the password it has from now on."""

    user: User
    password: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the demo; `age` is None for who has not told their birthdate."""

    name: str
    role: str
    dialogues: tuple[Dialogue, ...]
    team: str = ""
    age: int | None = 30
    language: str = "en"
    time_zone: str = "UTC"
    has_plan: bool = False

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '-')}@demo.example"


CAST = (
    Member("Demo admin", "admin", (history.WELCOME_NOTE,)),
    Member("Demo supervisor 1", "supervisor", (history.WEEKLY_REVIEW,), NORTH),
    Member(
        "Demo supervisor 2",
        "supervisor",
        (history.TURNOS,),
        SOUTH,
        language="es",
        time_zone="Europe/Madrid",
    ),
    Member(
        "Demo worker 1",
        "worker",
        (history.BREAD, history.CODE, history.JUKEBOX),
        NORTH,
        time_zone="America/New_York",
    ),
    Member(
        "Demo worker 2",
        "worker",
        (history.HOMEWORK, history.STUDY_PLAN),
        NORTH,
        age=16,
        language="es",
        time_zone="Europe/Madrid",
    ),
    Member(
        "Demo worker 3",
        "worker",
        (history.POEM, history.JOURNEY, history.BET),
        SOUTH,
        age=41,
        language="es",
        time_zone="America/Mexico_City",
        has_plan=True,
    ),
    Member("Demo worker 4", "worker", (history.LETTER,), SOUTH, age=None),
)


def make() -> list[Account]:
    """Make what is missing of the demo, and give each account a new password."""
    with transaction.atomic():
        # Two that run at once follow each other, and the later one doubles nothing.
        teams = {name: _locked_team(name) for name in (NORTH, SOUTH)}
        plan, _created = Plan.objects.get_or_create(
            name=PLAN, defaults={"daily_units": PLAN_UNITS}
        )
        accounts = []
        for member in CAST:
            account = _admit(
                member, teams.get(member.team), plan if member.has_plan else None
            )
            accounts.append(account)
            if not account.user.conversations.exists():
                for dialogue in member.dialogues:
                    _write(account.user, dialogue)
        ids = [str(user.pk) for user, _password in accounts]
        audit.record("demo.passwords_set", users=" ".join(ids))
    return accounts


def _locked_team(name: str) -> Team:
    team, _created = Team.objects.select_for_update().get_or_create(name=name)
    return team


def _admit(member: Member, team: Team | None, plan: Plan | None) -> Account:
    password = "-".join(
        "".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4)
    )
    user = User.objects.filter(email=member.email).first()
    if user is None:
        user = User.objects.create_user(
            member.email,
            profile={
                "display_name": member.name,
                "birthdate": _birthdate(member.age),
                "language": member.language,
                "time_zone": member.time_zone,
            },
        )
    user.role, user.team, user.plan = member.role, team, plan
    user.is_active, user.delete_at = True, None
    user.set_password(password)
    user.save(
        update_fields=["role", "team", "plan", "is_active", "delete_at", "password"]
    )
    # Anybody may have registered with the address before: no key of theirs remains.
    Authenticator.objects.filter(user=user).delete()
    user.external_identities.all().delete()
    # Nor does it wait for a link in a mail to them.
    EmailAddress.objects.filter(user=user).delete()
    return Account(user, password)


def _birthdate(age: int | None) -> date | None:
    today = timezone.localdate()
    return None if age is None else date(today.year - age, 1, 1)


def _write(user: User, dialogue: Dialogue) -> None:
    character = Character.objects.published().filter(slug=dialogue.character).first()
    # The operator may have taken the character away.
    if character is None or not guardrails.may_talk(user.profile, character):
        return
    script = _Script(user, character, dialogue)
    for exchange in dialogue.exchanges:
        script.add(exchange)
    script.save()


class _Script:
    """One conversation on its way into the database."""

    def __init__(self, user: User, character: Character, dialogue: Dialogue) -> None:
        self.user = user
        self.dialogue = dialogue
        self.now = timezone.now() - timedelta(days=dialogue.days_ago)
        self.conversation = Conversation(
            user=user,
            character=character,
            title=dialogue.title,
            is_pinned=dialogue.is_pinned,
            created_at=self.now,
        )
        self.head: Message | None = None
        self.messages: list[Message] = []
        self.generations: list[Generation] = []
        self.records: list[UsageRecord] = []
        if character.greeting:
            self._say("assistant", "complete", character.greeting)

    def add(self, exchange: Exchange) -> None:
        asked = self._say("user", "read", exchange.said)
        if exchange.instead_of:
            self._reply(exchange.instead_of, "complete")
            self.head = asked
        self._reply(exchange.reply, exchange.status)

    def save(self) -> None:
        conversation, newest = self.conversation, self.messages[-1]
        conversation.last_message_at = newest.created_at
        conversation.last_message_preview = preview(newest.content)
        unseen = timedelta(seconds=1 if self.dialogue.is_unread else -1)
        conversation.last_read_at = newest.created_at - unseen
        conversation.save()
        Message.objects.bulk_create(self.messages)
        Generation.objects.bulk_create(self.generations)
        conversation.head = self.head
        conversation.save(update_fields=["head"])
        self._charge()

    def _say(self, role: str, status: str, content: str) -> Message:
        self.head = Message(
            conversation=self.conversation,
            parent=self.head,
            role=role,
            status=status,
            content=content,
            created_at=self.now,
        )
        self.messages.append(self.head)
        self.now += timedelta(seconds=5 + len(content) // 8)
        return self.head

    def _reply(self, content: str, status: str) -> None:
        cut = CUTS.get(status)
        finish_reason = None if cut else "stop"
        ending = endings.decide(has_text=True, finish_reason=finish_reason, error=cut)
        begun, day = self.now, self._date(self.now)
        prompt = PERSONA_TOKENS + sum(
            estimate_tokens(message.content) for message in self.messages
        )
        completion = estimate_tokens(content)
        self.generations.append(
            Generation(
                message=self._say("assistant", ending.status, content),
                heartbeat_at=self.now,
                lengths=Transcript(["", content, ""]).lengths,
                model=MODEL,
                finish_reason=ending.finish_reason,
                error_code=ending.code,
                prompt_tokens=prompt,
                completion_tokens=completion,
                first_token_ms=420,
                duration_ms=420 + completion * 40,
                usage_date=day,
                created_at=begun,
            )
        )
        self.records.append(
            UsageRecord(
                user=self.user,
                date=day,
                model=MODEL,
                prompt_tokens=prompt,
                completion_tokens=completion,
                is_exact=False,
                units=prompt + completion,
                created_at=begun,
            )
        )

    def _charge(self) -> None:
        UsageRecord.objects.bulk_create(self.records)
        used: Counter[date] = Counter()
        for record in self.records:
            used[record.date] += record.units
        for day, units in used.items():
            row, _created = DailyUsage.objects.get_or_create(user=self.user, date=day)
            DailyUsage.objects.filter(pk=row.pk).update(used=F("used") + units)

    def _date(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.user.profile.time_zone)).date()
