"""Who a password is of, and how a browser session finds its user."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import timing, verification
from accounts.models import User


class AccountBackend(AuthenticationBackend):
    """Read, along with the active user, what every page shows of them."""

    def authenticate(
        self, request: HttpRequest | None, **credentials: Any
    ) -> User | None:
        """Return whose credentials these are, and nobody before they may sign in.

        Who has not confirmed the address is refused here, where it is counted and
        recorded as a wrong password is: whoever signs up for somebody else could tell
        by any difference whether there had been an account before.
        """
        user = super().authenticate(request, **credentials)
        if request is None or request.user.is_authenticated:
            return user
        if not verification.is_required():
            return user
        with timing.alike():
            address = user and verification.awaited(user)
            if address:
                verification.send_again(request, address)
                return None
        return user

    def get_user(self, user_id: str) -> User | None:
        return self._active(user_id).first()

    async def aget_user(self, user_id: str) -> User | None:
        return await self._active(user_id).afirst()

    def _active(self, user_id: str) -> QuerySet[User]:
        users = User.objects.select_related("profile", "plan")
        return users.filter(pk=user_id, is_active=True)
