"""What somebody signed in with, in words, out of the user agent it sent."""

from functools import lru_cache

from django.utils.translation import gettext as _

#: Families that say twice what their system says as well.
_PLAIN = {
    "Chrome Mobile": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox iOS": "Firefox",
    "Firefox Mobile": "Firefox",
    "Mobile Safari": "Safari",
}
#: Devices that people know by their name better than by their system's.
_KNOWN_BY_NAME = {"iPad", "iPhone"}


def device_of(user_agent: str) -> str:
    """Return "Firefox on Linux", or the most that can be said."""
    program, system = _parsed(user_agent)
    if program and system:
        return _("%(program)s on %(system)s") % {"program": program, "system": system}
    return program or system or _("Unknown device")


@lru_cache(maxsize=1024)
def _parsed(user_agent: str) -> tuple[str, str]:
    # Its patterns take time and memory that a start can do without.
    from ua_parser import parse

    found = parse(user_agent)
    system = found.os.family if found.os else ""
    if found.device and found.device.family in _KNOWN_BY_NAME:
        system = found.device.family
    if found.user_agent:
        family = found.user_agent.family
        return _PLAIN.get(family, family), system
    # Programs say "name/version"; what people's browsers say is known.
    return user_agent.strip().split("/")[0].split(" ")[0][:40], system
