"""Rules before and after the model: age, and content that is never allowed.

Pure: verdicts out of values. Who logs and who refuses is decided in `turns.py` and
`generations.py`.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.models import Profile
from characters.models import Character


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule that forbids something, by its stable name."""

    rule: str


def may_talk(profile: Profile, character: Character) -> bool:
    """Whether the person is old enough, by the birthdate we store, where they live."""
    if not character.is_adult:
        return True
    now: datetime = timezone.now()
    return profile.is_adult(now.astimezone(ZoneInfo(profile.time_zone)).date())


def explicit_level(character: Character, cap: int) -> int:
    """Return what applies: the lower of the character's level and the operator's."""
    return min(character.explicit_level, cap) if character.is_adult else 0


# Sexual content with minors is refused always. A rule of words is coarse: it looks
# for both kinds close together, and errs on the side of refusing.
_MINOR = (
    r"child(?:ren)?|kids?|minors?|underage|under-age|pre-?teens?|toddlers?|"
    r"school ?(?:girl|boy)s?|little (?:girl|boy)s?|(?:1[0-7]|[1-9]) ?(?:yo|y/o)|"
    r"(?:1[0-7]|[1-9])[- ]years?[- ]old|lolis?|shotas?|"
    r"niñ[oa]s?|menor(?:es)?(?: de edad)?|colegial(?:a|as|es)?|nen[ea]s?|"
    # For so many years, or so many years ago, is no age.
    r"(?<!hace )(?<!llevo )(?<!llevamos )(?<!durante )(?:1[0-7]|[1-9]) años|"
    r"adolescentes?|chiquill[oa]s?"
)
_SEXUAL = (
    r"sex|sexo|sexual(?:ly|es|mente|iza\w*|iz\w*)?|porn\w*|nudes?|naked|desnud[oa]s?|"
    r"erotic\w*|erótic[oa]s?|fuck\w*|foll(?:ar|ando|ada|o)|"
    # Alone it means "to take", and children take the bus.
    r"cog(?:er|erme|erte|erse|iendo|í|ió|es|e|o) con|"
    r"masturbat\w*|masturb\w*|orgasm\w*|blow ?jobs?|mamada|penetrat\w*|penetr\w*|"
    r"genitals?|genitales|penis|pene|vagina|horny|cachond[oa]s?|rape\w*|violar\w*"
)
#: How many characters apart the two may stand and still be about each other.
REACH = 160
_TOGETHER = re.compile(
    rf"\b(?:{_MINOR})\b.{{0,{REACH}}}?\b(?:{_SEXUAL})\b"
    rf"|\b(?:{_SEXUAL})\b.{{0,{REACH}}}?\b(?:{_MINOR})\b",
    re.IGNORECASE | re.DOTALL,
)
_EITHER = re.compile(rf"\b(?:{_SEXUAL})\b", re.IGNORECASE)


def check(text: str) -> Verdict | None:
    """Return the rule that `text` breaks, or None."""
    # Almost every text has no sexual word at all; that is the cheap question.
    if _EITHER.search(text) and _TOGETHER.search(text):
        return Verdict("sexual_content_with_minors")
    return None


class ReplyCheck:
    """The same rule for a reply that is being written, piece by piece.

    `before` is what it begins with, of a reply that goes on.
    """

    #: Checking every piece would cost more than all else; every so many characters
    #: is soon enough to stop.
    STEP = 80

    def __init__(self, before: str = "") -> None:
        self._tail = before[-2 * REACH :]
        self._unchecked = 0

    def feed(self, text: str, *, is_last: bool = False) -> Verdict | None:
        self._tail += text
        self._unchecked += len(text)
        if self._unchecked < self.STEP and not is_last:
            return None
        self._unchecked = 0
        verdict = check(self._tail)
        self._tail = self._tail[-2 * REACH :]
        return verdict
