"""Faces for those who have no picture: a letter on one of ten gradients."""

from zlib import crc32

from django import template

register = template.Library()

FACES = 10


@register.filter
def face(key: object) -> int:
    """Return the number of the gradient that `key` always gets."""
    return crc32(str(key).encode()) % FACES


@register.filter
def initial(name: object) -> str:
    return next((letter.upper() for letter in str(name) if letter.isalnum()), "·")
