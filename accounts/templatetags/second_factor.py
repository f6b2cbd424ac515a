"""What templates of other people's views ask about a second factor."""

from django import template
from django.contrib.auth.models import AnonymousUser

from accounts.mfa import second_factor
from accounts.models import User

register = template.Library()


@register.filter
def lacks_second_factor(user: User | AnonymousUser) -> bool:
    """Whether `user` must set up a second factor before anything else."""
    return isinstance(user, User) and second_factor.is_missing(user)


@register.filter
def needs_second_factor(user: User | AnonymousUser) -> bool:
    """Whether the operator wants `user` to have one."""
    return isinstance(user, User) and second_factor.is_required(user)
